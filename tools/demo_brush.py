"""A brush for the demo clip: smooth shapes with gradients, drawn at twice the size and shrunk.

Blending is done in integers, so that every machine draws the same bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.demo_score import HEIGHT, WIDTH

GRAIN = 2  # drawn pixels per pixel
SHIFT = 4  # sub-pixel bits of OpenCV's drawing

Colour = tuple[int, int, int]
Points = NDArray[np.float64]


def points(*pairs: tuple[float, float]) -> Points:
    """Corner points, shape (n, 2), in pixels of the finished picture."""
    return np.array(pairs, np.float64)


def smooth(corners: Points, steps: int = 8) -> Points:
    """A closed curve through the corners (uniform Catmull-Rom)."""
    t = np.arange(steps)[:, None] / steps
    before, start, end, after = (np.roll(corners, shift, axis=0)[:, None] for shift in (1, 0, -1, -2))
    slopes = (end - before, 2 * before - 5 * start + 4 * end - after, 3 * (start - end) + after - before)
    curve = 2 * start + slopes[0] * t + slopes[1] * t * t + slopes[2] * t * t * t
    return (curve / 2).reshape(-1, 2)


def oval(x: float, y: float, across: float, down: float, degrees: float = 0.0) -> Points:
    """An ellipse by its centre and half axes."""
    angle = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    return turned(np.stack([x + across * np.cos(angle), y + down * np.sin(angle)], axis=1), (x, y), degrees)


def turned(shape: Points, about: tuple[float, float], degrees: float) -> Points:
    """The shape turned clockwise about a point."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (shape - about) @ np.array([[c, s], [-s, c]]) + about


@dataclass
class Canvas:
    """A picture under the brush, at twice its size, that keeps which pixels show which named thing."""

    picture: NDArray[np.uint8]
    shows: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    def fill(
        self,
        shape: Points,
        colour: Colour,
        below: Colour | None = None,
        *,
        name: str = "",
        opacity: float = 1.0,
        blur: float = 0.0,
        stroke: float = 0.0,
        behind: NDArray[np.uint8] | None = None,
    ) -> None:
        """Fills a shape, or with `stroke` draws its line of that width; `below` is the colour at its foot."""
        margin = math.ceil(3 * blur + stroke) + 2
        low = np.floor((shape.min(axis=0) - margin) * GRAIN).astype(int)
        high = np.ceil((shape.max(axis=0) + margin) * GRAIN).astype(int)
        left, top = np.maximum(low, 0)
        right, bottom = np.minimum(high, self.picture.shape[1::-1])
        if left >= right or top >= bottom:
            return
        cover = np.zeros((bottom - top, right - left), np.uint8)
        fixed = np.round((shape * GRAIN - (left, top)) * (1 << SHIFT)).astype(np.int32)
        if stroke:
            cv2.polylines(cover, [fixed], False, 255, round(stroke * GRAIN), cv2.LINE_AA, SHIFT)
        else:
            cv2.fillPoly(cover, [fixed], 255, cv2.LINE_AA, SHIFT)
        if blur:
            cover = cv2.GaussianBlur(cover, (0, 0), blur * GRAIN)
        region = np.s_[top:bottom, left:right]
        if behind is not None:
            cover = mixed(cover, 0, behind[region])
        rows = np.linspace(colour, below or colour, max(2, high[1] - low[1]))[top - low[1] : bottom - low[1]]
        paint = np.round(rows).astype(np.uint8)[:, None, :]
        weight = (cover.astype(np.uint16) * round(255 * opacity) + 127) // 255
        self.picture[region] = mixed(self.picture[region], paint, weight[..., None])
        if name and not blur and opacity == 1:
            for other, seen in self.shows.items():
                seen[region] = mixed(seen[region], 255 if other == name else 0, cover)

    def finished(self) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.bool_]]]:
        """The picture at its own size, and for each named thing its mask."""
        size = (WIDTH, HEIGHT)
        masks = {
            name: cv2.resize(seen, size, interpolation=cv2.INTER_AREA) > 127
            for name, seen in self.shows.items()
        }
        return np.asarray(cv2.resize(self.picture, size, interpolation=cv2.INTER_AREA), np.uint8), masks


def mixed(below: Any, above: Any, weight: NDArray[Any]) -> NDArray[np.uint8]:
    """Integer blend, the same on every machine; weight 0..255."""
    share = weight.astype(np.uint32)
    return ((below * (255 - share) + above * share + 127) // 255).astype(np.uint8)
