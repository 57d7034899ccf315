"""`run_pipeline.py train`, from a set on disk to weights that a run takes, with a shrunken model."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model.checkpoint import CheckpointWeights
from model.data.avsbench_ov import ANNOTATIONS, IMAGES
from tests.model.data.laid_out import edit, world
from tests.model.small import untrained
from tests.model.training.small_command import main
from tests.model.training.test_initialise import mask2former, save
from tests.model.training.toys import Ears
from tests.pipeline import ROOT

R50 = str(ROOT / "configs" / "train" / "r50.yaml")
SMALL = {
    "model.device": "cpu",
    "run.workers": "0",
    "run.threads": "1",
    "run.log_every": "1",
    "stages.localiser.augmentation.short_sides": "[48, 64]",
    "stages.localiser.loss.points": "200",
    "stages.localiser.initial.mask2former": "none",
    "stages.localiser.initial.audio": "none",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world without an artist: five clips to train on, two for validation."""
    root = tmp_path_factory.mktemp("world")
    world(root, "train", 5, split="base")
    world(root, "val", 2, split="mixed", seed=6)
    return root


@pytest.fixture(autouse=True)
def as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def arguments(data: Path, out: Path | str, *more: str, **changes: str) -> list[str]:
    """`changes`: settings, their dots written as two underscores."""
    settings = SMALL | {key.replace("__", "."): value for key, value in changes.items()}
    chosen = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return ["train", "--config", R50, "--data", str(data), "--out", str(out), *chosen, *more]


def errors(capsys: pytest.CaptureFixture[str], line: list[str]) -> list[str]:
    """The lines of complaint about a command that is given wrongly."""
    assert main(line) == 2
    told = capsys.readouterr().err.splitlines()
    return [line.removeprefix("error: ") for line in told if line.startswith("error: ")]


def weights(out: Path | str) -> dict[str, Tensor]:
    return load_file(Path(out) / "model.safetensors")


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# From a set to weights ------------------------------------------------------------------------------------


