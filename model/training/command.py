"""`run_pipeline.py train`: trains the stages of a configuration, one after the other, and goes on with them.

What it leaves in its folder:

    config.json                     all settings, as they were checked
    <stage>/step-*.pt               checkpoints
    <stage>/tensorboard/            curves and pictures
    <stage>/weights.safetensors     when the stage is trained, or taken from another model
    model.safetensors               the parts of all stages together, for `run --weights`
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from model.checkpoint import PARTS, CheckpointWeights, weights_path
from model.errors import ModelError
from model.options import LocaliserOptions
from model.training.config import LocaliseConfig, StageConfig, TrainingConfig, load
from model.training.initialise import clip_tensors
from model.training.processes import Processes, processes
from model.training.saving import checkpoints, first_difference, tensors_of, whole, write_tensors
from model.training.stages import NONE, Context, Kind, localise
from model.training.tiny import stages as tiny
from model.training.trainer import Interrupted, Trainer
from streaming.config import nested, setting

WEIGHTS, MODEL = "weights.safetensors", "model.safetensors"
ALIGNMENT = "alignment."
INTERRUPTED = 130
KINDS: dict[str, Kind] = {
    "localise": Kind(LocaliseConfig, localise, PARTS["localiser"] + PARTS["audio_encoder"]),
    **tiny.KINDS,
}
# Where the model runs, and what it is run with, does not decide what is learnt.
RUNNING = {"checkpoint", "stand_in_salt", "device", "precision"}


def main(args: argparse.Namespace) -> int:
    """Does what the options (`arguments.py`) say; the exit code. Raises `UserError` and `ModelError`."""
    given = {
        ("data", "root"): ("--data", args.data),
        ("data", "pseudo", "root"): ("--pseudo", args.pseudo),
        ("run", "out"): ("--out", args.out),
    }
    layers = [nested(key, value, name) for key, (name, value) in given.items() if value is not None]
    kinds = {name: kind.config for name, kind in KINDS.items()}
    config = load(args.config, kinds, [*map(setting, args.settings), *layers])
    if args.steps is not None and args.steps < 1:
        raise ModelError(f"--steps: found {args.steps}, expected 1 or more")
    reads = any(isinstance(stage, LocaliseConfig) for stage in config.stages.values())
    data = config.settings.data
    if reads and not data.root and not data.pseudo.root:
        raise ModelError(
            "nothing to learn from: give --data DIR or --pseudo DIR (data.root, data.pseudo.root)"
        )
    out = Path(config.settings.run.out)
    if args.resume and not any(checkpoints(out / name) for name in config.stages):
        raise ModelError(f"{out}: found no checkpoint to go on with; leave out --resume to begin")
    if config.settings.run.threads:
        torch.set_num_threads(config.settings.run.threads)
    with processes(config.model.device) as here:
        try:
            Training(config, out, here, args.steps).run()
        except Interrupted as stop:
            if here.first:
                print(f"stopped after step {stop.step}; all is saved. To go on:", file=sys.stderr)
                print(f"    {again(args, here.count)}", file=sys.stderr)
            return INTERRUPTED
    return 0


def again(args: argparse.Namespace, processes: int) -> str:
    """The command that goes on with a run."""
    launcher = ["python"] if processes == 1 else ["torchrun", f"--nproc_per_node={processes}"]
    given = {
        "--config": args.config,
        "--data": args.data,
        "--pseudo": args.pseudo,
        "--out": args.out,
        "--steps": args.steps,
    }
    options = [str(part) for pair in given.items() if pair[1] is not None for part in pair]
    settings = [part for text in args.settings for part in ("--set", text)]
    return shlex.join([*launcher, "run_pipeline.py", "train", *options, *settings, "--resume"])


class Training:
    """The stages of a configuration."""

    def __init__(self, config: TrainingConfig, out: Path, here: Processes, limit: int | None) -> None:
        self.config, self.out, self.here, self.limit = config, out, here, limit

    def run(self) -> None:
        """Trains what is not trained yet. Raises `Interrupted` and `ModelError`."""
        if self.here.first:
            self._write_settings()
            self._clip()  # better told now than after days of training
        done: dict[str, Path] = {}
        for name, stage in self.config.stages.items():
            done[name] = self._stage(name, stage, done)
            self.here.wait()
        if self.here.first:
            self._join(done)

    def _write_settings(self) -> None:
        config = self.config
        told = config.settings.model_dump() | {"model": config.model.model_dump()}
        told["stages"] = {name: stage.model_dump() for name, stage in config.stages.items()}
        text = json.dumps(told, indent=2) + "\n"
        whole(self.out / "config.json", lambda draft: draft.write_text(text, encoding="utf-8"))

    def _stage(self, name: str, stage: StageConfig, done: Mapping[str, Path]) -> Path:
        """Trains a stage, or what is left of it; the path of its weights."""
        if stage.weights is not None:
            return self._taken(name, stage.weights, KINDS[stage.task].holds)
        folder, seed = self.out / name, self._seed(stage)
        until, weights = min(stage.steps, self.limit or stage.steps), folder / WEIGHTS
        settings = self._settings(stage)
        if is_done(weights, settings, until):
            self._say(f"{name}: is trained, {weights}")
            return weights
        self._require_nothing_later(name)
        data = self.config.settings.data
        context = Context(
            name=name,
            model=self.config.model,
            root=Path(data.root) if data.root else None,
            pseudo=(Path(data.pseudo.root), data.pseudo.filter()) if data.pseudo.root else None,
            out=self.out,
            processes=self.here.count,
            seed=seed,
            begins=not checkpoints(folder),
            done=dict(done),
            say=self._say,
        )
        run = self.config.settings.run
        with self.here.first_ahead():  # what a task needs may have to be made, once
            task = KINDS[stage.task].task(stage, context)
        trainer = Trainer(
            task,
            stage.recipe(seed),
            run.upkeep(),
            processes=self.here,
            folder=folder,
            board=folder / "tensorboard" if run.tensorboard else None,
            settings=settings,
            name=name,
        )
        if trainer.resume():
            self._say(f"{name}: goes on after step {trainer.step}")
        trainer.run(until)
        if self.here.first:
            marks = {"step": str(trainer.step), "settings": json.dumps(settings)}
            write_tensors(tensors_of(trainer.task.parts()), weights, marks)
        return weights

    def _taken(self, name: str, model: str, holds: tuple[str, ...]) -> Path:
        """The path of a stage's weights that are those of a model. Raises `ModelError`."""
        path = self.out / name / WEIGHTS
        if self.here.first:
            source = weights_path(model)
            tensors = {
                entry: value.float() if value.is_floating_point() else value
                for entry, value in CheckpointWeights(source).tensors.items()
                if entry.startswith(holds)
            }
            if not tensors:
                told = f"found nothing that begins with {' or '.join(holds)}"
                raise ModelError(
                    f"stages.{name}.weights: {source}: {told}; expected a model that has learnt it"
                )
            write_tensors(tensors, path)
        self._say(f"{name}: is taken from {model}")
        return path

    def _settings(self, stage: StageConfig) -> dict[str, Any]:
        """What decides what a stage learns; however the clips of a step are shared out, they are the same."""
        inner = stage.model_dump(exclude={"seed", "batch", "accumulation", "initial", "weights"})
        inner["clips_per_step"] = stage.batch * stage.accumulation * self.here.count
        model = self.config.model.model_dump(include=KINDS[stage.task].of_model, exclude=RUNNING)
        return json.loads(json.dumps({"seed": self._seed(stage), "model": model, "stage": inner}))

    def _seed(self, stage: StageConfig) -> int:
        return self.config.settings.seed if stage.seed is None else stage.seed

    def _require_nothing_later(self, name: str) -> None:
        """Raises `ModelError` if a stage that follows was trained upon an earlier state of this one."""
        names = list(self.config.stages)
        for later in names[names.index(name) + 1 :]:
            if checkpoints(self.out / later) or (self.out / later / WEIGHTS).exists():
                told = f"{self.out / later}: was trained upon what {name} was, which has steps to go"
                raise ModelError(f"{told}; remove that folder, or choose another --out")

    def _clip(self) -> dict[str, Tensor]:
        """CLIP's weights, if a stage says where they are. Raises `ModelError`."""
        paths = [
            stage.initial.clip for stage in self.config.stages.values() if isinstance(stage, LocaliseConfig)
        ]
        given = [path for path in paths if path is not None and path != NONE]
        if not given:
            return {}
        from model.classifier import build_clip  # it takes seconds, and is seldom wanted

        return clip_tensors(build_clip(self.config.model.clip), weights_path(given[-1]))

    def _join(self, done: Mapping[str, Path]) -> None:
        """All parts in one file."""
        tensors = self._clip()
        for path in done.values():
            tensors |= load_file(path)
        if not LocaliserOptions.of(
            self.config.model
        ).aligned:  # taught by a lesson, and of no use to this model
            tensors = {name: value for name, value in tensors.items() if not name.startswith(ALIGNMENT)}
        path = self.out / MODEL
        write_tensors(tensors, path)
        self._say(f"{path}: {', '.join(part for part, names in PARTS.items() if holds(tensors, names))}")
        if not holds(tensors, PARTS["clip"]):
            self._say(
                "NOTE: it has no CLIP, which a run names objects with: give initial.clip, and train again"
            )

    def _say(self, line: str) -> None:
        if self.here.first:
            print(line, file=sys.stderr)


def is_done(weights: Path, settings: Mapping[str, Any], until: int) -> bool:
    """Whether a stage has been trained so far. Raises `ModelError` if that was with other settings."""
    if not weights.is_file():
        return False
    with safe_open(weights, framework="pt") as file:
        marks = file.metadata() or {}
    if difference := first_difference(json.loads(marks.get("settings", "{}")), settings):
        raise ModelError(
            f"{weights}: {difference}; train on with the settings of before, or choose another --out"
        )
    return int(marks.get("step", "0")) >= until


def holds(tensors: Mapping[str, Tensor], prefixes: tuple[str, ...]) -> bool:
    return any(name.startswith(prefixes) for name in tensors)
