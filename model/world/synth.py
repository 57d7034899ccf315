"""Building blocks of synthesised sound: pulses, resonances, noise, envelopes, rooms. All at 16 kHz, mono."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

RATE_HZ = 16_000
NYQUIST_HZ = RATE_HZ / 2
_FILTER_STEP = 1.05  # band edges are rounded to a grid of this ratio, so that few filters are ever designed

Sound = NDArray[np.float64]


def seconds(count: int) -> Sound:
    """The time of each sample, shape (count,)."""
    return np.arange(count) / RATE_HZ


def bend(points: Sequence[float] | Sound, count: int) -> Sound:
    """A smooth curve through evenly spaced points, shape (count,)."""
    place = np.linspace(0, len(points) - 1, count)
    before = np.minimum(place.astype(int), len(points) - 2)
    ease = (1 - np.cos(np.pi * (place - before))) / 2
    levels = np.asarray(points, np.float64)
    return levels[before] + (levels[before + 1] - levels[before]) * ease


def pulses(hz: Sound, reach_hz: float) -> Sound:
    """A tone of changing pitch whose harmonics fade towards `reach_hz`, as from a throat or a reed.

    exp(k cos) is a train of smooth pulses; the wider its spectrum is to be, the greater k.
    """
    sharpness = np.clip((reach_hz / hz / 2.5) ** 2, 0.2, 600)
    return _settled(np.exp(sharpness * (np.cos(2 * np.pi * np.cumsum(hz) / RATE_HZ) - 1)))


def _settled(wave: Sound) -> Sound:
    wave = wave - wave.mean()
    return wave / (np.sqrt(np.mean(wave**2)) + 1e-9)


def resonant(wave: Sound, formants_hz: Sequence[float], width_hz: float) -> Sound:
    """A wave through parallel resonators, each weaker than the one before it."""
    out = np.zeros_like(wave)
    for number, hz in enumerate(formants_hz):
        width = width_hz * (1 + 0.25 * number)
        radius = np.exp(-np.pi * width / RATE_HZ)
        angle = 2 * np.pi * min(hz, 0.95 * NYQUIST_HZ) / RATE_HZ
        poles = [1, -2 * radius * np.cos(angle), radius * radius]
        out += 0.72**number * np.asarray(lfilter([(1 - radius) * np.sqrt(width_hz)], poles, wave))
    return out / (np.sqrt(np.mean(out**2)) + 1e-9)


def band_noise(rng: Generator, count: int, low_hz: float, high_hz: float) -> Sound:
    """Noise between two frequencies, of root mean square 1."""
    noise = sosfilt(
        _band(_rounded(low_hz), _rounded(min(high_hz, 0.97 * NYQUIST_HZ))), rng.standard_normal(count)
    )
    return _settled(np.asarray(noise))


def _rounded(hz: float) -> int:
    return round(np.log(hz) / np.log(_FILTER_STEP))


@lru_cache(maxsize=1024)
def _band(low: int, high: int) -> NDArray[np.float64]:
    edges = (_FILTER_STEP**low, min(_FILTER_STEP ** max(high, low + 2), 0.98 * NYQUIST_HZ))
    return np.asarray(butter(2, edges, "bandpass", fs=RATE_HZ, output="sos"))


def ringing(hz: float, decay_s: float, count: int) -> Sound:
    """A sine that dies away: what a resonator answers to a single blow."""
    radius, angle = np.exp(-1 / (decay_s * RATE_HZ)), 2 * np.pi * hz / RATE_HZ
    blow = np.zeros(count)
    blow[0] = 1
    return np.asarray(lfilter([0, radius * np.sin(angle)], [1, -2 * radius * np.cos(angle), radius**2], blow))


def edges(count: int, rise_s: float, fall_s: float) -> Sound:
    """An envelope that rises from nothing and falls back to it."""
    t = seconds(count)
    return np.clip(t / rise_s, 0, 1) * np.clip((count / RATE_HZ - t) / fall_s, 0, 1)


def rough(rng: Generator, count: int, hz: float, depth: float) -> Sound:
    """A gain that flutters irregularly around `hz`, as of a growl; depth 0 is none."""
    wander = 1 + 0.15 * bend(rng.standard_normal(max(2, count // 1600)), count)
    return 1 - depth * (0.5 + 0.5 * np.sin(2 * np.pi * np.cumsum(hz * wander) / RATE_HZ))


def onsets(rng: Generator, count: int, rate_hz: float, ragged: float) -> Iterator[int]:
    """First samples of events that come at a rate; `ragged` is how far of their distance they may stray."""
    period = RATE_HZ / rate_hz
    place = rng.uniform(0, 0.3) * period
    while place < count:
        yield round(min(max(0.0, place + rng.uniform(-0.5, 0.5) * ragged * period), count - 1))
        place += period


def scattered(count: int, starts: Iterator[int], grain: Callable[[int], Sound]) -> Sound:
    """Puts `grain(number)` at every start and adds up what overlaps; shape (count,)."""
    out = np.zeros(count)
    for number, start in enumerate(starts):
        wave = grain(number)[: count - start]
        out[start : start + len(wave)] += wave
    return out


def room(rng: Generator) -> Sound:
    """The impulse response of a random room: the direct sound, then a tail of 40 to 350 ms, dry to wet."""
    tail_s, wet = np.exp(rng.uniform(np.log(0.04), np.log(0.35))), rng.uniform(0, 0.5)
    count = round(tail_s * RATE_HZ)
    tail = rng.standard_normal(count) * np.exp(-6.9 * seconds(count) / tail_s)
    tail[: round(0.003 * RATE_HZ)] = 0
    response = wet * tail / (np.sqrt(np.sum(tail**2)) + 1e-9)
    response[0] = 1
    return response


def heard_in(wave: Sound, response: Sound) -> Sound:
    """The wave in that room, cut to its own length."""
    return np.asarray(fftconvolve(wave, response)[: len(wave)])


def loudness(wave: NDArray[np.floating]) -> float:
    """Root mean square over the louder half of its 50 ms frames; 0 for silence."""
    frames = wave[: len(wave) // 800 * 800].reshape(-1, 800)
    power = np.sort(np.mean(frames**2, axis=1)) if len(frames) else np.zeros(1)
    return float(np.sqrt(power[len(power) // 2 :].mean()))