def test_the_papers_recipe_runs_some_steps_on_a_small_set(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {"run__validate_every": "3", "run__pictures_every": "3"}
    assert main(arguments(data, "out", "--steps", "3", **changes)) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("NOTE: mask2former is none")
    assert told[1].startswith("NOTE: audio is none")
    assert [line.split(": ")[1] for line in told[2:6]] == [f"step {n} of 3" for n in (1, 2, 3, 3)]
    assert "validation j 0." in told[5]
    assert told[6] == "out/model.safetensors: localiser, audio_encoder"
    assert told[7].startswith("NOTE: it has no CLIP")

    left = {path.relative_to("out").as_posix() for path in Path("out").rglob("*") if path.is_file()}
    (curves,) = {path for path in left if path.startswith("localiser/tensorboard/events.out.tfevents.")}
    assert left - {curves} == {
        "config.json", "model.safetensors", "localiser/weights.safetensors", "localiser/step-00000003.pt"
    }  # fmt: skip
    settings = json.loads(Path("out/config.json").read_text())
    assert (settings["seed"], settings["data"]["root"]) == (42, str(data))
    assert settings["stages"]["localiser"]["optimiser"]["lr"] == 1e-4

    # A run reads them as it reads the authors' own.
    localiser, ears = untrained(window=5), Ears()
    found = CheckpointWeights(Path("out/model.safetensors"))
    found.fill("localiser", localiser)
    found.fill("audio_encoder", ears)
    assert torch.equal(
        found.tensors["backbone.stem.conv1.weight"], localiser.backbone.get_parameter("stem.conv1.weight")
    )


def test_initial_weights_are_taken_and_what_they_lack_is_listed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ears = Ears()
    content = mask2former(untrained(window=5))
    save(tmp_path / "m.pkl", content)
    torch.save(ears.state_dict(), tmp_path / "ears.pth")
    given = {
        "stages__localiser__initial__mask2former": "m.pkl",
        "stages__localiser__initial__audio": "ears.pth",
        # So small a step that what was taken is still what is there.
        "stages__localiser__optimiser__lr": "1e-12",
        "stages__localiser__optimiser__weight_decay": "0",
    }
    assert main(arguments(data, "out", "--steps", "1", **given)) == 0
    told = capsys.readouterr().err
    assert f"m.pkl: {len(content) - 3} entries taken; " in told
    assert "  sem_seg_head.predictor.transformer_audio_cross_attention_layers.*.norm.weight (4)\n" in told
    assert "  sem_seg_head.predictor.class_embed.weight\n" in told
    assert "  not used: sem_seg_head.predictor.class_embed.weight\n" in told
    found = weights("out")
    for name in ("backbone.stem.conv1.weight", "sem_seg_head.predictor.query_feat.weight"):
        torch.testing.assert_close(found[name], torch.from_numpy(content[name]))
    assert torch.equal(found["audio_encoder.audio_backbone.projection.weight"], ears.projection.weight)


def test_clip_is_put_beside_what_was_trained(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "model.classifier.build_clip", lambda name: nn.ModuleDict({"visual": nn.Linear(2, 3)})
    )
    save_file({"visual.weight": torch.ones(3, 2), "visual.bias": torch.zeros(3)}, "clip.safetensors")
    given = {"stages__localiser__initial__clip": "clip.safetensors"}
    assert main(arguments(data, "out", "--steps", "1", **given)) == 0
    assert torch.equal(weights("out")["clip_adapter.clip_model.visual.weight"], torch.ones(3, 2))
    assert "out/model.safetensors: localiser, audio_encoder, clip" in capsys.readouterr().err

    # Told before days of training, not after.
    save_file({"visual.weight": torch.ones(3, 2)}, "clip.safetensors")
    (told,) = errors(capsys, arguments(data, "other", "--steps", "1", **given))
    assert told.startswith("clip.safetensors: found no visual.bias")
    assert not Path("other/localiser").exists()


def test_stages_follow_each_other_and_later_ones_rest_on_earlier_ones(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def line(*more: str) -> list[str]:
        again = {key.replace("localiser", "again"): x for key, x in SMALL.items() if "localiser" in key}
        again["stages.again.task"] = "localise"
        chosen = [part for key, value in again.items() for part in ("--set", f"{key}={value}")]
        return arguments(data, "out", *chosen, *more)

    assert main(line("--steps", "1")) == 0
    assert {path.name for path in Path("out").iterdir() if path.is_dir()} == {"localiser", "again"}
    capsys.readouterr()
    assert main(line("--steps", "1")) == 0
    told = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1].split(",")[0] for line in told[:2]] == ["is trained", "is trained"]
    (wrong,) = errors(capsys, line("--steps", "2"))
    assert wrong.startswith("out/again: was trained upon what localiser was, which has steps to go; remove")


def test_what_another_model_has_learnt_is_taken(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(data, "first", "--steps", "1")) == 0
    learnt = weights("first")
    save_file({name: value.half() for name, value in learnt.items()}, "half.safetensors")
    capsys.readouterr()
    assert main(arguments(data, "second", stages__localiser__weights="half.safetensors")) == 0
    assert "localiser: is taken from half.safetensors" in capsys.readouterr().err
    taken = weights("second")
    assert taken.keys() == learnt.keys()
    for name, value in taken.items():
        assert value.dtype == torch.float32
        assert torch.equal(value, learnt[name].half().float())


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("bundled:huge", r"huge\.safetensors: no such checkpoint"),
        (
            "clip.safetensors",
            r"stages\.localiser\.weights: clip\.safetensors: found nothing that begins with",
        ),
    ],
)
def test_a_model_that_has_learnt_nothing_of_it_is_refused(
    data: Path, capsys: pytest.CaptureFixture[str], model: str, told: str
) -> None:
    save_file({"clip_adapter.clip_model.w": torch.zeros(1)}, "clip.safetensors")
    (wrong,) = errors(capsys, arguments(data, "out", stages__localiser__weights=model))
    assert re.search(told, wrong)


# Going on -------------------------------------------------------------------------------------------------

STEPS = "12"


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    before, out = torch.get_num_threads(), tmp_path_factory.mktemp("whole")
    assert main(arguments(data, out, "--steps", STEPS)) == 0
    torch.set_num_threads(before)
    return weights(out)


