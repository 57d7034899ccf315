"""The kinds of sound that categories.yaml speaks of. Each makes `count` samples from numbers of its own.

Parameters that many share: `hz` is the pitch, `rate_hz` how many events come in a second, `glide` the pitch
of an event (or of a second of a steady sound) as factors, `growl` how deeply the loudness flutters at
`growl_hz`, `quaver` how far the pitch trembles at `quaver_hz`, `gate_hz` how often the whole comes and goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from model.world.synth import (
    NYQUIST_HZ,
    RATE_HZ,
    Sound,
    band_noise,
    bend,
    edges,
    onsets,
    pulses,
    resonant,
    ringing,
    rough,
    scattered,
    seconds,
)

SCALE = (0, 2, 4, 7, 9, 12)  # melodies move on a pentatonic scale, in semitones


def calls(
    rng: Generator, count: int, *, hz: float, glide: Sequence[float], length_s: float, rate_hz: float,
    vowels: Sequence[Sequence[float]], breath: float, reach_hz: float = 4500, width_hz: float = 220,
    growl_hz: float = 1, growl: float = 0, quaver_hz: float = 1, quaver: float = 0, sibilants: float = 0,
    accent: int = 0, climb: float = 1, gate_hz: float = 0,
) -> Sound:  # fmt: skip
    """Voices: pulses and breath through formants. Of several `vowels` each call takes one; every `accent`th
    call is longer and higher; calls `climb` in pitch over a second; a share of `sibilants` is hissed."""

    def call(number: int) -> Sound:
        stressed = accent > 0 and number % accent == accent - 1
        size = round(length_s * rng.uniform(0.85, 1.15) * (2.2 if stressed else 1) * RATE_HZ)
        if rng.uniform() < sibilants:
            return 0.5 * band_noise(rng, size, 3500, 7000) * edges(size, 0.03, 0.04)
        climbed = climb ** ((number * rate_hz**-1) % 1)
        pitch = hz * rng.uniform(0.93, 1.07) * climbed * (1.3 if stressed else 1) * bend(glide, size)
        pitch = pitch * (1 + quaver * np.sin(2 * np.pi * quaver_hz * seconds(size) + rng.uniform(0, 6)))
        throat = pulses(pitch, reach_hz) + breath * band_noise(rng, size, 300, 6000)
        formants = vowels[int(rng.integers(len(vowels)))]
        wave = resonant(throat, formants, width_hz) + 0.1 * throat
        return wave * rough(rng, size, growl_hz, growl) * edges(size, 0.15 * length_s, 0.4 * length_s)

    return _gated(rng, scattered(count, onsets(rng, count, rate_hz, 0.2), call), gate_hz)


def chirps(
    rng: Generator, count: int, *, hz: float, glide: Sequence[float], length_s: float, rate_hz: float,
    breath: float = 0, gate_hz: float = 0,
) -> Sound:  # fmt: skip
    """Small whistles, nearly pure."""

    def chirp(_: int) -> Sound:
        size = round(length_s * rng.uniform(0.85, 1.15) * RATE_HZ)
        pitch = np.minimum(hz * rng.uniform(0.95, 1.05) * bend(glide, size), 0.95 * NYQUIST_HZ)
        tone = np.sin(2 * np.pi * np.cumsum(pitch) / RATE_HZ)
        return (tone + breath * band_noise(rng, size, hz / 2, 7500)) * edges(size, length_s / 4, length_s / 3)

    ragged = 0 if gate_hz else 0.4
    return _gated(rng, scattered(count, onsets(rng, count, rate_hz, ragged), chirp), gate_hz)


def strikes(
    rng: Generator, count: int, *, hz: float, ratios: Sequence[float], ring_s: float, rate_hz: float,
    snap: float, snap_hz: float, swing: float = 0, accent: int = 0, steady: bool = False, gate_hz: float = 0,
) -> Sound:  # fmt: skip
    """Struck things: modes at `ratios` of the pitch that ring down, and the `snap` of the stroke itself.
    Strokes are weaker at random by `swing`; every `accent`th is a third lower."""
    size = round(min(5 * ring_s, 2.0) * RATE_HZ) + 400
    t = seconds(size)
    gains = rng.uniform(0.6, 1, len(ratios)) / np.arange(1, len(ratios) + 1) ** 0.5
    modes = [(ratio, gain, ring_s / ratio**0.5) for ratio, gain in zip(ratios, gains, strict=True)]

    def stroke(number: int) -> Sound:
        pitch = hz * (0.8 if accent and number % accent == 0 else 1) * rng.uniform(0.995, 1.005)
        ring = sum(
            gain * ringing(ratio * pitch, decay_s, size)
            for ratio, gain, decay_s in modes
            if ratio * pitch < NYQUIST_HZ
        )
        noise = band_noise(rng, size, snap_hz / 2, 2 * snap_hz) * np.exp(-t / 0.012)
        return (np.asarray(ring) + snap * noise) * (1 - swing * rng.uniform()) * np.minimum(1, t / 0.001)

    starts = onsets(rng, count, rate_hz, 0 if steady else 0.15)
    return _gated(rng, scattered(count, starts, stroke), gate_hz)


def notes(
    rng: Generator, count: int, *, hz: float, rate_hz: float, partials: float, slope: float, hold: float = 0,
    attack_s: float = 0.004, ring_s: float = 0, chord: int | Sequence[float] = 1, stretch: float = 0,
    knock: float = 0, breath: float = 0, body_hz: Sequence[float] = (), beat_hz: float = 0,
    quaver_hz: float = 1, quaver: float = 0, still: bool = False,
) -> Sound:  # fmt: skip
    """Melodies: notes that are held for `hold` of their distance, or that ring down in `ring_s`. A partial is
    weaker than the first by its number to the power of `slope`; `still` repeats one note; `chord` is how many
    notes sound at once, or their ratios; `stretch` is the stiffness of a string, `body_hz` the resonances of
    a bell or box, `beat_hz` the beating of paired reeds, `knock` the noise of a hammer or nail."""

    def note(_: int) -> Sound:
        length_s = min(4 * ring_s, 1.5) if ring_s else hold / rate_hz
        size = max(800, round(length_s * RATE_HZ))
        t = seconds(size)
        wave = np.zeros(size)
        voices = (
            chord if not isinstance(chord, int) else 2.0 ** (rng.choice(SCALE, chord, replace=False) / 12)
        )
        for ratio in voices:
            step = 1 if still or len(voices) > 1 else 2.0 ** (rng.choice(SCALE) / 12)
            trembling = quaver * np.sin(2 * np.pi * quaver_hz * t) / (2 * np.pi * quaver_hz)
            wave += _tone(hz * ratio * step, t + trembling, round(partials), slope, ring_s, stretch)
            if beat_hz:
                wave += _tone(hz * ratio * step + beat_hz, t, round(partials), slope, ring_s, stretch)
        if breath:
            wave += breath * np.std(wave) * 2 * band_noise(rng, size, hz, 6 * hz)
        if body_hz:
            wave = 0.5 * wave + np.std(wave) * resonant(wave, body_hz, 300)
        if knock:
            wave += knock * band_noise(rng, size, 800, 5000) * np.exp(-t / 0.006)
        return wave * edges(size, attack_s, 0.03) * rng.uniform(0.7, 1)

    return scattered(count, onsets(rng, count, rate_hz, 0 if still else 0.1), note)


def _tone(hz: float, t: Sound, partials: int, slope: float, ring_s: float, stretch: float) -> Sound:
    number = np.arange(1, partials + 1)
    tones_hz = hz * number * np.sqrt(1 + stretch * number**2)
    kept = tones_hz < 0.97 * NYQUIST_HZ
    number, tones_hz = number[kept], tones_hz[kept]
    wave = np.zeros_like(t)
    for order, tone_hz in zip(number, tones_hz, strict=True):
        rings = ringing(tone_hz, ring_s / order**0.5, len(t)) if ring_s else None
        wave += (np.sin(2 * np.pi * tone_hz * t + order) if rings is None else rings) / order**slope
    return wave / np.sqrt(np.sum(number ** (-2.0 * slope)))


def drone(
    rng: Generator, count: int, *, hz: float, reach_hz: float, glide: Sequence[float] = (1, 1),
    swing_hz: float = 0, swing: float = 0, vowels: Sequence[Sequence[float]] = (),
    chord: Sequence[float] = (1,), uneven: float = 0, growl_hz: float = 1, growl: float = 0,
    quaver_hz: float = 1, quaver: float = 0,
) -> Sound:  # fmt: skip
    """Steady pitched sounds, of engines, horns, sirens, wings: the pitch follows `glide` about once a second,
    or swings between extremes `swing_hz` times a second; `uneven` is how irregularly an engine fires."""
    t = seconds(count)
    course = np.tile(glide, max(1, round(count / RATE_HZ)))
    pitch = hz * bend(np.roll(course, rng.integers(len(glide))), count)
    if swing_hz:
        pitch = pitch * (1 + swing) ** np.sin(2 * np.pi * swing_hz * t + rng.uniform(0, 6))
    pitch = pitch * (1 + quaver * np.sin(2 * np.pi * quaver_hz * t))
    if uneven:
        pitch = pitch * (1 + 0.1 * uneven * bend(rng.standard_normal(max(2, count // 400)), count))
    wave = np.zeros(count)
    for ratio in chord:
        wave += pulses(np.minimum(pitch * ratio, 0.9 * NYQUIST_HZ), reach_hz)
    if vowels:
        wave = 0.4 * wave + resonant(wave, vowels[0], 250)
    if uneven:
        wave += 0.5 * uneven * band_noise(rng, count, hz, max(2 * hz, reach_hz))
    return wave * _flutter(rng, count, growl_hz, growl)


def hiss(
    rng: Generator, count: int, *, low_hz: float, high_hz: float, rate_hz: float = 0, duty: float = 1,
    sharp: bool = False, ragged: float = 0, sway: float = 0, growl_hz: float = 1, growl: float = 0,
) -> Sound:  # fmt: skip
    """Noise between two frequencies: steady, swaying slowly, or in `rate_hz` strokes a second that last for
    `duty` of their distance and, if `sharp`, begin at once and die away."""
    wave = band_noise(rng, count, low_hz, high_hz) * _flutter(rng, count, growl_hz, growl)
    if sway:
        wave = wave * (1 + sway * bend(rng.uniform(-1, 1, max(2, 3 * count // RATE_HZ)), count))
    if not rate_hz:
        return wave

    def stroke(_: int) -> Sound:
        size = round(duty / rate_hz * RATE_HZ)
        shape = (
            np.exp(-3 * np.arange(size) / size) if sharp else np.sin(np.pi * np.arange(size) / size) ** 0.7
        )
        return shape * rng.uniform(0.75, 1) * edges(size, 0.002, 0.004)

    return wave * np.minimum(1.2, scattered(count, onsets(rng, count, rate_hz, ragged), stroke))


def crackle(rng: Generator, count: int, *, rate_hz: float, hz: float) -> Sound:
    """Pops at random times and of random strength."""

    def pop(_: int) -> Sound:
        t = seconds(160)
        return np.exp(-t / 0.0015) * np.sin(2 * np.pi * hz * rng.uniform(0.5, 1.6) * t) * rng.exponential(2.5)

    return scattered(count, iter(rng.integers(0, count, rng.poisson(rate_hz * count / RATE_HZ))), pop)


def _flutter(rng: Generator, count: int, hz: float, depth: float) -> Sound | float:
    return rough(rng, count, hz, depth) if depth else 1.0


def _gated(rng: Generator, wave: Sound, gate_hz: float) -> Sound:
    """The wave, `gate_hz` times a second for two thirds of the time; whole where that is 0."""
    if not gate_hz:
        return wave
    turn = (seconds(len(wave)) * gate_hz + rng.uniform(0, 0.3)) % 1
    return wave * np.clip(np.minimum(turn, 0.67 - turn) / 0.02, 0, 1)


KINDS: dict[str, Callable[..., Any]] = {
    "calls": calls,
    "chirps": chirps,
    "strikes": strikes,
    "notes": notes,
    "drone": drone,
    "hiss": hiss,
    "crackle": crackle,
}
