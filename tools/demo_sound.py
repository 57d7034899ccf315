"""The sound of the demo clip, synthesised: barks, a bell, a steam train and a car horn out of sight."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from tools.demo_score import BARKS, CHUFF_HZ, HONKS, RATE_HZ, SECONDS, TRAIN, TRAIN_HEARD, WHISTLES, strikes


def sound() -> NDArray[np.int16]:
    """Returns the clip's sound, shape (12 * 48,000, 2) int16."""
    rng = np.random.default_rng(11)
    mix = np.zeros((SECONDS * RATE_HZ, 2))
    for number, bark in enumerate(BARKS):
        _add(mix, bark, _bark(rng, 1 + 0.05 * (number % 3)), pan=0.3, level=0.55)
    ringing = np.zeros_like(mix)
    for strike in strikes():
        _add(ringing, strike, _bell(), pan=0.72, level=0.30)
    damped = np.interp(np.arange(len(mix)) / RATE_HZ, [5.85, 5.98, 10.9, 10.95], [1, 0, 0, 1])
    mix += ringing * damped[:, None]  # a hand lies on the bell while the train passes
    _add_train(mix, rng)
    for start, end in HONKS:
        _add(mix, start, _chord((415, 523), end - start, (1, 0.8, 0.7, 0.5, 0.4, 0.3)), pan=0.93, level=0.28)
    mix += 10 ** (-66 / 20) * _band(rng.standard_normal(mix.shape), 80, 600)
    return np.round(np.clip(mix, -1, 1) * 32_767).astype(np.int16)


def _add(mix: NDArray[np.float64], at_s: float, mono: NDArray[np.float64], *, pan: Any, level: Any) -> None:
    """Adds a sound at a time, `pan` from 0 (left) to 1 (right) at equal power."""
    start = round(at_s * RATE_HZ)
    mono = (mono * level)[: len(mix) - start]
    pan = np.broadcast_to(pan, len(mono)) if np.ndim(pan) == 0 else np.asarray(pan)[: len(mono)]
    mix[start : start + len(mono), 0] += mono * np.cos(pan * math.pi / 2)
    mix[start : start + len(mono), 1] += mono * np.sin(pan * math.pi / 2)


def _band(noise: NDArray[np.float64], low_hz: float, high_hz: float) -> NDArray[np.float64]:
    filtered = np.asarray(
        sosfilt(butter(2, (low_hz, high_hz), "bandpass", fs=RATE_HZ, output="sos"), noise, axis=0)
    )
    return filtered / np.abs(filtered).max()


def _edges(count: int, rise_s: float, fall_s: float) -> NDArray[np.float64]:
    t = np.arange(count) / RATE_HZ
    return np.minimum(1, t / rise_s) * np.minimum(1, np.maximum(0, (count / RATE_HZ - t) / fall_s))


def _bark(rng: np.random.Generator, pitch: float) -> NDArray[np.float64]:
    """A throaty pulse that rises and falls through two formants, with breath."""
    t = np.arange(round(0.21 * RATE_HZ)) / RATE_HZ
    hz = pitch * (300 + 330 * np.exp(-(((t - 0.055) / 0.045) ** 2)) - 350 * np.maximum(0, t - 0.1))
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    voice = np.zeros_like(t)
    for overtone in range(1, 14):
        partial_hz = overtone * hz
        formants = np.exp(-(((partial_hz - 750) / 330) ** 2)) + 0.6 * np.exp(
            -(((partial_hz - 1700) / 500) ** 2)
        )
        voice += (formants + 0.06) * np.sin(overtone * phase + 0.7 * overtone)
    rough = voice * (1 + 0.5 * np.sin(2 * np.pi * 74 * t)) + 0.7 * _band(
        rng.standard_normal(len(t)), 500, 3000
    )
    shaped = _band(np.tanh(1.4 * rough), 200, 4000) * _edges(len(t), 0.012, 0.13)
    return shaped / np.abs(shaped).max()


def _bell() -> NDArray[np.float64]:
    """A church bell: hum, prime, minor third, fifth, nominal and what lies above, each with its own decay."""
    t = np.arange(round(2.2 * RATE_HZ)) / RATE_HZ
    tone = np.zeros_like(t)
    for ratio, loud, decay_s in (
        (0.5, 0.5, 1.2), (1, 0.8, 0.9), (1.19, 0.6, 0.7), (1.5, 0.3, 0.5), (2, 0.9, 0.6), (2.51, 0.3, 0.3),
        (2.66, 0.3, 0.28), (3.01, 0.35, 0.25), (4.17, 0.25, 0.15), (5.4, 0.15, 0.1), (6.8, 0.12, 0.06),
    ):  # fmt: skip
        tone += loud * np.exp(-t / decay_s) * np.sin(2 * np.pi * 494 * ratio * t)
    return tone * _edges(len(t), 0.002, 0.2) / 2.6


def _chord(hz: tuple[float, ...], dur_s: float, partials: tuple[float, ...]) -> NDArray[np.float64]:
    t = np.arange(round(dur_s * RATE_HZ)) / RATE_HZ
    tone = sum(
        loud * np.sin(2 * np.pi * note * (number + 1) * t + number)
        for note in hz
        for number, loud in enumerate(partials)
    )
    shaped = np.asarray(tone) * _edges(len(t), 0.02, 0.05)
    return shaped / np.abs(shaped).max()


def _add_train(mix: NDArray[np.float64], rng: np.random.Generator) -> None:
    start, end = TRAIN[0], TRAIN_HEARD
    count = round((end - start) * RATE_HZ)
    t = np.arange(count) / RATE_HZ
    pan = np.clip(0.12 + 0.76 * t / (TRAIN[1] - start), 0, 1)
    near = np.interp(t, [0, 0.5, 1.5, 2.6, end - start], [0.0, 0.7, 1.0, 0.7, 0.0])
    beat = (t * CHUFF_HZ) % 1
    puffs = (
        np.minimum(1, beat / 0.12) * np.exp(-beat * 5) * (0.8 + 0.2 * ((t * CHUFF_HZ).astype(int) % 4 == 0))
    )
    steam = _band(rng.standard_normal(count), 250, 2600)
    rumble = _band(rng.standard_normal(count), 45, 160)
    _add(mix, start, (1.5 * steam * puffs + 0.35 * rumble) * near, pan=pan, level=0.34)
    for begin, finish in WHISTLES:
        whistle = _chord((622, 740, 932), finish - begin, (1, 0.25, 0.12))
        breath = (
            0.12 * _band(rng.standard_normal(len(whistle)), 1500, 6000) * _edges(len(whistle), 0.03, 0.08)
        )
        at = round((begin - start) * RATE_HZ)
        _add(mix, begin, whistle + breath, pan=pan[at : at + len(whistle)], level=0.26)
