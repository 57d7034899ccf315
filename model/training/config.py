"""What can be set of training: in layers, as a run's configuration is, with file and line for every mistake.

`model` is the section of a run's configuration, preset and all: what is trained is said once. `stages` are
trained one after the other; `task` names what kind each is, and the kind decides what can be set of it. The
defaults are the paper's.

Paths are relative to the working directory. `every` counts steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError

from model.data.augment import Augmentation
from model.data.pseudo import Filter
from model.options import Precision
from model.training.losses import LossOptions, Normaliser
from model.training.matching import MaskLoss, Weights
from model.training.optimiser import OptimiserOptions
from model.training.points import PointOptions
from model.training.schedule import Schedule, ScheduleKind
from model.training.trainer import Recipe, Upkeep
from streaming.complaints import Expects, complaints
from streaming.config import ModelConfig, Section, Share
from streaming.config import load as load_run
from streaming.errors import UserError
from streaming.settings import Fault, KeyPath, Layer, merge, read_yaml

Every = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0)]
Above0 = Annotated[float, Field(gt=0)]
NAME = re.compile(r"[A-Za-z0-9_-]+")  # a folder is called so
AnySection = TypeVar("AnySection", bound=Section)


class PseudoConfig(Section):
    """Claims of a teacher that are learnt from, and which of them are believed (docs/openavs.md)."""

    root: str = ""
    """A folder that `pseudo-label` has written."""
    sounding: Share = 0.5
    """The least sounding score of an object in a second ..."""
    label: Share = 0.0
    """... the least probability of its label ..."""
    mask: Share = 0.85
    """... and the least certainty of its mask; a second with an object that has less is not learnt from."""
    empty: bool = True
    """Whether a second in which nothing was claimed teaches that nothing sounds."""
    novel: bool = False
    """Whether objects that the teacher called by the name of a novel category are learnt from."""

    def filter(self) -> Filter:
        return Filter(**self.model_dump(exclude={"root"}))


class DataConfig(Section):
    """What is learnt from: what is true, what a teacher claims, or both."""

    root: str = ""
    """A folder that holds AVSBench-OV, or a set laid out like it."""
    pseudo: PseudoConfig = PseudoConfig()
    """Claims of a teacher."""


class UpkeepConfig(Section):
    """What happens beside training; none of it changes what is learnt."""

    out: str = "runs/train"
    """The folder for checkpoints, curves and weights."""
    workers: Every = 2
    """Processes that prepare clips, for each process that trains; 0: it does that itself."""
    threads: Every = 0
    """Cores for each process that trains; 0: as torch thinks best."""
    checkpoint_every: Every = 1000
    """How often the state is saved; 0: only at the end, or when the run is interrupted."""
    keep: Positive = 3
    """How many of these stay."""
    log_every: Positive = 20
    """How often losses are told and drawn."""
    pictures_every: Every = 1000
    """How often truth and prediction are drawn; 0: never."""
    validate_every: Every = 5000
    """How often clips that are not trained on are looked at; 0: never."""
    tensorboard: bool = True
    """Whether curves and pictures are written for TensorBoard."""

    def upkeep(self) -> Upkeep:
        return Upkeep(**self.model_dump(exclude={"out", "threads", "tensorboard"}))


class OptimiserConfig(Section):
    """AdamW."""

    lr: Above0 = 1e-4
    """The learning rate."""
    weight_decay: Weight = 0.05
    """Of all but normalisations, embeddings and tables of relative positions."""
    backbone_factor: Weight = 0.1
    """Share of the learning rate that backbones get."""
    offsets_factor: Weight = 1.0
    """The same for the places at which deformable attention looks."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """How slowly the mean of a gradient changes ..."""
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """... and that of its square."""
    eps: Above0 = 1e-8
    """Keeps a step finite where gradients vanish."""


class ScheduleConfig(Section):
    """How the learning rate changes."""

    kind: ScheduleKind = "steps"
    """`steps`: falls at milestones; `cosine`: along half a wave."""
    milestones: Annotated[tuple[Positive, ...], Expects("a list of steps, such as [72171]")] = (72_171,)
    """After so many steps it is multiplied with ..."""
    gamma: Share = 0.1
    """... this."""
    final: Share = 0.0
    """Share of the learning rate that `cosine` ends with."""
    warmup_steps: Every = 0
    """For so many steps it rises ..."""
    warmup_factor: Share = 0.0
    """... from this share of it."""


class StageConfig(Section):
    """What can be set of every stage."""

    task: str
    """Which kind of stage it is."""
    weights: str | None = None
    """A model that has learnt this, a file or `bundled:NAME`: it is taken from there, and not trained."""
    seed: Every | None = None
    """Decides what it draws at random; as all stages unless given."""
    steps: Positive = 82_000
    """How many steps it has."""
    batch: Positive = 1
    """Clips in a micro-batch, of each process."""
    accumulation: Positive = 1
    """Micro-batches to a step, of each process."""
    precision: Precision = "float32"
    """`bfloat16` by autocast; `auto` takes it where the hardware computes it."""
    clip_norm: Above0 | None = 0.01
    """Longest gradient, of all parameters together; nothing: any length."""
    optimiser: OptimiserConfig = OptimiserConfig()
    """AdamW."""
    schedule: ScheduleConfig = ScheduleConfig()
    """Its learning rate."""

    def recipe(self, seed: int) -> Recipe:
        """Raises `ModelError` if milestones do not ascend."""
        return Recipe(
            steps=self.steps,
            seed=seed,
            accumulation=self.accumulation,
            precision=self.precision,
            clip_norm=self.clip_norm,
            optimiser=OptimiserOptions(**self.optimiser.model_dump()),
            schedule=Schedule(**self.schedule.model_dump()),
        )


class AugmentationConfig(Section):
    """What is done to a clip before it is shown."""

    short_sides: Annotated[
        tuple[Annotated[int, Field(ge=32, le=2048)], ...],
        Field(min_length=1),
        Expects("a list of sizes from 32 to 2048 pixels, such as [240, 360, 480]"),
    ] = (240, 360, 480)
    """Pixels of the shorter side, one of these for each clip ..."""
    max_side: Annotated[int, Field(ge=32, le=4096)] = 1333
    """... unless the longer side would have more than this."""
    flip: Share = 0.5
    """Share of clips that is mirrored."""
    reach: Positive = 20
    """How many frames from the one that is drawn first the others may be."""

    def options(self, frames: int) -> Augmentation:
        """For clips of so many frames. Raises `ModelError`."""
        return Augmentation(frames=frames, **self.model_dump())


class LossConfig(Section):
    """What an answer costs (Eq. 7)."""

    sound: Weight = 2.0
    """Weight of the sound loss ..."""
    mask: Weight = 5.0
    """... of the mask loss ..."""
    dice: Weight = 5.0
    """... and of the dice loss; the cost of a match is weighed alike."""
    not_sounding: Weight = 0.1
    """Weight of queries without an object in the sound loss."""
    earlier: Weight = 1.0
    """Weight of every layer's answer but the last."""
    mask_loss: MaskLoss = "bce"
    """`bce`, the published code's; `focal`, the paper's text."""
    normaliser: Normaliser = "per-object"
    """What mask and dice losses are divided by: objects, or objects times frames."""
    points: Positive = 12_544
    """How many points of a mask are compared."""
    oversample: Annotated[float, Field(ge=1)] = 3.0
    """Of how many candidates for each the least sure are taken ..."""
    importance: Share = 0.75
    """... for this share of the points; the others fall anywhere."""

    def options(self) -> LossOptions:
        return LossOptions(
            weights=Weights(self.sound, self.mask, self.dice),
            points=PointOptions(self.points, self.oversample, self.importance),
            **self.model_dump(include={"not_sounding", "earlier", "mask_loss", "normaliser"}),
        )