def started(line: list[str], *launcher: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "tests.model.training.small_command", *line],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_ended_goes_on_to_the_same_weights(
    data: Path, uninterrupted: dict[str, Tensor], by: signal.Signals
) -> None:
    line = arguments(data, "out", run__checkpoint_every="2", run__workers="1")
    process = started(line)
    first, deadline = Path("out/localiser/step-00000002.pt"), time.monotonic() + 120
    while not first.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(by)
    _, told = process.communicate(timeout=120)
    assert first.exists(), told
    assert not Path("out/model.safetensors").exists()
    if by == signal.SIGKILL:
        assert process.returncode == -by
    else:
        assert process.returncode == 130, told
        stopped, how = told.splitlines()[-2:]
        assert stopped.startswith("stopped after step ")
        program, name, *again = shlex.split(how)
        assert (program, name) == ("python", "run_pipeline.py")
        line = again
    assert main([*line, "--steps", STEPS]) == 0
    assert same(weights("out"), uninterrupted)


def test_resume_wants_something_to_go_on_with(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (told,) = errors(capsys, arguments(data, "out", "--resume"))
    assert told == "out: found no checkpoint to go on with; leave out --resume to begin"


def test_it_goes_on_without_the_files_it_began_with_but_not_with_other_settings(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(data, "out", "--steps", "1")) == 0
    gone = {"stages__localiser__initial__mask2former": "gone.pkl"}
    assert main(arguments(data, "out", "--steps", "2", **gone)) == 0
    assert "localiser: goes on after step 1" in capsys.readouterr().err
    for steps in ("2", "3"):  # nothing left to do, and something
        (told,) = errors(capsys, arguments(data, "out", "--steps", steps, stages__localiser__loss__dice="4"))
        assert "stage.loss.dice was 5.0 and is 4.0 now" in told


def test_two_processes_train_and_one_goes_on_with_as_many_clips_a_step(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    process = started(arguments(data, "out", "--steps", "2"), *launcher)
    _, told = process.communicate(timeout=240)
    assert process.returncode == 0, told
    assert told.count("localiser: step 2 of 2: loss ") == 1
    assert main(arguments(data, "out", "--steps", "3", stages__localiser__batch="2")) == 0
    (wrong,) = errors(capsys, arguments(data, "out", "--steps", "4"))
    assert "stage.clips_per_step was 2 and is 1 now" in wrong


# Mistakes -------------------------------------------------------------------------------------------------


def test_a_novel_category_is_not_trained_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "tainted"
    world(root, "train", 2, split="base")
    assert (
        main(arguments(root, "pure", "--steps", "1", run__validate_every="1")) == 0
    )  # it lists no clip for that
    path = root / IMAGES / ANNOTATIONS["train"]

    def taint(table: dict[str, Any]) -> None:
        used = table["annotations"][0]["category_id"]
        next(x for x in table["categories"] if x["id"] == used)["name"] = "violin"

    edit(path, taint)
    capsys.readouterr()
    (told,) = errors(capsys, arguments(root, "out", "--steps", "1"))
    assert told.startswith(f"{path}: annotation ")
    assert "found 'violin', a novel category; expected one of the " in told
    assert not Path("out/localiser").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"stages__localiser__initial__mask2former": "nowhere.pkl"},
            "stages.localiser.initial.mask2former: nowhere.pkl: no such file; fetch a Mask2Former trained on",
        ),
        (
            {"stages__localiser__initial__audio": "~"},
            "stages.localiser.initial.audio: found nothing, expected the path of VGGish's weights",
        ),
        (
            {"stages__localiser__steps": "-1"},
            "--set: stages.localiser.steps: found -1, expected a whole number",
        ),
        ({"model__device": "cuda:77"}, "model.device: found 'cuda:77', but torch sees"),
        (
            {"stages__localiser__schedule__milestones": "[9, 3]"},
            "milestones: found [9, 3], expected steps that ascend",
        ),
    ],
)
def test_a_mistake_is_one_line(
    data: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], told: str
) -> None:
    (found,) = errors(capsys, arguments(data, "out", "--steps", "1", **change))
    assert told in found


def test_a_set_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (told,) = errors(capsys, arguments(tmp_path / "nowhere", "out"))
    assert told.startswith(str(tmp_path / "nowhere"))
    assert main(["train", "--config", R50]) == 2
    assert "nothing to learn from: give --data DIR" in capsys.readouterr().err
    assert main(["train", "--config", "nowhere.yaml"]) == 2
    assert "nowhere.yaml: cannot be read as a configuration" in capsys.readouterr().err


def test_steps_are_counted_from_one(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (told,) = errors(capsys, arguments(data, "out", "--steps", "0"))
    assert told == "--steps: found 0, expected 1 or more"
