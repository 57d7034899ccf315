"""The score of the demo clip: what happens when. Picture and sound both follow it, to the sample."""

from __future__ import annotations

import math

WIDTH, HEIGHT, FPS, SECONDS = 640, 360, 25, 12
FRAMES = FPS * SECONDS
RATE_HZ = 48_000

# What happens when, in seconds.
BARKS = (1.10, 1.52, 2.05, 2.48, 5.12, 5.55, 8.15, 8.60, 11.15, 11.62)
RINGING = ((2.7, 6.0), (10.7, 12.0))  # the bell swings; it strikes at its turning points within the next
STRIKING = ((3.0, 5.9), (11.0, 12.0))
SWING_HZ = 0.75
TRAIN = (5.95, 9.30)  # from the first of it seen on the left to the last of it on the right
TRAIN_HEARD = 9.02
WHISTLES = ((6.35, 6.85), (7.45, 8.00))
CHUFF_HZ = 4.0
HONKS = ((9.15, 9.42), (9.58, 9.95))  # off-screen: a car beyond the right edge

SOUNDING = {
    "dog": (1, 2, 5, 8, 11),
    "bell": (3, 4, 5, 11),
    "train": (6, 7, 8),
}
OFFSCREEN = {9: ["car horn"]}
CLASSES = ("dog", "bell", "train")


def swing_degrees(t: float) -> float:
    """The bell's angle; it turns around, and is struck, at whole multiples of half a swing."""
    size = 0.0
    for start, end in RINGING:
        rise = min(max((t - start) / 0.5, 0.0), 1.0)
        size = max(size, rise * min(max((end + 0.4 - t) / 0.6, 0.0), 1.0) if t >= start else 0.0)
    return 30 * size * math.cos(2 * math.pi * SWING_HZ * (t - STRIKING[0][0]))


def strikes() -> list[float]:
    """When the clapper meets the bell."""
    half = 0.5 / SWING_HZ
    turns = [STRIKING[0][0] + half * n for n in range(-6, 30)]
    return [t for t in turns if any(a - 1e-9 <= t < b for a, b in STRIKING)]


def mouth(t: float) -> float:
    """How far the dog's mouth is open, 0..1."""
    return max((bark_shape(t - bark + 0.03) for bark in BARKS), default=0.0)


def bark_shape(age: float) -> float:
    """A bark as it rises and fades, 0..1 over a quarter of a second."""
    if not 0 < age < 0.25:
        return 0.0
    return min(1.0, age / 0.05) * min(1.0, (0.25 - age) / 0.12)
