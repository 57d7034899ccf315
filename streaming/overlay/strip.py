"""The strip along the lower edge: stream time and a level meter, new with every picture."""

from __future__ import annotations

import math

import numpy as np

from streaming.overlay.layer import WHITE, Layer, Picture, rounded_box, text_coverage, text_width
from streaming.overlay.look import AMBER, DIM, INK, Style, lift

METER_FLOOR_DBFS = -60.0
METER_CELLS = 16


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
        strip.fill(glyph, WHITE, x + (cell - glyph.shape[1]) // 2, baseline - lift(style))
        x += cell
    right = width - style.pad * 2
    if level_dbfs is None:
        words = text_coverage("no sound", style.text, 400)
        strip.fill(words, DIM, right - words.shape[1], baseline - lift(style))
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


def paint_ground(layer: Layer, style: Style) -> None:
    """Darkens the lower edge towards the bottom, so that the strip can be read over any picture."""
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
