"""The look of the answer: tinted masks, crisp outlines, a plate with name and sounding bar at each object.

What changes once per snippet (masks, plates, badges) is composed into a `Layer`; what changes with every
frame (time, level meter) is drawn by `draw_strip`. All sizes follow the picture's short side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streaming.overlay.layer import WHITE, Layer, Picture
from streaming.overlay.layout import Box
from streaming.overlay.look import AMBER, DrawnTrack, Style
from streaming.overlay.masks import paint_mask
from streaming.overlay.plates import paint_pill, paint_plate
from streaming.overlay.strip import draw_strip, paint_ground, strip_height

__all__ = ["DrawnTrack", "Layer", "compose", "draw", "draw_strip"]


def compose(
    tracks: Sequence[DrawnTrack], height: int, width: int, *, offscreen: str | None = None, notice: str = ""
) -> Layer:
    """Draws everything that stays for a whole snippet.

    Args:
        tracks: what sounds and where; drawn in the order of their ids.
        offscreen: what the badge of a sound whose source is not in the picture says; None: no badge.
        notice: a caption in the upper edge, such as a warning about the weights.
    """
    style = Style.of(height, width)
    layer = Layer(height, width)
    ordered = sorted(tracks, key=lambda track: track.id)
    for track in ordered:
        paint_mask(layer, track, style)
    taken = [Box(0, height - strip_height(style), width, strip_height(style))]
    if notice:
        taken.append(paint_pill(layer, notice, AMBER, style, taken, centred=True))
    if offscreen is not None:
        taken.append(paint_pill(layer, offscreen, WHITE, style, taken, icon=True))
    owners = np.sum([track.mask for track in ordered], axis=0, dtype=np.int32)
    for track in ordered:
        if track.mask.any():
            taken.append(paint_plate(layer, track, style, taken, owners > track.mask))
    paint_ground(layer, style)
    return layer


def draw(
    picture: Picture,
    tracks: Sequence[DrawnTrack],
    *,
    t_s: float,
    level_dbfs: float | None,
    offscreen: str | None = None,
    notice: str = "",
) -> Picture:
    """Returns one picture with everything on it; a moving picture is cheaper with a kept layer."""
    height, width = picture.shape[:2]
    drawn = compose(tracks, height, width, offscreen=offscreen, notice=notice).over(picture)
    draw_strip(drawn, t_s=t_s, level_dbfs=level_dbfs)
    return drawn
