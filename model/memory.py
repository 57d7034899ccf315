"""What AudioMaskDec remembers of snippets, one by one, so that a sliding window looks at each only once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Memory(NamedTuple):
    """What the decoder keeps of snippets; tensors begin with (B, T), or (B,) for a batch of single ones."""

    audio: Tensor  # (..., A) fused audio token
    keys: list[Tensor]  # per decoder layer (..., P of its level, C), position of space included, of time not
    values: list[Tensor]  # per decoder layer (..., P of its level, C)
    level_features: list[Tensor]  # per level (..., C, P): mask features at the level's size
    mask_features: Tensor  # (..., C, H / 4, W / 4)
    aligned: list[Tensor]  # none; or what the head of relations compares: (..., P, D) seen, (..., A) heard

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Memory:
        """The same memory with every tensor changed alike."""
        return Memory(
            change(self.audio),
            [change(x) for x in self.keys],
            [change(x) for x in self.values],
            [change(x) for x in self.level_features],
            change(self.mask_features),
            [change(x) for x in self.aligned],
        )


def joined(memories: list[Memory]) -> Memory:
    """Batches of snippets as one batch."""

    def each(lists: list[list[Tensor]]) -> list[Tensor]:
        return [torch.cat(tensors) for tensors in zip(*lists, strict=True)]

    return Memory(
        torch.cat([m.audio for m in memories]),
        each([m.keys for m in memories]),
        each([m.values for m in memories]),
        each([m.level_features for m in memories]),
        torch.cat([m.mask_features for m in memories]),
        each([m.aligned for m in memories]),
    )


def window_of(snippets: list[Memory]) -> Memory:
    """T single snippets (each without a batch dimension), oldest first, as one window: (1, T, ...)."""
    return joined([snippet.mapped(lambda x: x[None]) for snippet in snippets]).mapped(lambda x: x[None])


def unflatten(memory: Memory, b: int, t: int) -> Memory:
    """(B * T, ...) to (B, T, ...) in every tensor of a memory."""
    return memory.mapped(lambda x: x.unflatten(0, (b, t)))


def single(memory: Memory, place: int = 0) -> Memory:
    """One snippet of a batch, without the batch dimension, and without holding on to the others."""
    return memory.mapped(lambda x: x[place] if len(x) == 1 else x[place].clone())
