"""Weights in the authors' published layout, and the table between its names and ours.

A checkpoint is a `.pth` with its tensors under `model` (or a safetensors file with the same names). Every
module takes its own part of it; a missing, extra or misshapen entry is an error that lists the names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from model.depot.shelf import named
from model.errors import ModelError
from model.standin import fill_with_stand_in

# Weights that come with the project.
SHELF = Path(__file__).with_name("weights")
BUNDLED = "bundled:"
# Weights that `run_pipeline.py weights fetch` has put into the cache.
FETCHED = "fetched:"

# Ours -> the authors'. Applied in order to names of the form `<part>.<module path>`; the first match wins.
_DECODER = "sem_seg_head.pixel_decoder."
_FUSION = _DECODER + "transformer.encoder.vl_layer.b_attn."
_PREDICTOR = "sem_seg_head.predictor."
RENAMES: tuple[tuple[str, str], ...] = (
    (r"audio_encoder\.(.*)", r"audio_encoder.audio_backbone.\1"),
    (r"clip\.(.*)", r"clip_adapter.clip_model.\1"),
    (r"localiser\.backbone\.(.*)", r"backbone.\1"),
    (r"localiser\.early_fusion\.projections\.(.*)", _DECODER + r"input_proj.\1"),
    (r"localiser\.early_fusion\.exchange\.norm_visual\.(.*)", _FUSION + r"layer_norm_v.\1"),
    (r"localiser\.early_fusion\.exchange\.norm_audio\.(.*)", _FUSION + r"layer_norm_l.\1"),
    (r"localiser\.early_fusion\.exchange\.visual_query\.(.*)", _FUSION + r"attn.v_proj.\1"),
    (r"localiser\.early_fusion\.exchange\.audio_key\.(.*)", _FUSION + r"attn.l_proj.\1"),
    (r"localiser\.early_fusion\.exchange\.visual_value\.(.*)", _FUSION + r"attn.values_v_proj.\1"),
    (r"localiser\.early_fusion\.exchange\.audio_value\.(.*)", _FUSION + r"attn.values_l_proj.\1"),
    (r"localiser\.early_fusion\.exchange\.visual_out\.(.*)", _FUSION + r"attn.out_v_proj.\1"),
    (r"localiser\.early_fusion\.exchange\.audio_out\.(.*)", _FUSION + r"attn.out_l_proj.\1"),
    (r"localiser\.early_fusion\.exchange\.gate_visual", _FUSION + "gamma_v"),
    (r"localiser\.early_fusion\.exchange\.gate_audio", _FUSION + "gamma_l"),
    (r"localiser\.pixel_decoder\.level_embed", _DECODER + "transformer.level_embed"),
    (r"localiser\.pixel_decoder\.layers\.(.*)", _DECODER + r"transformer.encoder.layers.\1"),
    (r"localiser\.pixel_decoder\.lateral\.(.*)", _DECODER + r"adapter_1.\1"),
    (r"localiser\.pixel_decoder\.smooth\.(.*)", _DECODER + r"layer_1.\1"),
    (r"localiser\.pixel_decoder\.(mask_features\..*)", _DECODER + r"\1"),
    (r"localiser\.pixel_decoder\.(second_look\..*)", _DECODER + r"\1"),
    (r"localiser\.audio_mask_dec\.layers\.(\d+)\.pixels\.norm\.(.*)",
     _PREDICTOR + r"transformer_cross_attention_layers.\1.norm.\2"),
    (r"localiser\.audio_mask_dec\.layers\.(\d+)\.pixels\.(.*)",
     _PREDICTOR + r"transformer_cross_attention_layers.\1.multihead_attn.\2"),
    (r"localiser\.audio_mask_dec\.layers\.(\d+)\.objects\.norm\.(.*)",
     _PREDICTOR + r"transformer_self_attention_layers.\1.norm.\2"),
    (r"localiser\.audio_mask_dec\.layers\.(\d+)\.objects\.(.*)",
     _PREDICTOR + r"transformer_self_attention_layers.\1.self_attn.\2"),
    (r"localiser\.audio_mask_dec\.layers\.(\d+)\.audio\.norm\.(.*)",
     _PREDICTOR + r"transformer_audio_cross_attention_layers.\1.norm.\2"),
    (r"localiser\.audio_mask_dec\.layers\.(\d+)\.audio\.(.*)",
     _PREDICTOR + r"transformer_audio_cross_attention_layers.\1.multihead_attn.\2"),
    (r"localiser\.audio_mask_dec\.layers\.(\d+)\.feed_forward\.(.*)",
     _PREDICTOR + r"transformer_ffn_layers.\1.\2"),
    (r"localiser\.audio_mask_dec\.audio_into_queries\.norm\.(.*)", _PREDICTOR + r"v2a.norm.\1"),
    (r"localiser\.audio_mask_dec\.audio_into_queries\.(.*)", _PREDICTOR + r"v2a.multihead_attn.\1"),
    (r"localiser\.audio_mask_dec\.audio_self\.norm\.(.*)", _PREDICTOR + r"a2a.norm.\1"),
    (r"localiser\.audio_mask_dec\.audio_self\.(.*)", _PREDICTOR + r"a2a.self_attn.\1"),
    (r"localiser\.audio_mask_dec\.audio_place\.(.*)", _PREDICTOR + r"audio_query_embed.\1"),
    (r"localiser\.audio_mask_dec\.sound_head\.(.*)", _PREDICTOR + r"class_embed.\1"),
    (r"localiser\.audio_mask_dec\.mask_head\.(.*)", _PREDICTOR + r"mask_embed.\1"),
    # Everything else, the entries of the ablations' own modules among it, keeps its name.
    (r"localiser\.audio_mask_dec\.(.*)", _PREDICTOR + r"\1"),
    (r"localiser\.early_fusion\.(.*)", _FUSION + r"\1"),
    (r"localiser\.(alignment\..*)", r"\1"),
)  # fmt: skip

# Which entries of a file belong to which part, so that an extra one can be told from another part's.
PARTS = {
    "localiser": ("backbone.", "sem_seg_head.", "alignment."),
    "audio_encoder": ("audio_encoder.",),
    "clip": ("clip_adapter.clip_model.",),
}
# In the file but of no use here: constants that the code holds or derives, and the loss's class weights.
UNUSED = (
    "clip_adapter.pixel_mean",
    "clip_adapter.pixel_std",
    "criterion.empty_weight",
    "relative_position_index",
)


def checkpoint_name(part: str, own: str) -> str:
    """The authors' name of entry `own` of `part` (`localiser`, `audio_encoder` or `clip`)."""
    for pattern, replacement in RENAMES:
        name, found = re.subn(f"^{pattern}$", replacement, f"{part}.{own}")
        if found:
            return name
    raise KeyError(f"{part}.{own}")


