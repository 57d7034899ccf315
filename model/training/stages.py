"""From the settings of a stage to the task that it trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from model.checkpoint import weights_path
from model.data.avsbench_ov import ANNOTATIONS, IMAGES, read_avsbench_ov
from model.data.clips import ClipSet
from model.data.files import read_json
from model.data.pseudo import Filter, joined, read_pseudo
from model.ears import AUDIO_ENCODERS
from model.errors import ModelError
from model.localiser import Localiser
from model.options import LocaliserOptions
from model.training.fresh import draw_weights
from model.training.initialise import fill_audio_encoder, fill_senses, from_mask2former, listed
from model.training.localise import Localise, LocaliseOptions
from model.training.stochastic_depth import pass_over_blocks
from model.training.task import Task, seed_for

if TYPE_CHECKING:
    from model.training.config import LocaliseConfig, StageConfig

NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a stage is made in.

    Attributes:
        name: of the stage.
        model: the `model` section of a configuration.
        root: the set to learn from, where there is one whose labels are true.
        pseudo: a set of a teacher's claims, and which of them are believed.
        out: the folder of the whole training; what stages make for themselves goes there.
        processes: how many train together.
        begins: whether it has yet to begin; where a checkpoint follows, initial weights are not looked for.
        done: the weights of the stages before it, safetensors in the authors' layout, by their names.
        say: tells people one line.
    """

    name: str
    model: Any
    root: Path | None
    out: Path
    processes: int
    seed: int
    begins: bool
    done: Mapping[str, Path]
    say: Callable[[str], None]
    pseudo: tuple[Path, Filter] | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of stage.

    Attributes:
        task: makes what it trains of its settings.
        holds: what the names of the weights that it leaves begin with.
        of_model: keys of the `model` section that decide what it learns; all of them unless told.
    """

    config: type[StageConfig]
    task: Callable[[Any, Context], Task]
    holds: tuple[str, ...]
    of_model: set[str] | None = None


def localise(config: LocaliseConfig, context: Context) -> Localise:
    """The paper's training. Raises `ModelError`."""
    model = context.model
    clips, facts = _clips(context)
    torch.manual_seed(seed_for(context.seed))
    localiser, ears = Localiser(LocaliserOptions.of(model)), AUDIO_ENCODERS[model.audio_encoder]()
    draw_weights(localiser)
    if context.begins and config.initial.senses is None:
        _fill(localiser, ears, config, context)
    elif context.begins:
        fill_senses(localiser, ears, weights_path(config.initial.senses or ""))
    if config.initial.senses is not None:
        localiser.backbone.requires_grad_(False)
        if localiser.alignment is not None:
            localiser.alignment.requires_grad_(False)
    pass_over_blocks(localiser, config.drop_path)
    task = Localise(
        localiser,
        ears,
        clips,
        _held_out(context.root) if config.validation_clips and context.root else None,
        LocaliseOptions(
            batch_size=config.batch,
            seed=context.seed,
            audio_grid=model.audio_grid,
            augmentation=config.augmentation.options(model.window),
            loss=config.loss.options(),
            short_side=model.short_side,
            max_side=model.max_side,
            validation_clips=config.validation_clips,
        ),
    )
    task.facts = {**task.facts, **facts}
    return task


def _clips(context: Context) -> tuple[ClipSet, dict[str, Any]]:
    """What is learnt from, and what must be the same when that goes on. Raises `ModelError`."""
    true = read_avsbench_ov(context.root, "train") if context.root else None
    if context.pseudo is None:
        assert true is not None, "the command has seen to it"
        return true, {}
    root, filter_ = context.pseudo
    claimed, left = read_pseudo(root, filter_)
    context.say(f"{root}: {left}")
    clips = claimed if true is None else joined(true, claimed)
    return clips, {"pseudo": asdict(filter_)}


def _held_out(root: Path) -> ClipSet | None:
    """The part for validation, if the set has one: a world may list no clip there. Raises `ModelError`."""
    path = root / IMAGES / ANNOTATIONS["val"]
    listed = path.is_file() and read_json(path, "the annotations of part val").get("videos")
    return read_avsbench_ov(root, "val") if listed else None


def _fill(localiser: Localiser, ears: nn.Module, config: LocaliseConfig, context: Context) -> None:
    initial = config.initial
    seen = _path(initial.mask2former, "mask2former", "a Mask2Former trained on COCO's instances", context)
    heard = _path(initial.audio, "audio", "VGGish's weights, vggish-10086976.pth of torchvggish", context)
    if seen is not None:
        done = from_mask2former(localiser, seen)
        context.say(f"{seen}: {len(done.taken)} entries taken; {len(done.drawn)} are not in it, and drawn:")
        for line in listed(done.drawn):
            context.say(f"  {line}")
        for line in listed(done.unused):
            context.say(f"  not used: {line}")
    else:
        context.say(
            "NOTE: mask2former is none: the localiser begins with random weights, as Mask2Former draws."
        )
    if heard is not None:
        fill_audio_encoder(ears, heard)
    else:
        context.say("NOTE: audio is none: the ears are random and stay so; this is a trial, not training.")


def _path(given: str | None, key: str, what: str, context: Context) -> Path | None:
    where = f"stages.{context.name}.initial.{key}"
    if given is None:
        raise ModelError(
            f"{where}: found nothing, expected the path of {what}, or `{NONE}` for random weights"
        )
    if given == NONE:
        return None
    try:
        path = weights_path(given)
    except ModelError as error:
        raise ModelError(f"{where}: {error}; or set it to `{NONE}` for random weights") from error
    if not path.is_file():
        raise ModelError(
            f"{where}: {given}: no such file; fetch {what} (docs/training.md says where), "
            f"or set it to `{NONE}` for random weights"
        )
    return path
