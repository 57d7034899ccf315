"""Stochastic depth: in training, a block of a deep network is now and then passed over by an image.

The network itself knows nothing of it: what a block adds to its input is changed from outside, as the
published code's drop path does, and only while the block is in training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from model.errors import ModelError
from model.localiser import Localiser
from model.swin import Block, Swin


class PassOver:
    """Drops what a branch of a block adds, for some images of a batch, and enlarges it for the others."""

    def __init__(self, block: Block, rate: float) -> None:
        self.rate, self._images = rate, 0
        block.register_forward_pre_hook(self._count)
        for branch in (block.attn, block.mlp):
            branch.register_forward_hook(self._drop)

    def _count(self, block: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._images = len(inputs[0])

    def _drop(self, branch: nn.Module, inputs: tuple[Any, ...], added: Tensor) -> Tensor | None:
        """Attention adds by windows, all of one image before those of the next."""
        if not branch.training:
            return None
        kept = (torch.rand(self._images, device=added.device) >= self.rate) / (1 - self.rate)
        each = kept.repeat_interleave(len(added) // self._images)
        return added * each.to(added.dtype).view(-1, *(1,) * (added.ndim - 1))


def pass_over_blocks(localiser: Localiser, rate: float) -> None:
    """From never for the first block of a Swin up to `rate` for the last. Raises `ModelError` for another."""
    if rate == 0:
        return
    if not isinstance(localiser.backbone, Swin):
        raise ModelError(
            f"drop_path: found {rate:g}, expected 0: only Swin has blocks that can be passed over"
        )
    blocks = [module for module in localiser.backbone.modules() if isinstance(module, Block)]
    for i, block in enumerate(blocks):
        PassOver(block, rate * i / max(1, len(blocks) - 1))
