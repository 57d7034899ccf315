from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from model.world.mixing import APART_DB, Levels, mix, runs
from model.world.synth import RATE_HZ, loudness


def tone(rng: Generator, seconds: int) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * 440 * np.arange(seconds * RATE_HZ) / RATE_HZ).astype(np.float32) * np.float32(
        2**0.5
    )


def test_a_part_is_heard_in_its_seconds_and_in_no_other() -> None:
    row = np.array([False, True, True, False, True])
    track = mix(np.random.default_rng(0), [(tone, row)], 5, Levels(-20, None))
    assert track.shape == (5, RATE_HZ)
    assert not track[~row].any()
    level_db = 20 * np.log10(loudness(track[row].ravel()))
    assert level_db == pytest.approx(-20, abs=APART_DB + 0.1)


def test_the_background_goes_on_through_silent_seconds_and_lies_below() -> None:
    track = mix(np.random.default_rng(0), [], 3, Levels(-20, 30))
    levels = [loudness(second) for second in track]
    assert 20 * np.log10(min(levels)) == pytest.approx(-50, abs=6)


def test_a_loud_mixture_is_not_clipped() -> None:
    row = np.ones(1, np.bool_)
    track = mix(np.random.default_rng(0), [(tone, row)] * 4, 1, Levels(0, 8))
    assert 0.9 < np.abs(track).max() <= 0.981


def test_runs_are_given_by_their_first_second_and_the_one_behind_their_last() -> None:
    assert list(runs(np.array([True, True, False, True]))) == [(0, 2), (3, 4)]
    assert list(runs(np.zeros(3, np.bool_))) == []
