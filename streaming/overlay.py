"""The look of the answer: tinted masks, crisp outlines, a plate with name and sounding bar at each object.

What changes once per snippet (masks, plates, badges) is composed into a `Layer`; what changes with every
frame (time, level meter) is drawn by `draw_strip`. All sizes follow the picture's short side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming.layer import (
    BLACK,
    WHITE,
    Colour,
    Coverage,
    Layer,
    Picture,
    ascent,
    blurred,
    fitting_text,
    rounded_box,
    text_coverage,
    text_width,
)

# Eight colours whose pairs stay apart for normal, red-, green- and blue-blind eyes; the first five most.
PALETTE: tuple[Colour, ...] = (
    (99, 250, 255),
    (255, 111, 10),
    (255, 228, 92),
    (166, 135, 255),
    (0, 182, 154),
    (230, 160, 231),
    (92, 103, 238),
    (222, 52, 60),
)
INK: Colour = (16, 18, 24)
AMBER: Colour = (255, 196, 61)
DIM: Colour = (176, 184, 196)
METER_FLOOR_DBFS = -60.0
METER_CELLS = 16


@dataclass(frozen=True, kw_only=True)
class DrawnTrack:
    """One sounding object as it is drawn.

    Attributes:
        p: probability of the label, 0..1; None leaves it out of the plate.
        sounding: how surely it sounds, 0..1.
        mask: shape (H, W) bool, of the picture's size.
    """

    id: int
    label: str
    p: float | None
    sounding: float
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Style:
    """Lengths in pixels for a picture of a given size."""

    text: int
    pad: int
    outline: float
    softness: float

    @classmethod
    def of(cls, height: int, width: int) -> Style:
        """The style for a picture: readable at 360 lines, not shouting at 1080."""
        short = min(height, width)
        return cls(
            text=max(9, round(15 * (short / 360) ** 0.85)),
            pad=max(3, round(short / 60)),
            outline=max(1.5, short / 200),
            softness=max(1.0, short / 280),
        )


def track_colour(track_id: int) -> Colour:
    """The colour of a track, the same for ever, RGB."""
    return PALETTE[track_id % len(PALETTE)]


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


def compose(
    tracks: Sequence[DrawnTrack], height: int, width: int, *, offscreen: bool = False, notice: str = ""
) -> Layer:
    """Draws everything that stays for a whole snippet.

    Args:
        tracks: what sounds and where; drawn in the order of their ids.
        offscreen: shows the badge that a sound is heard whose source is not in the picture.
        notice: a caption in the upper edge, such as a warning about the weights.
    """
    style = Style.of(height, width)
    layer = Layer(height, width)
    ordered = sorted(tracks, key=lambda track: track.id)
    for track in ordered:
        _paint_mask(layer, track, style)
    taken = [Box(0, height - strip_height(style), width, strip_height(style))]
    if notice:
        taken.append(_paint_pill(layer, notice, AMBER, style, taken, centred=True))
    if offscreen:
        taken.append(_paint_pill(layer, "offscreen sound", WHITE, style, taken, icon=True))
    owners = np.sum([track.mask for track in ordered], axis=0, dtype=np.int32)
    for track in ordered:
        if track.mask.any():
            taken.append(_paint_plate(layer, track, style, taken, owners > track.mask))
    _paint_strip_ground(layer, style)
    return layer


def draw(
    picture: Picture,
    tracks: Sequence[DrawnTrack],
    *,
    t_s: float,
    level_dbfs: float | None,
    offscreen: bool = False,
    notice: str = "",
) -> Picture:
    """Returns one picture with everything on it; a moving picture is cheaper with a kept layer."""
    height, width = picture.shape[:2]
    drawn = compose(tracks, height, width, offscreen=offscreen, notice=notice).over(picture)
    draw_strip(drawn, t_s=t_s, level_dbfs=level_dbfs)
    return drawn


def strip_height(style: Style) -> int:
    """Height in pixels of the bottom strip."""
    return style.text + 2 * style.pad


def draw_strip(picture: Picture, *, t_s: float, level_dbfs: float | None) -> None:
    """Draws stream time and level meter into the bottom strip, in place.

    Args:
        level_dbfs: level of the sound at this moment; None for a source without sound.
    """
    height, width = picture.shape[:2]
    style = Style.of(height, width)
    top = height - strip_height(style)
    strip = Layer(strip_height(style), width)
    baseline = style.pad
    x = style.pad * 2
    digit = text_width("00", style.text, 500) - text_width("0", style.text, 500)
    for sign in clock_text(t_s):
        cell = digit if sign.isdigit() else text_width(sign, style.text, 500)
        glyph = text_coverage(sign, style.text, 500)
        strip.fill(glyph, WHITE, x + (cell - glyph.shape[1]) // 2, baseline - _lift(style))
        x += cell
    right = width - style.pad * 2
    if level_dbfs is None:
        words = text_coverage("no sound", style.text, 400)
        strip.fill(words, DIM, right - words.shape[1], baseline - _lift(style))
    else:
        _paint_meter(strip, level_dbfs, right, style)
    picture[top:] = strip.over(np.ascontiguousarray(picture[top:]))


def clock_text(t_s: float) -> str:
    """Stream time as people write it: 0:07.4, 12:34.5, 1:02:03.4."""
    tenths = math.floor(abs(t_s) * 10 + 1e-6)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{'-' if t_s < 0 else ''}{clock}:{tenths // 10:02d}.{tenths % 10}"


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    x: int
    y: int
    width: int
    height: int

    def overlap(self, other: Box) -> int:
        """Common area in pixels."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(0, across) * max(0, down)