class InitialConfig(Section):
    """Weights to begin with: paths, or `fetched:NAME`. `none`, written out, leaves them as they are drawn."""

    mask2former: str | None = None
    """A Mask2Former with the same backbone: .pkl of detectron2, .pth or .safetensors; or `none`."""
    audio: str | None = None
    """VGGish: the file of torchvggish, or the authors' checkpoint; or `none`."""
    senses: str | None = None
    """A trained model of this kind, a file or `bundled:NAME`, whose backbone, alignment and audio encoder are
    taken, and kept as they are; it takes the place of the two above."""
    clip: str | None = None
    """CLIP, to be put beside the trained weights: from OpenAI, open_clip or the authors' checkpoint."""


class LocaliseConfig(StageConfig):
    """The paper's training."""

    augmentation: AugmentationConfig = AugmentationConfig()
    """What is done to clips."""
    loss: LossConfig = LossConfig()
    """What answers cost."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """How often the last block of a Swin is passed over in training; earlier ones less often."""
    initial: InitialConfig = InitialConfig()
    """Weights to begin with."""
    validation_clips: Every = 50
    """How many held-out clips a validation looks at."""


class Settings(Section):
    """All that can be set."""

    seed: Every = 42
    """Decides all that is drawn at random."""
    model: ModelConfig = ModelConfig()
    """The model, as in a run's configuration."""
    data: DataConfig = DataConfig()
    """What is learnt from."""
    run: UpkeepConfig = UpkeepConfig()
    """What happens beside training."""
    stages: Annotated[Mapping[str, Any], Expects("a section for each stage, under its name")] = {}
    """What is trained, in order."""


