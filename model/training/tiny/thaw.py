"""Normalisations that are fixed in use, but learn while their network is taught from nothing."""

from __future__ import annotations

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


def _thawed(frozen: FrozenBatchNorm) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(len(frozen.weight), eps=frozen.eps)
    norm.num_batches_tracked = None  # a frozen one has no such entry
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(norm, name).copy_(getattr(frozen, name))
    return norm
