"""Pictures as other artists might have made them: what a thing is should not depend on who drew it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

_GREY = torch.tensor([0.299, 0.587, 0.114])
# Turns colours about the grey axis: I cos + AXIS sin + MEAN (1 - cos).
_AXIS = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
_MEAN = torch.full((3, 3), 1 / 3)


def mirrored(images: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 3, H, W), half of them the other way round."""
    turned = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(turned[:, None, None, None], images.flip(-1), images)


def recoloured(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Levels 0 to 255, (B, 3, H, W) float; strength is from 0, which changes nothing, to 1.

    Each picture is drawn for by itself: hue, saturation, contrast, brightness; of some the texture is
    filtered at random, of some edges are inked, of a few the colours are turned into their opposites.
    """
    b = len(images)

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    def column(x: Tensor) -> Tensor:
        return x[:, None, None, None]

    invert = rand(b) < 0.02 * strength
    images = torch.einsum("bij,bjhw->bihw", _colour_matrices(rand, b, strength), images)
    middle = images.mean((1, 2, 3), keepdim=True)
    contrast, brightness = 1 + strength * (0.9 * rand(b) - 0.4), 70 * strength * (rand(b) - 0.5)
    images = (images - middle) * column(contrast) + middle + column(brightness)
    images = torch.where(column(invert), 255 - images, images)
    for at in (rand(b) < 0.12 * strength).nonzero()[:, 0].tolist():
        images[at] = _filtered(images[at], generator)
    for at in (rand(b) < 0.2 * strength).nonzero()[:, 0].tolist():
        images[at] = _inked(images[at], 80 + 100 * float(rand(1)))
    noise = torch.randn(images.shape, generator=generator)
    return (images + noise * column(6 * strength * rand(b))).clamp(0, 255)


def _colour_matrices(rand: Callable[..., Tensor], b: int, strength: float) -> Tensor:
    """(B, 3, 3): a turn of the hue, mostly a little, and a change of saturation, down to grey."""
    far, grey, some = rand(b) < 0.25 * strength, rand(b) < 0.12 * strength, rand(b) < 0.5
    angle = (2 * rand(b) - 1) * torch.where(far, math.pi, 0.15 * strength)
    saturation = torch.where(some, 1 + strength * (1.4 * rand(b) - 0.6), 1.0).masked_fill(grey, 0.0)
    one, cos, sin, share = torch.eye(3), *(x[:, None, None] for x in (angle.cos(), angle.sin(), saturation))
    turned = cos * one + sin * _AXIS + (1 - cos) * _MEAN
    return (share * one + (1 - share) * _GREY.expand(3, 3)) @ turned


def _filtered(image: Tensor, generator: torch.Generator) -> Tensor:
    kernel = 0.12 * torch.randn(3, 3, 3, 3, generator=generator)
    kernel[:, :, 1, 1] += torch.eye(3)
    return F.conv2d(image[None], kernel, padding=1)[0]


def _inked(image: Tensor, soft: float) -> Tensor:
    """With dark lines where brightness changes by `soft` or more from pixel to pixel."""
    light = torch.einsum("c,chw->hw", _GREY, image)
    across = F.pad((light[:, 2:] - light[:, :-2]).abs(), (1, 1))
    down = F.pad((light[2:] - light[:-2]).abs(), (0, 0, 1, 1))
    return image * (1 - 0.9 * ((across + down) / soft).clamp(max=1))