@dataclass(frozen=True)
class TrainingConfig:
    """Settings that have been checked, each stage by its own kind."""

    settings: Settings
    model: ModelConfig
    stages: Mapping[str, StageConfig]


def load(
    file: Path, kinds: Mapping[str, type[StageConfig]], settings: Iterable[Layer] = ()
) -> TrainingConfig:
    """A configuration, checked: the model's preset, then the file, then settings.

    Raises `UserError` with a line for each mistake.
    """
    given = merge([read_yaml(file), *settings])
    faults = list(given.faults)
    told: list[str] = []
    model = ModelConfig()
    section = given.values.get("model")
    try:
        values = {} if section is None else {"model": section}
        model = load_run(settings=[Layer(values, given.origins)]).model
    except UserError as error:
        told.append(str(error))
    rest = Layer({key: value for key, value in given.values.items() if key != "model"}, given.origins)
    checked = _checked(rest, Settings, (), faults) or Settings()
    stages = _stages(given, kinds, faults)
    if faults or told:
        faults.sort(key=lambda fault: (fault.origin.file, fault.origin.line or 0))
        raise UserError("\n".join([*map(str, faults), *told]))
    return TrainingConfig(checked, model, stages)


def _stages(
    given: Layer, kinds: Mapping[str, type[StageConfig]], faults: list[Fault]
) -> dict[str, StageConfig]:
    found: dict[str, StageConfig] = {}
    sections = given.values.get("stages")
    if not sections:
        at: KeyPath = ("stages",)
        faults.append(Fault(given.origin(at), at, "found nothing, expected a section for each stage"))
    for name, section in sections.items() if isinstance(sections, dict) else ():
        at = ("stages", name)
        kind = section.get("task") if isinstance(section, dict) else None
        if not NAME.fullmatch(name):
            faults.append(Fault(given.origin(at), at, "expected a name of the characters A-Z a-z 0-9 _ -"))
        elif not isinstance(section, dict):
            faults.append(
                Fault(given.origin(at), at, "expected a section, with `task` and what is to be set")
            )
        elif not isinstance(kind, str) or kind not in kinds:
            shown = repr(kind) if kind else "nothing"
            wanted = f"found {shown}, expected one of {', '.join(kinds)}"
            faults.append(Fault(given.origin((*at, "task")), (*at, "task"), wanted))
        elif stage := _checked(_below(given, at), kinds[kind], at, faults):
            found[name] = stage
    return found


def _checked(layer: Layer, kind: type[AnySection], at: KeyPath, faults: list[Fault]) -> AnySection | None:
    """A layer as a section that lies at a key; what is wrong with it is added to `faults`."""
    try:
        return kind.model_validate(layer.values)
    except ValidationError as error:
        found = complaints(error, layer, kind)
        faults += [Fault(fault.origin, (*at, *fault.at), fault.text) for fault in found]
        return None


def _below(layer: Layer, at: KeyPath) -> Layer:
    """The section at a key as a layer of its own."""
    values: Any = layer.values
    for key in at:
        values = values[key]
    depth = len(at)
    return Layer(values, {path[depth:]: x for path, x in layer.origins.items() if path[:depth] == at})
