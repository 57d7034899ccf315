"""Masks are compared at a few thousand points instead of at every pixel, most of them where the prediction
is least sure: at the edges, where it can still learn.

The sampling is that of PointRend, in the amounts of Mask2Former, on which the authors' code is built.
Points are (x, y) from 0 to 1 over the picture, so masks of different resolutions are read at the same places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from model.errors import ModelError
from model.pixel_decoder import neighbours


@dataclass(frozen=True)
class PointOptions:
    """How many points a mask is read at, and how they are chosen."""

    count: int = 12_544  # 112 x 112
    oversample: float = 3.0  # candidates per point, of which the least sure are taken
    importance: float = 0.75  # share of points chosen so; the rest fall anywhere

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ModelError(f"found {self.count} points per mask, expected 1 or more")
        if self.oversample < 1:
            raise ModelError(f"found {self.oversample} candidates per point, expected 1 or more")
        if not 0 <= self.importance <= 1:
            raise ModelError(f"found {self.importance} as the share of unsure points, expected 0 to 1")

    @property
    def unsure(self) -> int:
        return int(self.importance * self.count)


def sample(masks: Tensor, points: Tensor) -> Tensor:
    """Bilinear values of masks at points from 0 to 1; beyond the outermost pixels' centres 0 mixes in.

    Points (P, 2) are shared: masks (..., H, W) -> (..., P). Points (M, P, 2) are each one's own:
    masks (M, ..., H, W) -> (M, ..., P).
    """
    if points.ndim == 2:
        return sample(masks[None], points[None])[0]
    maps = masks.flatten(1, -3) if masks.ndim > 3 else masks[:, None]
    grid = 2 * points.to(masks.dtype).unsqueeze(-2) - 1
    values = F.grid_sample(maps, grid, align_corners=False)[..., 0]
    return values.view(*masks.shape[:-2], points.shape[-2])


def random_points(*shape: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Points (*shape, 2) anywhere; what they are depends on the generator alone, which may live elsewhere."""
    return torch.rand(*shape, 2, generator=generator, device=generator.device).to(device)


def read(masks: Tensor, which: Tensor, points: Tensor) -> Tensor:
    """`sample` of masks[which] (M,) at each one's own points (M, P, 2), without copying masks.

    Masks (K, H, W) are bool, as truth is; values have the points' precision.
    """
    h, w = masks.shape[-2:]
    x, y = (points * torch.tensor([w, h], device=points.device) - 0.5).unbind(-1)
    flat, first = masks.flatten(), (which * (h * w))[:, None]
    found = torch.zeros_like(x)
    for row, share_y in neighbours(y, h):
        for column, share_x in neighbours(x, w):
            found += share_y * share_x * flat[first + row * w + column]
    return found


class Draw(NamedTuple):
    """Points drawn for M masks, from which `uncertain_points` takes."""

    candidates: Tensor  # (M, P', 2)
    anywhere: Tensor  # (M, P'', 2)

    @classmethod
    def of(cls, masks: int, options: PointOptions, generator: torch.Generator, device: torch.device) -> Draw:
        counts = int(options.oversample * options.count), options.count - options.unsure
        return cls(*(random_points(masks, n, generator=generator, device=device) for n in counts))


@torch.no_grad()
def uncertain_points(logits: Tensor, options: PointOptions, drawn: Draw) -> Tensor:
    """Each mask's own points (M, P, 2), most of them where its logits (M, H, W) are nearest to 0."""
    sureness = sample(logits, drawn.candidates).abs()
    nearest = sureness.topk(options.unsure, dim=1, largest=False).indices
    chosen = drawn.candidates.gather(1, nearest[..., None].expand(-1, -1, 2))
    return torch.cat([chosen, drawn.anywhere], dim=1)
