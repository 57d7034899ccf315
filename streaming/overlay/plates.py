"""Plates with name and sounding bar at each object; badges and notices in the upper edge."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming.overlay.layer import (
    BLACK,
    WHITE,
    Colour,
    Coverage,
    Layer,
    ascent,
    blurred,
    fitting_text,
    rounded_box,
    text_coverage,
    text_width,
)
from streaming.overlay.layout import Box, bounding_box, place
from streaming.overlay.look import AMBER, DIM, INK, DrawnTrack, Style, lift, track_colour
from streaming.overlay.strip import strip_height


def paint_plate(
    layer: Layer, track: DrawnTrack, style: Style, taken: Sequence[Box], others: NDArray[np.bool_]
) -> Box:
    """Draws name, probability and sounding bar at the object; returns where.

    Args:
        taken: boxes to stay clear of.
        others: the pixels of other objects, shape (H, W).
    """
    height, width = layer.size
    colour = track_colour(track.id)
    percent = "" if track.p is None else f"{round(100 * track.p)} %"
    percent_width = text_width(percent, style.text, 400) + style.pad if percent else 0
    bar = max(2, round(style.text / 5))
    stripe = max(3, style.pad // 2 + 1)
    room = max(style.text, min(2 * width // 3, 20 * style.text) - percent_width)
    label = fitting_text(track.label, style.text, 600, room)
    label_width = text_width(label, style.text, 600)
    inner = max(label_width + percent_width, 3 * style.text)
    plate_width = stripe + inner + 2 * style.pad
    plate_height = style.text + bar + round(2.3 * style.pad)

    around = bounding_box(track.mask)
    assert around is not None
    margin = style.pad // 2
    within = Box(margin, margin, width - 2 * margin, height - strip_height(style) - 2 * margin)
    box = place(plate_width, plate_height, around, within, taken, others)
    _paint_leader(layer, box, track.mask, around, colour, style)

    body = rounded_box(plate_width, plate_height, style.pad * 0.75)
    shadow, grown = blurred(body, style.pad / 2)
    layer.fill(shadow, BLACK, box.x - grown, box.y - grown + style.pad // 3, 0.30)
    layer.fill(body, INK, box.x, box.y, 0.82)
    edge = body.copy()
    edge[:, stripe:] = 0
    layer.fill(edge, colour, box.x, box.y)
    x, y = box.x + stripe + style.pad, box.y + round(0.6 * style.pad)
    layer.fill(text_coverage(label, style.text, 600), WHITE, x, y - lift(style))
    if percent:
        layer.fill(text_coverage(percent, style.text, 400), DIM, x + label_width + style.pad, y - lift(style))
    bar_y = box.y + plate_height - bar - round(0.75 * style.pad)
    trough = rounded_box(inner, bar, bar / 2)
    layer.fill(trough, WHITE, x, bar_y, 0.22)
    filled = trough.copy()
    filled[:, round(inner * min(max(track.sounding, 0.0), 1.0)) :] = 0
    layer.fill(filled, colour, x, bar_y)
    return box


def _paint_leader(
    layer: Layer, box: Box, mask: NDArray[np.bool_], around: Box, colour: Colour, style: Style
) -> None:
    """A line with a dot that ties a plate to its object when it could not be put beside it."""
    nearby = Box(box.x - box.height, box.y - box.height, box.width + 2 * box.height, 3 * box.height)
    if nearby.overlap(around):
        return
    rows, columns = np.nonzero(mask)
    nearest = np.argmin((columns - columns.mean()) ** 2 + (rows - rows.mean()) ** 2)
    foot = (int(columns[nearest]), int(rows[nearest]))
    head = (box.x + box.width // 2, box.y + box.height // 2)
    drawn = np.zeros(layer.size, np.uint8)
    cv2.line(drawn, head, foot, 255, max(1, round(style.outline / 2)), cv2.LINE_AA)
    cv2.circle(drawn, foot, max(2, round(style.outline)), 255, -1, cv2.LINE_AA)
    layer.fill(drawn, colour)


def paint_pill(
    layer: Layer,
    words: str,
    colour: Colour,
    style: Style,
    taken: Sequence[Box],
    *,
    centred: bool = False,
    icon: bool = False,
) -> Box:
    """Draws a line of words in the upper edge, below what is taken there; returns where."""
    _height, width = layer.size
    size = max(8, round(style.text * 0.9))
    icon_width = round(1.5 * size) if icon else 0
    side = round(1.6 * style.pad)
    line = fitting_text(words, size, 500, width - 2 * (side + style.pad) - icon_width)
    pill_width = text_width(line, size, 500) + icon_width + 2 * side
    pill_height = size + round(1.3 * style.pad)
    x = (width - pill_width) // 2 if centred else style.pad
    box = Box(x, style.pad, pill_width, pill_height)
    while any(box.overlap(other) for other in taken[1:]):
        box = Box(box.x, box.y + pill_height + style.pad // 2, pill_width, pill_height)
    body = rounded_box(pill_width, pill_height, pill_height / 2)
    layer.fill(body, INK, box.x, box.y, 0.72)
    x, y = box.x + side, box.y + round(0.65 * style.pad)
    if icon:
        layer.fill(_speaker(size), AMBER, x, y)
    layer.fill(
        text_coverage(line, size, 500), colour, x + icon_width, y - (ascent(size) - round(0.86 * size))
    )
    return box


def _speaker(size: int) -> Coverage:
    """A loudspeaker with two waves, drawn large and shrunk."""
    scale, grain = 8, 8 * size
    drawn = np.zeros((grain, round(1.35 * size) * scale), np.uint8)

    def at(x: float, y: float) -> tuple[int, int]:
        return round(x * grain), round(y * grain)

    cone = np.array(
        [at(0.02, 0.34), at(0.22, 0.34), at(0.48, 0.1), at(0.48, 0.9), at(0.22, 0.66), at(0.02, 0.66)]
    )
    cv2.fillPoly(drawn, [cone], 255)
    for radius in (0.26, 0.5):
        reach = (round(radius * grain), round(radius * grain))
        cv2.ellipse(drawn, at(0.56, 0.5), reach, 0, -48, 48, 255, round(0.1 * grain))
    shrunk = cv2.resize(drawn, (drawn.shape[1] // scale, size), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.uint8)
