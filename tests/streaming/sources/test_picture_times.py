"""Which pictures are passed on, and when they are shown, on made-up stamps."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from streaming.sources.picture_times import Thinner


def taken(times_s: list[float], max_fps: float) -> list[float]:
    thinner = Thinner(max_fps)
    return [t_s for t_s in times_s if thinner.takes(round(t_s * 1e9))]


def regular(fps: Fraction | float, seconds: float = 60, start_s: float = 0.0) -> list[float]:
    return [start_s + float(k / Fraction(fps)) for k in range(round(seconds * Fraction(fps)))]


@pytest.mark.parametrize("start_s", [0.0, 1 / 60, 0.3333])
@pytest.mark.parametrize("fps", [5, 19.62, Fraction(24_000, 1001), 25, Fraction(30_000, 1001), 30])
def test_a_clip_that_is_no_faster_keeps_all_its_pictures(fps: Fraction | float, start_s: float) -> None:
    times_s = regular(fps, start_s=start_s)
    assert taken(times_s, 30) == times_s
    rounded_s = [round(t_s, 3) for t_s in times_s]
    assert taken(rounded_s, 30) == rounded_s


def test_a_clip_whose_stamps_jitter_keeps_all_its_pictures() -> None:
    jitter_s = np.random.default_rng(3).uniform(-0.003, 0.003, 1800)
    times_s = [t_s + float(off_s) for t_s, off_s in zip(regular(30), jitter_s, strict=True)]
    assert taken(times_s, 30) == times_s


@pytest.mark.parametrize(
    ("fps", "max_fps", "steps"),
    [
        (60, 30, {2}),
        (Fraction(60_000, 1001), 30, {2}),
        (50, 25, {2}),
        (50, 30, {1, 2}),
        (120, 30, {4}),
        (30, 10, {3}),
        (30, 20, {1, 2}),
        (31, 30, {1, 2}),
        (1000, 30, {33, 34}),
    ],
)
def test_a_faster_clip_is_thinned_evenly(fps: Fraction | float, max_fps: float, steps: set[int]) -> None:
    times_s = taken(regular(fps), max_fps)
    assert 60 * 0.95 * max_fps < len(times_s) <= 60 * max_fps + 1
    numbers = [round(t_s * float(fps)) for t_s in times_s]
    apart = [after - before for before, after in pairwise(numbers)]
    assert set(apart[1:]) <= steps
    # Of unequal steps, the rarer one never comes twice in a row.
    rare = min(steps, key=apart.count)
    assert len(steps) == 1 or not any(pair == (rare, rare) for pair in pairwise(apart[1:]))


def test_pictures_go_on_when_time_leaps_either_way() -> None:
    times_s = [*regular(30, 2, start_s=100.0), *regular(30, 2, start_s=3.0), *regular(30, 2, start_s=900.0)]
    assert taken(times_s, 30) == times_s


def test_a_slow_stretch_gives_no_right_to_a_burst() -> None:
    times_s = [*regular(5, 10), *regular(120, 10, start_s=10.0)]
    assert len(taken(times_s, 30)) == pytest.approx(50 + 300, abs=2)
