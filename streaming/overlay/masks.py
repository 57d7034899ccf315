"""Masks as they are drawn: soft stairs, a tint inside, a crisp outline with a dark rim."""

from __future__ import annotations

import math
from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming.overlay.layer import BLACK, Colour, Coverage, Layer, Picture
from streaming.overlay.layout import bounding_box
from streaming.overlay.look import DrawnTrack, Style, track_colour


def soft_mask(mask: NDArray[np.bool_], height: int, width: int, softness: float) -> Coverage:
    """Returns a mask at the picture's size with its stairs smoothed away.

    The level across a straight edge is the normal distribution of the distance to it, in units of `softness`
    pixels: 127.5 on the edge, 255 well inside.

    Args:
        mask: shape (h, w) bool, of any size.
    """
    levels = mask.astype(np.uint8) * np.uint8(255)
    if levels.shape != (height, width):
        shrinks = levels.shape[0] > height
        levels = cv2.resize(
            levels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
    soft = cv2.GaussianBlur(levels, (0, 0), softness, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(soft, np.uint8)


def paint_mask(layer: Layer, track: DrawnTrack, style: Style) -> None:
    """Draws a track's mask in its colour, the stronger the surer its sound.

    Raises:
        ValueError: the mask is not of the layer's size.
    """
    height, width = layer.size
    if track.mask.shape != (height, width):
        raise ValueError(f"the mask of track {track.id} is {track.mask.shape}, the picture {height, width}")
    around = bounding_box(track.mask)
    if around is None:
        return
    margin = math.ceil(3 * style.softness + style.outline) + 1
    left, top = max(0, around.x - margin), max(0, around.y - margin)
    near = track.mask[top : around.y + around.height + margin, left : around.x + around.width + margin]
    field = soft_mask(near, near.shape[0], near.shape[1], style.softness)
    light, passed = _mask_tables(track_colour(track.id), min(max(track.sounding, 0.0), 1.0), style)
    layer.shade(field, light, passed, left, top)


def _mask_tables(colour: Colour, sounding: float, style: Style) -> tuple[Picture, Coverage]:
    """What each level of a soft mask adds and passes: tint inside, line on the edge, dark rim outside."""
    share = (np.arange(256) + 0.5) / 256
    inside = style.softness * np.array(
        [NormalDist().inv_cdf(level) for level in share]
    )  # signed distance, px
    tint = (0.12 + 0.24 * sounding) * np.clip(inside + 0.5, 0, 1)
    line = np.clip(style.outline / 2 + 0.5 - np.abs(inside), 0, 1)
    rim = 0.35 * np.clip(style.outline + 0.5 - np.abs(inside), 0, 1) * (inside < 0)
    rim[0] = tint[0] = line[0] = 0.0
    light, passed = np.zeros((256, 3)), np.ones(256)
    for opacity, paint in ((rim, BLACK), (tint, colour), (line, colour)):
        light = light * (1 - opacity[:, None]) + opacity[:, None] * np.array(paint)
        passed = passed * (1 - opacity)
    return light.round().astype(np.uint8), (255 * passed).round().astype(np.uint8)
