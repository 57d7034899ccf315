"""A transparent sheet to draw on once and lay over many pictures: shapes and text as anti-aliased coverage.

A layer keeps what it adds to a picture and what it lets through, so that laying it over costs one
multiplication and one addition, however much has been drawn on it. Everything is 8-bit RGB.
"""

from __future__ import annotations

import math
import unicodedata
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""Shape (H, W, 3), uint8 RGB."""
Coverage = NDArray[np.uint8]
"""Shape (H, W), uint8: 0 leaves a pixel alone, 255 covers it."""
Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


class Layer:
    """A sheet of the picture's size, transparent at first.

    Attributes:
        added: (H, W, 3) uint8, the light the layer adds (colour times opacity).
        passed: (H, W, 3) uint8, the share of the picture's light that it lets through, 255 for all.
    """

    def __init__(self, height: int, width: int) -> None:
        self.added: Picture = np.zeros((height, width, 3), np.uint8)
        self.passed: Picture = np.full((height, width, 3), 255, np.uint8)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.added.shape[0], self.added.shape[1]

    def fill(self, coverage: Coverage, colour: Colour, x: int = 0, y: int = 0, opacity: float = 1.0) -> None:
        """Paints a colour where the coverage says, its corner at (x, y); what lies outside is cut off."""
        levels = np.arange(256) * opacity / 255
        light = (levels[:, None] * np.array(colour)).round().astype(np.uint8)
        self.shade(coverage, light, (255 * (1 - levels)).round().astype(np.uint8), x, y)

    def shade(self, field: Coverage, light: Picture, passed: Coverage, x: int = 0, y: int = 0) -> None:
        """Paints by tables of what each level of the field adds (256, 3) and lets through (256,), uint8."""
        height, width = self.size
        top, left = max(y, 0), max(x, 0)
        bottom, right = min(y + field.shape[0], height), min(x + field.shape[1], width)
        if top >= bottom or left >= right:
            return
        region = np.s_[top:bottom, left:right]
        levels = cv2.merge([np.ascontiguousarray(field[top - y : bottom - y, left - x : right - x])] * 3)
        through = cv2.LUT(levels, passed)
        self.passed[region] = cv2.multiply(self.passed[region], through, scale=1 / 255)
        below = cv2.multiply(self.added[region], through, scale=1 / 255)
        self.added[region] = cv2.add(below, cv2.LUT(levels, light.reshape(1, 256, 3)))

    def over(self, picture: Picture) -> Picture:
        """Returns the picture with the layer laid over it; the picture is left as it was.

        Raises:
            ValueError: the picture is not of the layer's size.
        """
        if picture.shape != self.added.shape:
            raise ValueError(f"the layer is for pictures of {self.added.shape}, found {picture.shape}")
        return np.asarray(cv2.add(cv2.multiply(picture, self.passed, scale=1 / 255), self.added), np.uint8)


@lru_cache(maxsize=64)
def rounded_box(width: int, height: int, radius: float) -> Coverage:
    """Returns the coverage of a filled box with round corners, shape (height, width)."""
    radius = min(radius, width / 2, height / 2)
    across = np.abs(np.arange(width) + 0.5 - width / 2) - (width / 2 - radius)
    down = np.abs(np.arange(height) + 0.5 - height / 2) - (height / 2 - radius)
    outside = np.hypot(np.maximum(across, 0)[None, :], np.maximum(down, 0)[:, None])
    straight = np.maximum(across[None, :], down[:, None])
    distance = np.where(outside > 0, outside, straight) - radius
    return (255 * np.clip(0.5 - distance, 0, 1)).round().astype(np.uint8)


def blurred(coverage: Coverage, sigma: float) -> tuple[Coverage, int]:
    """Returns the coverage with a soft edge, for a shadow, and the margin it has grown by on each side."""
    margin = math.ceil(2.5 * sigma)
    grown = cv2.copyMakeBorder(coverage, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), sigma), np.uint8), margin


@lru_cache(maxsize=4)
def _font(name: str) -> cv2.FontFace:
    return cv2.FontFace(name)


def ascent(size: int) -> int:
    """The baseline's distance from the top of `text_coverage`, in pixels."""
    return math.ceil(size * 1.05)


@lru_cache(maxsize=512)
def text_width(text: str, size: int, weight: int = 500) -> int:
    """The width of `text_coverage` in pixels."""
    x, _y, width, _height = cv2.getTextSize((0, 0), text, (0, 0), _font("sans"), size, weight)
    return max(1, x + width + 1)


@lru_cache(maxsize=512)
def text_coverage(text: str, size: int, weight: int = 500) -> Coverage:
    """Returns a line of text, its baseline `ascent(size)` below the top, whatever letters it has.

    OpenCV carries the font: Latin, Cyrillic, Greek, Hebrew and Chinese are there; a sign that it lacks
    (emoji) becomes a question mark.
    """
    page = np.zeros((math.ceil(size * 1.45), text_width(text, size, weight), 3), np.uint8)
    cv2.putText(page, text, (0, ascent(size)), WHITE, _font("sans"), size, weight)
    return np.ascontiguousarray(page[..., 0])


def fitting_text(text: str, size: int, weight: int, width: int) -> str:
    """Returns the text on one line, shortened with an ellipsis until it is at most `width` pixels wide."""
    line = " ".join("".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text).split())
    if text_width(line, size, weight) <= width:
        return line
    while line and text_width(f"{line}…", size, weight) > width:
        line = line[:-1].rstrip()
    return f"{line}…"
