"""Sound in its places: what the stamps say in the long run, and samples untouched in the short."""

from __future__ import annotations

import numpy as np

from streaming.snippets import SAMPLE_RATE_HZ
from streaming.sound_track import SoundTrack

SECOND = 1_000_000_000


def test_a_steady_offset_of_the_stamps_is_taken_out() -> None:
    """35 ms lost without a trace (less than a hole): a second later the sound is where its stamps say."""
    track = SoundTrack(SAMPLE_RATE_HZ)
    sound = np.random.default_rng(0).uniform(-1, 1, 4 * SAMPLE_RATE_HZ).astype(np.float32)
    track.put(0, sound[:320])
    for i in range(1, 200):
        assert track.put(i * SECOND // 50 + 35_000_000, sound[320 * i : 320 * i + 320]) is None
    late = round(0.035 * SAMPLE_RATE_HZ)
    np.testing.assert_array_equal(track.take(0, SECOND), sound[:16_000])
    np.testing.assert_array_equal(track.take(2 * SECOND, 3 * SECOND), sound[32_000 - late : 48_000 - late])


def test_a_drifting_sample_clock_stays_within_its_stamps() -> None:
    """Sound of a clock that runs 0.5 % slow: each sample is within 25 ms of its stamp, for any length."""
    track, worst = SoundTrack(SAMPLE_RATE_HZ), 0
    for i in range(3000):
        t_ns = round(i * 0.02 * 1.005 * SECOND)
        track.put(t_ns, np.full(320, i + 1, np.float32))
        placed = np.flatnonzero(track.take(t_ns - SECOND // 4, t_ns + SECOND // 4) == i + 1)
        worst = max(worst, abs(int(placed[0]) - SAMPLE_RATE_HZ // 4))
        track.forget(t_ns - SECOND)
    assert worst < 0.025 * SAMPLE_RATE_HZ
