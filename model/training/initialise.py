"""Initial weights: Mask2Former's for what OV-AVSS has of it, VGGish's for the ears, CLIP's for the names.

The published model began from a Mask2Former that was trained on COCO's instances. What sound needs has no
counterpart there and begins as it was drawn (`fresh.py`), as does the head that tells sounding from silent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from model.checkpoint import UNUSED, CheckpointWeights, checkpoint_name
from model.errors import ModelError
from model.localiser import Localiser
from model.training.arrays import read_tensors

HEAD = "sem_seg_head.predictor.class_embed."  # COCO's classes there, two here
AUDIO, CLIP = "audio_encoder.audio_backbone.", "clip_adapter.clip_model."
# In OpenAI's files, but of no use here: numbers that the architecture implies.
NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size")


@dataclass(frozen=True)
class Initialised:
    """What became of the entries of a file: names taken, left as drawn here, left over there."""

    taken: tuple[str, ...]
    drawn: tuple[str, ...]
    unused: tuple[str, ...]


def from_mask2former(localiser: Localiser, path: Path) -> Initialised:
    """Fills a localiser from a Mask2Former for pictures or for video, .pkl of detectron2 or .pth.

    Raises `ModelError` if the file has another backbone, or an entry but the head's has another shape.
    """
    held = {_present_name(name): value for name, value in read_tensors(path).items()}
    wanted = {checkpoint_name("localiser", own): value for own, value in localiser.state_dict().items()}
    taken = [name for name in wanted if name in held and not name.startswith(HEAD)]
    drawn = [name for name in wanted if name not in taken]
    if lacking := [name for name in drawn if name.startswith("backbone.")]:
        told = f"found no {lacking[0]} nor {len(lacking) - 1} other entries of this model's backbone"
        raise ModelError(f"{path}: {told}; expected a Mask2Former with the same backbone")
    _require_shapes(path, {name: wanted[name] for name in taken}, held)
    with torch.no_grad():
        for name in taken:
            wanted[name].copy_(held[name])
    unused = [name for name in held if name not in taken and not name.endswith(UNUSED)]
    return Initialised(tuple(taken), tuple(drawn), tuple(unused))


def fill_audio_encoder(encoder: nn.Module, path: Path) -> None:
    """Fills VGGish from the file of torchvggish, or from the authors' checkpoint. Raises `ModelError`."""
    wanted = encoder.state_dict()
    held = _part(read_tensors(path), AUDIO)
    _require_all(path, "VGGish", wanted, held)
    encoder.load_state_dict({name: held[name] for name in wanted})


def fill_senses(localiser: Localiser, ears: nn.Module, path: Path) -> None:
    """Fills backbone, alignment and audio encoder from a model that has learnt the rest as well.

    Raises `ModelError`.
    """
    weights = CheckpointWeights(path)
    weights.fill("audio_encoder", ears)
    for name in ("backbone", "alignment"):
        part = getattr(localiser, name)
        for own, value in part.state_dict().items() if part is not None else ():
            entry = checkpoint_name("localiser", f"{name}.{own}")
            found = weights.tensors.get(entry)
            if found is None or found.shape != value.shape:
                told = "nothing" if found is None else tuple(found.shape)
                raise ModelError(f"{path}: {entry}: found {told}, expected {tuple(value.shape)}")
            value.copy_(found)


def clip_tensors(model: nn.Module, path: Path) -> dict[str, Tensor]:
    """CLIP's weights under the authors' names: from OpenAI's file, one of open_clip, or the authors' own.

    `model` says which are wanted; it is not filled. Raises `ModelError`.
    """
    wanted = model.state_dict()
    held = {name: x for name, x in _part(read_tensors(path), CLIP).items() if name not in NOT_WEIGHTS}
    _require_all(path, "this CLIP", wanted, held)
    return {checkpoint_name("clip", own): held[own].float() for own in wanted}


def listed(names: tuple[str, ...]) -> list[str]:
    """Names in few lines: those that differ in a number only share one, with how many they are."""
    return [
        name if count == 1 else f"{name} ({count})"
        for name, count in Counter(re.sub(r"\.\d+\.", ".*.", name) for name in names).items()
    ]


def _present_name(name: str) -> str:
    """Mask2Former renamed some entries after its first checkpoints were published."""
    name = name.replace("predictor.static_query.", "predictor.query_feat.")
    return re.sub(r"^sem_seg_head\.(?!predictor\.|pixel_decoder\.)", "sem_seg_head.pixel_decoder.", name)


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries of one part where a file has several, else all."""
    own = {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}
    return own or dict(tensors)


def _require_all(path: Path, what: str, wanted: Mapping[str, Tensor], held: Mapping[str, Tensor]) -> None:
    missing = [name for name in wanted if name not in held]
    if missing:
        raise ModelError(f"{path}: found no {missing[0]} and lacks {len(missing)} entries in all of {what}")
    _require_shapes(path, wanted, held)


def _require_shapes(path: Path, wanted: Mapping[str, Tensor], held: Mapping[str, Tensor]) -> None:
    for name, value in wanted.items():
        if held[name].shape != value.shape:
            raise ModelError(
                f"{path}: {name}: found the shape {tuple(held[name].shape)}, expected {tuple(value.shape)}"
            )
        if not held[name].isfinite().all():
            raise ModelError(f"{path}: {name}: found NaN or infinity, expected numbers")
