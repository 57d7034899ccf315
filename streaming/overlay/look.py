"""What is drawn of a track, and in which colours and lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.overlay.layer import Colour, ascent

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


def lift(style: Style) -> int:
    """How much higher than its capital letters a line of text starts, so that a line sits in its box."""
    return ascent(style.text) - round(0.86 * style.text)
