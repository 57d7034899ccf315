from __future__ import annotations

import numpy as np
import pytest

from model.world.categories import Category, catalogue
from model.world.sounds import bank, draw_voice, looked_up
from model.world.synth import RATE_HZ, loudness

ALL = catalogue().of_split("mixed")


@pytest.mark.parametrize("category", ALL, ids=lambda category: category.name)
def test_every_second_is_filled_and_nothing_sounds_beyond_the_last(category: Category) -> None:
    rng = np.random.default_rng(3)
    sound = draw_voice(category, rng).sound(rng, 3)
    assert sound.shape == (3 * RATE_HZ,)
    assert sound.dtype == np.float32
    assert loudness(sound) == pytest.approx(1, abs=0.01)
    assert abs(sound[0]) < 1e-3
    assert abs(sound[-1]) < 0.05
    assert min(loudness(second) for second in sound.reshape(3, RATE_HZ)) > 0.3


def test_the_same_chance_makes_the_same_sound_and_another_voice_another() -> None:
    dog = catalogue().categories["dog"]

    def sound(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return draw_voice(dog, rng).sound(rng, 1)

    np.testing.assert_array_equal(sound(1), sound(1))
    assert abs(np.corrcoef(sound(1), sound(2))[0, 1]) < 0.5


def test_a_larger_bank_begins_with_the_smaller_one() -> None:
    owl = catalogue().categories["owl"]
    small, large = bank([owl], 5, voices=1, seconds=2), bank([owl, ALL[0]], 5, voices=2, seconds=2)
    assert large["owl"].shape == (2, 2, RATE_HZ)
    np.testing.assert_array_equal(small["owl"][0], large["owl"][0])
    second = looked_up(small["owl"][0])(np.random.default_rng(0), 1)
    assert any(np.array_equal(second, known) for known in small["owl"][0])


def test_unheard_voices_are_told_apart_by_what_other_voices_sound_like() -> None:
    rng = np.random.default_rng(11)
    heard = np.stack([[_features(draw_voice(kind, rng).sound(rng, 1)) for _ in range(6)] for kind in ALL])
    heard = (heard - heard.mean(axis=(0, 1))) / heard.std(axis=(0, 1))
    centres, rest = heard[:, :4].mean(axis=1), heard[:, 4:]
    distance = ((rest[:, :, None] - centres) ** 2).sum(axis=-1)
    right = distance.argmin(axis=-1) == np.arange(len(ALL))[:, None]
    assert right.mean() > 0.75  # by chance: 0.018


def _features(sound: np.ndarray) -> np.ndarray:
    """Mean, spread and liveliness of 40 log-spaced bands."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, 512)[::160] * np.hanning(512)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.unique(np.geomspace(2, 256, 41).astype(int))
    bands = np.log(np.add.reduceat(power[:, :256], edges[:-1], axis=1) + 1e-2)
    return np.concatenate(
        [bands.mean(axis=0), bands.std(axis=0), np.abs(np.diff(bands, axis=0)).mean(axis=0)]
    )
