"""Settings of training: the paper's in the files that come along, and every mistake in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.data.augment import Augmentation
from model.training.config import LocaliseConfig, TrainingConfig, load
from model.training.losses import LossOptions
from model.training.trainer import Upkeep
from streaming.errors import UserError
from streaming.settings import setting
from tests.pipeline import ROOT

KINDS = {"localise": LocaliseConfig}
ONE = """\
stages:
  one:
    task: localise
"""
WHOLE = "model:\n  name: r50\n" + ONE


def loaded(tmp_path: Path, text: str, *settings: str) -> TrainingConfig:
    file = tmp_path / "t.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file, KINDS, map(setting, settings))


def localiser(config: TrainingConfig) -> LocaliseConfig:
    (stage,) = config.stages.values()
    assert isinstance(stage, LocaliseConfig)
    return stage


# The paper's ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sides"), [("r50", (240, 360, 480)), ("swinb", (240, 360))], ids=["r50", "swinb"]
)
def test_the_files_say_what_the_paper_and_its_code_say(name: str, sides: tuple[int, ...]) -> None:
    config = load(ROOT / "configs" / "train" / f"{name}.yaml", KINDS)
    stage = localiser(config)
    recipe = stage.recipe(config.settings.seed)
    assert config.settings.seed == 42
    assert (config.model.name, config.model.backbone, config.model.window) == (name, name, 5)
    assert (recipe.steps, stage.batch, recipe.accumulation, recipe.clip_norm) == (82_000, 1, 1, 0.01)
    assert recipe.precision == "float32"
    assert (recipe.optimiser.lr, recipe.optimiser.weight_decay, recipe.optimiser.backbone_factor) == (
        1e-4,
        0.05,
        0.1,
    )
    assert [recipe.schedule.share(step, recipe.steps) for step in (0, 72_170, 72_171)] == pytest.approx(
        [1, 1, 0.1]
    )
    assert stage.augmentation.options(5) == Augmentation(short_sides=sides)
    assert stage.loss.options() == LossOptions()


def test_defaults_are_the_papers_too(tmp_path: Path) -> None:
    stage = localiser(loaded(tmp_path, WHOLE))
    written = localiser(load(ROOT / "configs" / "train" / "r50.yaml", KINDS))
    assert stage.model_dump(exclude={"initial"}) == written.model_dump(exclude={"initial"})


def test_the_model_is_that_of_its_preset(tmp_path: Path) -> None:
    config = loaded(tmp_path, WHOLE.replace("r50", "swinb") + "    steps: 7\n", "model.fusion=add")
    assert (config.model.backbone, config.model.clip) == ("swinb", "ViT-L-14-336-quickgelu")
    assert config.model.fusion == "add"


def test_a_setting_reaches_into_a_stage(tmp_path: Path) -> None:
    text = WHOLE + "    steps: 7\n    optimiser:\n      lr: 0.5\n"
    stage = localiser(
        loaded(tmp_path, text, "stages.one.optimiser.lr=0.25", "stages.one.augmentation.short_sides=[64, 96]")
    )
    assert (stage.steps, stage.optimiser.lr, stage.augmentation.short_sides) == (7, 0.25, (64, 96))


def test_upkeep_is_told_whole(tmp_path: Path) -> None:
    config = loaded(tmp_path, WHOLE, "run.workers=0", "run.keep=1", "run.validate_every=7")
    assert config.settings.run.upkeep() == Upkeep(
        workers=0, checkpoint_every=1000, keep=1, log_every=20, pictures_every=1000, validate_every=7
    )


def test_stages_keep_their_order(tmp_path: Path) -> None:
    stages = "".join(f"  {name}:\n    task: localise\n" for name in ("zebra", "ant", "mole"))
    assert list(loaded(tmp_path, "stages:\n" + stages).stages) == ["zebra", "ant", "mole"]


# Mistakes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed: 1\n", "stages: found nothing, expected a section for each stage"),
        ("stages: 3\n", "t.yaml:1: stages: found 3, expected a section for each stage, under its name"),
        ("stages:\n  one: 3\n", "t.yaml:2: stages.one: expected a section, with `task` and what is"),
        (
            "stages:\n  one:\n    steps: 3\n",
            "t.yaml:2: stages.one.task: found nothing, expected one of local",
        ),
        ("stages:\n  one:\n    task: fly\n", "t.yaml:3: stages.one.task: found 'fly', expected one of local"),
        ("stages:\n  a/b:\n    task: localise\n", "t.yaml:2: stages.a/b: expected a name of the characters"),
        (WHOLE + "    stepz: 3\n", "t.yaml:6: stages.one.stepz: no such key; did you mean 'steps'?"),
        (WHOLE + "    lr: 3\n", "t.yaml:6: stages.one.lr: no such key; did you mean optimiser.lr?"),
        (
            WHOLE + "    steps: 0\n",
            "t.yaml:6: stages.one.steps: found 0, expected a whole number of at least",
        ),
        (
            WHOLE + "    optimiser:\n      lr: fast\n",
            "t.yaml:7: stages.one.optimiser.lr: found 'fast', expected a number above 0",
        ),
        (
            WHOLE + "    schedule:\n      kind: stairs\n",
            "t.yaml:7: stages.one.schedule.kind: found 'stairs', expected one of steps, cosine",
        ),
        (
            WHOLE + "    schedule:\n      milestones: [soon]\n",
            "t.yaml:7: stages.one.schedule.milestones: found 'soon', expected a list of steps, such as [72",
        ),
        (
            WHOLE + "    augmentation:\n      short_sides: []\n",
            "t.yaml:7: stages.one.augmentation.short_sides: found a list, expected a list of sizes from 32",
        ),
        (WHOLE + "run:\n  worker: 3\n", "t.yaml:7: run.worker: no such key; did you mean 'workers'?"),
        (WHOLE + "stage: 1\n", "t.yaml:6: stage: no such key; did you mean 'stages'?"),
        ("model:\n  name: r51\n" + ONE, "t.yaml:2: model.name: found 'r51', expected one of "),
        ("model:\n  window: 99\n" + ONE, "t.yaml:2: model.window: found 99, expected a whole number from 1"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        loaded(tmp_path, text)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = f"sead: 1\nmodel:\n  windw: 4\n{ONE}    steps: x\n  two:\n    task: y\n"
    with pytest.raises(UserError) as error:
        loaded(tmp_path, text, "stages.one.batch=0")
    lines = str(error.value).splitlines()
    keys = ["sead", "stages.one.steps", "stages.two.task", "stages.one.batch", "model.windw"]
    assert len(lines) == len(keys)
    for key in keys:
        assert any(f" {key}: " in line for line in lines), key
