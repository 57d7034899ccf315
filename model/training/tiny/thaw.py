"""Normalisations that are fixed in use, but learn while their network is taught from nothing."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from model.layers import FrozenBatchNorm


def thaw(module: nn.Module) -> None:
    """Lets every frozen normalisation inside learn; entries keep their names and shapes."""
    for name, child in module.named_children():
        if isinstance(child, FrozenBatchNorm):
            setattr(module, name, _thawed(child))
        else:
            thaw(child)


class LearningNorm(nn.BatchNorm2d):
    """Batch normalisation with the entries of a frozen one: batches are not counted."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__(channels, eps=eps)
        self.num_batches_tracked = None

    def _load_from_state_dict(self, *args: Any) -> None:
        # The library's own adds the counter that it takes for missing.
        nn.Module._load_from_state_dict(self, *args)


def _thawed(frozen: FrozenBatchNorm) -> LearningNorm:
    norm = LearningNorm(len(frozen.weight), frozen.eps)
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(norm, name).copy_(getattr(frozen, name))
    return norm
