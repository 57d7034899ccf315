"""Masks are compared at a few thousand points instead of at every pixel, most of them where the prediction
is least sure: at the edges, where it can still learn.

The sampling is that of PointRend, in the amounts of Mask2Former, on which the authors' code is built.
Points are (x, y) from 0 to 1 over the picture, so masks of different resolutions are read at the same places.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from model.errors import ModelError


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


def sample(masks: Tensor, points: Tensor) -> Tensor:
    """Bilinear values of masks at points from 0 to 1; beyond the outermost pixels' centres 0 mixes in.

    Points (P, 2) are shared: masks (..., H, W) -> (..., P). Points (M, P, 2) are each mask's own:
    masks (M, H, W) -> (M, P).
    """
    shared = points.ndim == 2
    maps = masks.flatten(0, -3)[None] if shared else masks[:, None]
    grid = 2 * points.to(masks.dtype).unsqueeze(-2) - 1
    values = F.grid_sample(maps, grid[None] if shared else grid, align_corners=False)[..., 0]
    return values[0].unflatten(0, masks.shape[:-2]) if shared else values[:, 0]


def random_points(*shape: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Points (*shape, 2) anywhere; what they are depends on the generator alone, which may live elsewhere."""
    return torch.rand(*shape, 2, generator=generator, device=generator.device).to(device)


@torch.no_grad()
def uncertain_points(logits: Tensor, options: PointOptions, generator: torch.Generator) -> Tensor:
    """Each mask's own points (M, P, 2), most of them where its logits (M, H, W) are nearest to 0."""
    masks, device = len(logits), logits.device
    unsure = int(options.importance * options.count)
    candidates = random_points(
        masks, int(options.oversample * options.count), generator=generator, device=device
    )
    sureness = sample(logits, candidates).abs()
    nearest = sureness.topk(unsure, dim=1, largest=False).indices
    chosen = candidates.gather(1, nearest[..., None].expand(-1, -1, 2))
    anywhere = random_points(masks, options.count - unsure, generator=generator, device=device)
    return torch.cat([chosen, anywhere], dim=1)