def place(
    width: int,
    height: int,
    around: Box,
    within: Box,
    taken: Sequence[Box],
    others: NDArray[np.bool_] | None = None,
) -> Box:
    """Finds the place for a plate: above the object if it can be, else inside its top, below or beside it.

    It always lies within the picture (a plate larger than the picture starts at its corner). Among the places
    it takes one that covers nothing of what is taken, little of `others` (the pixels of other objects, shape
    (H, W)), and is near to its first wish.
    """
    middle = around.x + (around.width - width) // 2
    beside = around.y + (around.height - height) // 2
    gap = max(2, height // 6)
    wishes = [
        (middle, around.y - height - gap),
        (middle, around.y + gap),
        (middle, around.y + around.height + gap),
        (around.x + around.width + gap, beside),
        (around.x - width - gap, beside),
    ]
    wishes += [(middle, around.y + (height + gap) * step) for step in (-2, 1, -3, 2, 3)]
    best, least = Box(0, 0, width, height), math.inf
    for rank, (x, y) in enumerate(wishes):
        box = Box(
            max(within.x, min(x, within.x + within.width - width)),
            max(within.y, min(y, within.y + within.height - height)),
            width,
            height,
        )
        covered = sum(box.overlap(other) for other in taken)
        moved = math.hypot(box.x - x, box.y - y) / height
        cost = rank + 4 * moved + (100 + 100 * covered / (width * height) if covered else 0)
        if others is not None:
            hidden = others[box.y : box.y + height, box.x : box.x + width]
            cost += 6 * float(hidden.mean()) if hidden.size else 0
        if cost < least:
            best, least = box, cost
    return best


def _paint_mask(layer: Layer, track: DrawnTrack, style: Style) -> None:
    height, width = layer.size
    if track.mask.shape != (height, width):
        raise ValueError(f"the mask of track {track.id} is {track.mask.shape}, the picture {height, width}")
    around = _bounding_box(track.mask)
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


def _paint_plate(
    layer: Layer, track: DrawnTrack, style: Style, taken: Sequence[Box], others: NDArray[np.bool_]
) -> Box:
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

    around = _bounding_box(track.mask)
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
    layer.fill(text_coverage(label, style.text, 600), WHITE, x, y - _lift(style))
    if percent:
        layer.fill(
            text_coverage(percent, style.text, 400), DIM, x + label_width + style.pad, y - _lift(style)
        )
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


def _paint_pill(
    layer: Layer,
    words: str,
    colour: Colour,
    style: Style,
    taken: Sequence[Box],
    *,
    centred: bool = False,
    icon: bool = False,
) -> Box:
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


def _paint_strip_ground(layer: Layer, style: Style) -> None:
    height, width = layer.size
    tall = min(height, round(1.6 * strip_height(style)))
    fade = np.clip(np.linspace(0, 1.5, tall), 0, 1)
    layer.fill(np.repeat((255 * fade).astype(np.uint8)[:, None], width, 1), INK, 0, height - tall, 0.62)


def _paint_meter(strip: Layer, level_dbfs: float, right: int, style: Style) -> None:
    """A row of cells that light up from the left; the last ones, near clipping, in amber."""
    share = 1 - min(max(level_dbfs, METER_FLOOR_DBFS), 0.0) / METER_FLOOR_DBFS
    cell, gap = max(2, round(style.text * 0.32)), max(1, round(style.text * 0.13))
    tall = round(style.text * 0.72)
    y = style.pad + (style.text - tall) // 2
    x = right - METER_CELLS * (cell + gap) + gap
    shape = rounded_box(cell, tall, cell / 3)
    for index in range(METER_CELLS):
        lit = min(max(share * METER_CELLS - index, 0.0), 1.0)
        colour = AMBER if index >= METER_CELLS - 3 else WHITE
        strip.fill(shape, colour, x, y, 0.20 + 0.75 * lit)
        x += cell + gap


def _lift(style: Style) -> int:
    """How much higher than its capital letters a line of text starts, so that a line sits in its box."""
    return ascent(style.text) - round(0.86 * style.text)


def _bounding_box(mask: NDArray[np.bool_]) -> Box | None:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return None
    x, y = int(columns[0]), int(rows[0])
    return Box(x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1)
