"""Voices: one thing's way of sounding, drawn from its category's ranges and kept through a clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import lfilter

from model.errors import ModelError
from model.world.categories import Category, Value
from model.world.kinds import KINDS
from model.world.synth import RATE_HZ, Sound, edges, heard_in, loudness, room

EDGE_S = 0.008  # a sound fades in and out this fast at the ends of the seconds it has been given


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One instance of a category. `sound` may be asked for again and again, and is never the same twice."""

    category: str
    layers: tuple[tuple[str, float, dict[str, Value]], ...]  # kind, gain, its numbers
    response: Sound  # of the room
    tilt: float  # -0.5 duller to 0.5 brighter

    def sound(self, rng: Generator, seconds: int) -> NDArray[np.float32]:
        """Whole seconds of it in its room, shape (seconds * 16000,), of loudness 1.

        Every second is filled, and nothing sounds on beyond the last: the truth is exact to the sample.
        """
        count = seconds * RATE_HZ
        wave = np.zeros(count)
        for kind, gain, numbers in self.layers:
            layer = KINDS[kind](rng, count, **numbers)
            wave += gain * layer / (loudness(layer) + 1e-9)
        wave = np.asarray(lfilter([1, -self.tilt], [1 + abs(self.tilt)], heard_in(wave, self.response)))
        wave *= edges(count, EDGE_S, EDGE_S)
        return (wave / (loudness(wave) + 1e-9)).astype(np.float32)


def draw_voice(category: Category, rng: Generator) -> Voice:
    """Draws a voice. Raises `ModelError` that names the entry of categories.yaml if a layer is not known."""
    layers = []
    for layer in category.layers:
        numbers = {key: _drawn(value, rng) for key, value in layer.items()}
        kind, gain = str(numbers.pop("kind")), numbers.pop("gain", 1.0)
        if kind not in KINDS or not isinstance(gain, float):
            raise ModelError(f"categories.yaml: {category.name}: kind {kind!r}, expected {', '.join(KINDS)}")
        layers.append((kind, gain * rng.uniform(0.8, 1.25), numbers))
    return Voice(
        category=category.name, layers=tuple(layers), response=room(rng), tilt=float(rng.uniform(-0.5, 0.5))
    )


def _drawn(value: Value, rng: Generator) -> Value:
    return float(np.exp(rng.uniform(*np.log(value)))) if isinstance(value, tuple) else value


def looked_up(sounds: NDArray[np.float32]) -> Callable[[Generator, int], NDArray[np.float32]]:
    """What `Voice.sound` does, from one voice of a bank, shape (seconds, 16000), and at next to no cost."""
    return lambda rng, seconds: sounds[rng.integers(len(sounds), size=seconds)].ravel()


def bank(
    categories: Sequence[Category], seed: int, *, voices: int, seconds: int
) -> dict[str, NDArray[np.float32]]:
    """Sounds to look up instead of synthesising: by category, shape (voices, seconds, 16000), of loudness 1.

    Each second begins and ends in silence and stands for itself. A voice depends on seed, category and number
    only, so that a larger bank begins with the smaller one.
    """
    sounds = {}
    for category in categories:
        name = [ord(character) for character in category.name]
        rngs = [np.random.default_rng([seed, number, *name]) for number in range(voices)]
        drawn = [(draw_voice(category, rng), rng) for rng in rngs]
        sounds[category.name] = np.stack(
            [np.stack([voice.sound(rng, 1) for _ in range(seconds)]) for voice, rng in drawn]
        )
    return sounds
