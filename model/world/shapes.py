"""Plain shapes, one for each emoji: a world without any artist, for tests and for a first try."""

from __future__ import annotations

import colorsys
import math

import numpy as np
from PIL import Image, ImageDraw

_GRAIN = 4  # drawn pixels per pixel


def draw_shape(emoji: str, side: int) -> Image.Image:
    """A star or polygon with a spot, (side, side) RGBA; its form and colours follow from the emoji alone."""
    rng = np.random.default_rng([ord(character) for character in emoji])
    picture = Image.new("RGBA", (side * _GRAIN, side * _GRAIN))
    brush = ImageDraw.Draw(picture)
    hue = rng.uniform()
    corners, waist, turn = int(rng.integers(3, 9)), rng.uniform(0.45, 1.0), rng.uniform(0, 2 * math.pi)
    brush.polygon(_star(corners, waist, turn, side), fill=_colour(hue, rng.uniform(0.6, 1.0)))
    spot = rng.uniform(0.12, 0.28) * side * _GRAIN
    middle = side * _GRAIN / 2
    brush.ellipse(
        (middle - spot, middle - spot, middle + spot, middle + spot),
        fill=_colour(hue + rng.uniform(0.3, 0.7), 0.9),
    )
    return picture.resize((side, side), Image.Resampling.BOX)


def _star(corners: int, waist: float, turn: float, side: int) -> list[tuple[float, float]]:
    middle = side * _GRAIN / 2
    outline = []
    for step in range(2 * corners):
        radius = middle * (0.98 if step % 2 == 0 else 0.98 * waist)
        angle = turn + math.pi * step / corners
        outline.append((middle + radius * math.cos(angle), middle + radius * math.sin(angle)))
    return outline


def _colour(hue: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, 0.75, value)
    return round(255 * red), round(255 * green), round(255 * blue)
