"""A device that runs fast or slow is found out by counting, and its sound stays where it belongs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from streaming.sources.sample_clock import SampleClock, SteadySound

DEVICE_HZ, OUT_HZ, BLOCK = 8_000, 4_000, 800
BEGUN_NS = 5_000_000_000


def clicks(
    ppm: float, seconds: int, jitter_s: float
) -> tuple[SampleClock, np.ndarray, list[tuple[int, int]]]:
    """A device records a click in the middle of each second.

    Returns its clock, how late (s) each click comes out, and the time and length of every block.
    """
    rng = np.random.default_rng(1)
    true_hz = DEVICE_HZ * (1 + ppm / 1e6)
    recorded = np.zeros((int(seconds * true_hz) // BLOCK * BLOCK, 1), np.float32)
    recorded[np.round((np.arange(seconds) + 0.5) * true_hz).astype(int)[:-1]] = 1
    clock = SampleClock(DEVICE_HZ)
    steady = SteadySound(clock, OUT_HZ, 1)
    times, sounds, blocks = [], [], []
    for start in range(0, len(recorded), BLOCK):
        stamp_s = start / true_hz + rng.uniform(-jitter_s, jitter_s)
        clock.note(start, BEGUN_NS + round(stamp_s * 1e9))
        if came := steady.put(recorded[start : start + BLOCK]):
            t_ns, sound = came
            blocks.append((t_ns, len(sound)))
            times.append((t_ns - BEGUN_NS) / 1e9 + np.arange(len(sound)) / OUT_HZ)
            sounds.append(np.abs(sound[:, 0]))
    t, y = np.concatenate(times), np.concatenate(sounds)
    late = []
    for second in range(seconds - 2):
        near = (t > second + 0.2) & (t < second + 0.8)
        late.append(t[near][y[near].argmax()] - (second + 0.5))
    return clock, np.array(late), blocks


@pytest.mark.parametrize("ppm", [0.0, 200.0, -200.0, 700.0])
def test_a_device_is_measured_and_its_sound_kept_in_place(ppm: float) -> None:
    clock, late_s, blocks = clicks(ppm, 140, jitter_s=0.003)
    assert clock.ppm == pytest.approx(ppm, abs=15)
    assert np.abs(late_s).max() < 0.0333  # a picture
    assert np.abs(late_s[115:]).max() < 0.012
    for (t_ns, count), (next_ns, _) in pairwise(blocks):
        assert abs(t_ns + count * 1e9 / OUT_HZ - next_ns) < 1e3  # nothing cut out, nothing doubled


def test_before_a_minute_is_over_the_device_is_believed() -> None:
    clock, late_s, _ = clicks(200.0, 50, jitter_s=0.0)
    assert clock.ppm == 0.0
    assert np.abs(late_s).max() < 0.005  # stamps alone hold it there


def test_a_device_is_never_believed_to_be_absurd() -> None:
    clock = SampleClock(DEVICE_HZ)
    for second in range(100):
        clock.note(second * DEVICE_HZ, round(second * 1.5e9))
    assert clock.ppm == pytest.approx(-1000.0)


def test_a_stereo_device_keeps_its_sides() -> None:
    clock = SampleClock(DEVICE_HZ)
    steady = SteadySound(clock, OUT_HZ, 2)
    t = np.arange(BLOCK * 20) / DEVICE_HZ
    both = np.stack((np.sin(2 * np.pi * 300 * t), np.zeros_like(t)), axis=1).astype(np.float32)
    came = []
    for start in range(0, len(both), BLOCK):
        clock.note(start, round(start * 1e9 / DEVICE_HZ))
        came += [out[1] for out in [steady.put(both[start : start + BLOCK])] if out]
    left, right = np.concatenate(came).T
    assert np.sqrt((left[500:3000] ** 2).mean()) == pytest.approx(np.sqrt(0.5), abs=0.01)
    assert np.abs(right).max() == 0
