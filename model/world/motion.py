"""Smooth paths of things and of the camera, as functions of time. Lengths are in parts of the picture's side.

Nothing here knows what sounds: everything moves a little, in one and the same manner, so that sounding cannot
be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

MARGIN = 0.12  # how near to the edge the middle of a thing may come
SPEED = 0.09  # parts of the side that a thing moves in a second, at most


@dataclass(frozen=True)
class Wave:
    """A sum of two sines, within -1.6 and 1.6."""

    hz: tuple[float, float]
    phase: tuple[float, float]

    def at(self, t: float) -> float:
        first, second = (
            np.sin(2 * np.pi * hz * t + phase) for hz, phase in zip(self.hz, self.phase, strict=True)
        )
        return float(first + 0.6 * second)


def draw_wave(rng: Generator, low_hz: float, high_hz: float) -> Wave:
    hz = np.exp(rng.uniform(np.log(low_hz), np.log(high_hz), 2))
    phase = rng.uniform(0, 2 * np.pi, 2)
    return Wave((float(hz[0]), float(hz[1])), (float(phase[0]), float(phase[1])))


@dataclass(frozen=True, kw_only=True)
class Path:
    """A thing drifts to and fro between the margins, sways, turns and swells a little."""

    x: float
    y: float
    vx: float
    vy: float
    size: float  # longest side
    angle: float  # degrees
    sway: float
    turning: float
    swelling: float
    waves: tuple[Wave, Wave, Wave, Wave]

    def at(self, t: float) -> tuple[float, float, float, float]:
        """The place of its middle (x, y), its angle in degrees, and its size."""
        sway_x, sway_y, turn, swell = (wave.at(t) for wave in self.waves)
        return (
            _reflected(self.x + self.vx * t) + self.sway * sway_x,
            _reflected(self.y + self.vy * t) + self.sway * sway_y,
            self.angle + self.turning * turn,
            self.size * (1 + self.swelling * swell),
        )


def _reflected(place: float) -> float:
    """Folds a place beyond the margins back between them."""
    span = 1 - 2 * MARGIN
    lap = ((place - MARGIN) / span) % 2
    return MARGIN + span * (2 - lap if lap > 1 else lap)


def draw_paths(rng: Generator, sizes: Sequence[float], seconds: int) -> list[Path]:
    """Paths for things of these sizes, which keep out of each other's way more often than not."""
    paths: list[Path] = []
    for size in sizes:
        tries = [_draw_path(rng, size) for _ in range(12 if rng.uniform() < 0.7 else 3)]
        paths.append(min(tries, key=lambda path: _crowding(path, paths, seconds)))
    return paths


def _draw_path(rng: Generator, size: float) -> Path:
    still = rng.uniform() < 0.25
    speed, heading = (0 if still else rng.uniform(0, SPEED)), rng.uniform(0, 2 * np.pi)
    return Path(
        x=float(rng.uniform(MARGIN, 1 - MARGIN)),
        y=float(rng.uniform(MARGIN, 1 - MARGIN)),
        vx=float(speed * np.cos(heading)),
        vy=float(speed * np.sin(heading)),
        size=size,
        angle=float(np.clip(rng.normal(0, 12), -40, 40)),
        sway=float(rng.uniform(0, 0.012)),
        turning=float(rng.uniform(0, 4)),
        swelling=float(rng.uniform(0, 0.04)),
        waves=(
            draw_wave(rng, 0.15, 1.5),
            draw_wave(rng, 0.15, 1.5),
            draw_wave(rng, 0.1, 1.0),
            draw_wave(rng, 0.1, 0.6),
        ),
    )


def _crowding(path: Path, others: Sequence[Path], seconds: int) -> float:
    """How deeply it overlaps the others, taken as discs, at the start, middle and end."""
    total = 0.0
    for t in (0.0, seconds / 2, float(seconds)):
        x, y, _, size = path.at(t)
        for other in others:
            other_x, other_y, _, other_size = other.at(t)
            total += max(0.0, 0.42 * (size + other_size) - float(np.hypot(x - other_x, y - other_y)))
    return total


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Shakes and drifts; with a zoom of at least one, so that the backdrop always fills the picture."""

    shake: float
    drift: float
    roll: float  # degrees
    zoom: float
    waves: tuple[Wave, Wave, Wave, Wave, Wave]

    def matrix(self, t: float, side: int) -> NDArray[np.float64]:
        """Maps pixels of the unshaken picture to the shaken one, shape (2, 3)."""
        shake_x, shake_y, drift_x, drift_y, roll = (wave.at(t) for wave in self.waves)
        angle = np.deg2rad(self.roll * roll)
        turn = self.zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = np.full(2, (side - 1) / 2)
        moved = np.array(
            [self.shake * shake_x + self.drift * drift_x, self.shake * shake_y + self.drift * drift_y]
        )
        return np.column_stack([turn, middle - turn @ middle + moved * side])


def draw_camera(rng: Generator) -> Camera:
    steady = rng.uniform() < 0.4
    return Camera(
        shake=0 if steady else float(rng.uniform(0, 0.007)),
        drift=0 if steady else float(rng.uniform(0, 0.02)),
        roll=0 if steady else float(rng.uniform(0, 1.5)),
        zoom=float(rng.uniform(1.0, 1.06)),
        waves=(
            draw_wave(rng, 1, 5),
            draw_wave(rng, 1, 5),
            draw_wave(rng, 0.1, 0.5),
            draw_wave(rng, 0.1, 0.5),
            draw_wave(rng, 0.2, 3),
        ),
    )
