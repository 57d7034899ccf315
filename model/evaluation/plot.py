"""A picture of bars by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

# Per group a strong colour for the first mode and a pale one for the second.
COLOURS = {
    "base": ("#1f5fa8", "#9cc0e7"),
    "novel": ("#b8560f", "#efbe93"),
    "other": ("#606060", "#bdbdbd"),
}
INK, LINES, PAPER = "#202020", "#dcdcdc", "#ffffff"
ROW, GAP, TOP, LEFT, WIDTH, RIGHT = 20, 18, 48, 170, 640, 130
TEXT = 13


@dataclass(frozen=True)
class Bars:
    """A row: a value from 0 to 1 for each mode."""

    name: str
    group: str
    values: Sequence[float]


def plot(rows: Sequence[Bars], modes: Sequence[str]) -> Image.Image:
    """Rows in the order given, a bar for each mode, a gap between groups."""
    gaps = sum(a.group != b.group for a, b in pairwise(rows))
    height = TOP + ROW * len(rows) + GAP * gaps + 12
    picture = Image.new("RGB", (LEFT + WIDTH + RIGHT, height), PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(TEXT)
    for tenth in range(0, 11, 2):
        x = LEFT + WIDTH * tenth // 10
        pen.line([(x, TOP - 6), (x, height - 10)], fill=LINES)
        pen.text((x, TOP - 10), f"{tenth / 10:.1f}", INK, font, anchor="mb")
    pen.text(
        (LEFT, 8), f"IoU by class, {' (strong) and '.join(modes)}{' (pale)' * (len(modes) > 1)}", INK, font
    )
    y, before = TOP, None
    for row in rows:
        if row.group != before:
            y += GAP if before else 0
            pen.text((10, y + ROW // 2), row.group, COLOURS[row.group][0], font, anchor="lm")
        before = row.group
        pen.text((LEFT - 8, y + ROW // 2), row.name, INK, font, anchor="rm")
        thick = (ROW - 4) // len(row.values)
        for number, value in enumerate(row.values):
            top = y + 2 + number * thick
            pen.rectangle(
                [LEFT, top, LEFT + round(WIDTH * value), top + thick - 1], COLOURS[row.group][number]
            )
        told = " / ".join(f"{value:.2f}" for value in row.values)
        pen.text((LEFT + WIDTH + 10, y + ROW // 2), told, INK, font, anchor="lm")
        y += ROW
    return picture