class Weights(Protocol):
    """Named tensors, wherever they come from."""

    def fill(self, part: str, module: nn.Module) -> None:
        """Put this part's weights into `module`; raises `ModelError` when they do not fit."""


class StandInWeights:
    """A pure function of name, shape and salt: right in shape and scale, without any meaning."""

    def __init__(self, salt: int = 0) -> None:
        self.salt = salt

    def fill(self, part: str, module: nn.Module) -> None:
        fill_with_stand_in(module, self.salt, name_of=lambda own: checkpoint_name(part, own))


class CheckpointWeights:
    """Weights from a file in the authors' layout."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tensors = {name: value for name, value in _read(path).items() if not name.endswith(UNUSED)}
        known = tuple(prefix for prefixes in PARTS.values() for prefix in prefixes)
        stray = [name for name in self.tensors if not name.startswith(known)]
        if stray:
            raise ModelError(f"{path}: not an OV-AVSS checkpoint: {_listed('extra', stray)}")

    def fill(self, part: str, module: nn.Module) -> None:
        wanted = {checkpoint_name(part, own): value for own, value in _entries(part, module)}
        held = {name for name in self.tensors if name.startswith(PARTS[part])}
        wrong = [
            f"{name} {tuple(self.tensors[name].shape)} instead of {tuple(wanted[name].shape)}"
            for name in sorted(held & wanted.keys())
            if self.tensors[name].shape != wanted[name].shape
        ]
        faults = [
            _listed("missing", sorted(wanted.keys() - held)),
            _listed("extra", sorted(held - wanted.keys())),
            _listed("misshapen", wrong),
        ]
        if any(faults):
            told = "; ".join(filter(None, faults))
            hint = "if it is of another model, choose that with --model (model.name)"
            raise ModelError(f"{self.path}: does not fit this model's {part}; {hint}: {told}")
        broken = [name for name in wanted if not self.tensors[name].isfinite().all()]
        if broken:
            raise ModelError(f"{self.path}: holds NaN or infinity: {', '.join(broken)}")
        for name, value in wanted.items():
            value.copy_(self.tensors[name])


def open_weights(checkpoint: str | None, salt: int = 0) -> Weights:
    """The weights a configuration names: a file, `bundled:NAME`, `fetched:NAME` or `stand-in`; raises
    `ModelError` when there are none."""
    if checkpoint is None:
        raise ModelError("no weights: give a checkpoint's path, or 'stand-in' for weights without meaning")
    return StandInWeights(salt) if checkpoint == "stand-in" else CheckpointWeights(weights_path(checkpoint))


def weights_path(checkpoint: str) -> Path:
    """The file that a checkpoint's name or path means.

    Whether it is there is not looked at, but for `fetched:NAME`: raises `ModelError`, with how to fetch it.
    """
    if checkpoint.startswith(FETCHED):
        return named(checkpoint.removeprefix(FETCHED))
    bundled = checkpoint.removeprefix(BUNDLED)
    return Path(checkpoint) if bundled == checkpoint else SHELF / f"{bundled}.safetensors"


def _entries(part: str, module: nn.Module) -> Iterable[tuple[str, Tensor]]:
    return [(own, value.detach()) for own, value in module.state_dict().items()]


def _listed(what: str, names: list[str]) -> str:
    return f"{len(names)} {what} ({', '.join(names)})" if names else ""


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint; give the path of the file you downloaded")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Mapped, not read: each node touches only the part it needs.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except Exception as error:  # the formats' readers raise many kinds, and all mean the same to the user
        told = f"cannot be read as a checkpoint ({type(error).__name__})"
        wanted = "expected a .pth or .safetensors file with nothing but tensors in it; fetch it again"
        raise ModelError(f"{path}: {told}: {wanted}") from error
    tensors = content.get("model") if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in tensors.items()
    ):
        raise ModelError(f"{path}: expected a dictionary of tensors under 'model', as the authors publish it")
    return tensors


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"
