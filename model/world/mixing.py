"""The sound track: voices in the seconds they have been given, at levels of their own, over a background."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from model.world.synth import RATE_HZ, band_noise, bend

SOURCE_DBFS = (-32.0, -14.0)  # how loud a clip's sources are
APART_DB = 6.0  # by how much its sources may differ from that
NOISE_BELOW_DB = (8.0, 40.0)  # how far the background lies below the sources
NO_NOISE_CLIPS = 0.12

Make = Callable[[Generator, int], NDArray[np.float32]]
"""Makes that many seconds of a voice, shape (seconds * 16000,), of loudness 1: `Voice.sound`, `looked_up`."""


@dataclass(frozen=True)
class Levels:
    """How loud a clip is: its sources on the whole, and its background below them (None: digital silence)."""

    source_dbfs: float
    noise_below_db: float | None


def draw_levels(rng: Generator) -> Levels:
    below_db = float(rng.uniform(*NOISE_BELOW_DB)) if rng.uniform() >= NO_NOISE_CLIPS else None
    return Levels(float(rng.uniform(*SOURCE_DBFS)), below_db)


def mix(
    rng: Generator, parts: Sequence[tuple[Make, NDArray[np.bool_]]], seconds: int, levels: Levels
) -> NDArray[np.float32]:
    """Mixes what sounds when, each part with its (seconds,) bool. Returns shape (seconds, 16000) in [-1, 1].

    Each run of seconds is one piece of sound. The background goes on through silent seconds; it is noise, hum
    or both, and no thing.
    """
    track = np.zeros(seconds * RATE_HZ)
    for make, row in parts:
        gain = _gain(levels.source_dbfs + rng.uniform(-APART_DB, APART_DB))
        for start, stop in runs(row):
            track[start * RATE_HZ : stop * RATE_HZ] += gain * make(rng, stop - start)
    if levels.noise_below_db is not None:
        track += _gain(levels.source_dbfs - levels.noise_below_db) * _background(rng, len(track))
    track /= max(1.0, np.abs(track).max() / 0.98)
    return track.astype(np.float32).reshape(seconds, RATE_HZ)


def runs(row: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """The first second of each run of true ones, and the one behind its last."""
    steps = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(np.int8), [0]))))
    for start, stop in zip(steps[::2], steps[1::2], strict=True):
        yield int(start), int(stop)


def _background(rng: Generator, count: int) -> NDArray[np.float64]:
    """Coloured noise that comes and goes a little, at times with mains hum, of root mean square about 1."""
    low_hz = float(np.exp(rng.uniform(np.log(40), np.log(600))))
    noise = band_noise(rng, count, low_hz, low_hz * np.exp(rng.uniform(1, 3)))
    noise = noise * (1 + 0.3 * bend(rng.uniform(-1, 1, max(2, count // RATE_HZ)), count))
    if rng.uniform() < 0.3:
        hum = np.arange(1, 5)[:, None] * 2 * np.pi * rng.choice([50, 60]) * np.arange(count) / RATE_HZ
        noise = noise + rng.uniform(0.2, 1) * (np.sin(hum) / np.arange(1, 5)[:, None]).sum(axis=0)
    return noise


def _gain(dbfs: float) -> float:
    return 10 ** (dbfs / 20)
