"""The cutter against plain slicing of the whole track, and the rules it promises one by one."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from streaming.errors import UserError
from streaming.snippets import SAMPLE_RATE_HZ, SnippetCutter, Strip, Window

SECOND = 1_000_000_000
BLOCK_S = 0.1

Item = tuple[float, Any]  # (time in s, what)


def noise(duration_s: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, round(duration_s * SAMPLE_RATE_HZ)).astype(np.float32)


def pictures(duration_s: float, fps: float = 25, start_s: float = 0.0) -> list[Item]:
    """Frames that are their own time."""
    return [(start_s + i / fps, start_s + i / fps) for i in range(round(duration_s * fps))]


def blocks(sound: np.ndarray, start_s: float = 0.0, block_s: float = BLOCK_S) -> list[Item]:
    step = round(block_s * SAMPLE_RATE_HZ)
    return [(start_s + i / SAMPLE_RATE_HZ, sound[i : i + step]) for i in range(0, len(sound), step)]


def feed(cutter: SnippetCutter[Any], frames: Iterable[Item], sound: Iterable[Item] = ()) -> list[Any]:
    """What comes of both tracks, interleaved by time; not finished."""
    cuts: list[Any] = []
    for t_s, what in sorted([*frames, *sound], key=lambda item: item[0]):
        put = cutter.sound if isinstance(what, np.ndarray) else cutter.picture
        cuts += put(round(t_s * SECOND), what)
    return cuts


def run(cutter: SnippetCutter[Any], frames: Iterable[Item], sound: Iterable[Item] = ()) -> list[Window[Any]]:
    return [cut for cut in feed(cutter, frames, sound) + cutter.finish() if isinstance(cut, Window)]


@pytest.mark.parametrize("hop_s", [1.0, 0.5, 0.25, 0.2])
@pytest.mark.parametrize("seed", range(5))
def test_windows_are_slices_of_the_track_however_it_arrives(hop_s: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sound, events = noise(4.25, seed), []
    edges = np.unique([0, len(sound), *rng.integers(0, len(sound), 60)])
    for begin, end in pairwise(edges):
        # Each track is in order, but against each other they are up to 0.8 s apart.
        events.append((begin / SAMPLE_RATE_HZ + rng.uniform(0, 0.001), begin, sound[begin:end]))
    lead_s = rng.uniform(-0.8, 0.8)
    events += [(t_s + lead_s, None, t_s) for t_s, _ in pictures(4.25)]
    cutter: SnippetCutter[float] = SnippetCutter(hop_s, has_sound=True, origin_ns=0)
    windows: list[Any] = []
    for _, begin, what in sorted(events, key=lambda event: event[0]):
        if begin is None:
            windows += cutter.picture(round(what * SECOND), what)
        else:
            windows += cutter.sound(round(begin * SECOND / SAMPLE_RATE_HZ), what)
    windows += cutter.finish()
    assert [window.seq for window in windows] == list(range(int((3.25 + 0.1) / hop_s) + 1))
    for k, window in enumerate(windows):
        first = round(k * hop_s * SAMPLE_RATE_HZ)
        assert window.t_ns == round(k * hop_s * SECOND)
        assert window.audio.dtype == np.float32
        np.testing.assert_array_equal(window.audio, sound[first : first + SAMPLE_RATE_HZ])
        assert not window.gap
        assert window.frame == max(t_s for t_s, _ in pictures(4.25) if t_s < k * hop_s + 1 - 1e-9)


def test_a_frame_stamped_at_the_end_belongs_to_the_next_second() -> None:
    windows = run(SnippetCutter(1.0, has_sound=False), [(0.0, "a"), (0.999, "b"), (1.0, "c"), (1.9, "d")])
    assert [(window.frame, window.frame_t_ns) for window in windows] == [
        ("b", 999_000_000),
        ("d", 1_900_000_000),
    ]


def test_late_pictures_lend_their_first_frame_to_earlier_windows() -> None:
    cutter: SnippetCutter[float] = SnippetCutter(1.0, has_sound=True, origin_ns=0)
    windows = run(cutter, pictures(2.0, start_s=2.5), blocks(noise(4.5)))
    assert [window.frame for window in windows] == [2.5, 2.5, pytest.approx(2.98), pytest.approx(3.98)]


def test_jitter_of_the_stamps_moves_no_sample() -> None:
    sound, rng = noise(5.0), np.random.default_rng(1)
    jittery = [(max(0.0, t_s + rng.uniform(-0.04, 0.04)), block) for t_s, block in blocks(sound)]
    jittery[0] = (0.0, jittery[0][1])
    cutter: SnippetCutter[float] = SnippetCutter(1.0, has_sound=True, origin_ns=0)
    windows: list[Any] = []
    for (t_s, block), frames in zip(jittery, np.array_split(np.arange(125) / 25, 50), strict=True):
        for frame_s in frames:
            windows += cutter.picture(round(frame_s * SECOND), float(frame_s))
        windows += cutter.sound(round(t_s * SECOND), block)
    windows += cutter.finish()
    np.testing.assert_array_equal(np.concatenate([window.audio for window in windows]), sound)
    assert not any(window.gap for window in windows)


@pytest.mark.parametrize(("hop_s", "flagged"), [(1.0, [1]), (0.5, [2, 3])])
def test_a_hole_is_silence_in_its_place_and_flags_what_it_touches(hop_s: float, flagged: list[int]) -> None:
    sound = noise(4.0)
    kept = [item for item in blocks(sound) if not 1.55 < item[0] < 1.75]  # the blocks at 1.6 and 1.7 s
    windows = run(SnippetCutter(hop_s, has_sound=True, origin_ns=0), pictures(4.0), kept)
    expected = sound.copy()
    expected[25_600:28_800] = 0
    for k, window in enumerate(windows):
        first = round(k * hop_s * SAMPLE_RATE_HZ)
        np.testing.assert_array_equal(window.audio, expected[first : first + SAMPLE_RATE_HZ])
    assert [window.seq for window in windows if window.gap] == flagged


def test_sound_that_comes_twice_is_heard_once() -> None:
    sound = noise(3.0)
    repeated = sorted([*blocks(sound), (0.5, sound[8_000:9_600])], key=lambda item: item[0])
    cutter: SnippetCutter[float] = SnippetCutter(1.0, has_sound=True, origin_ns=0)
    windows = run(cutter, pictures(3.0), repeated)
    np.testing.assert_array_equal(np.concatenate([window.audio for window in windows]), sound)
    assert [window.gap for window in windows] == [True, False, False]


def test_sound_that_starts_late_and_ends_early_is_zero_there() -> None:
    sound = noise(1.5)
    windows = run(SnippetCutter(1.0, has_sound=True, origin_ns=0), pictures(4.0), blocks(sound, 0.75))
    whole = np.concatenate([np.zeros(12_000), sound, np.zeros(28_000)]).astype(np.float32)
    np.testing.assert_array_equal(np.concatenate([window.audio for window in windows]), whole)
    assert not any(window.gap for window in windows)


def test_what_lies_before_the_origin_is_left_out() -> None:
    sound = noise(2.5)
    windows = run(
        SnippetCutter(1.0, has_sound=True, origin_ns=0), pictures(2.5, start_s=-0.5), blocks(sound, -0.5)
    )
    np.testing.assert_array_equal(np.concatenate([window.audio for window in windows]), sound[8_000:])
    assert [window.t_ns for window in windows] == [0, SECOND]


def test_without_sound_a_window_comes_with_the_frame_after_it() -> None:
    cutter: SnippetCutter[float] = SnippetCutter(1.0, has_sound=False)
    cuts = [len(cutter.picture(round(t_s * SECOND), t_s)) for t_s, _ in pictures(2.04)]
    assert [k for k, n in enumerate(cuts) if n] == [25, 50]
    assert not cutter.finish()


@pytest.mark.parametrize(
    ("duration_s", "hop_s", "count"),
    [
        (10.1, 1.0, 10),
        (5.3, 1.0, 5),
        (5.8, 1.0, 5),
        (9.96, 1.0, 10),
        (9.84, 1.0, 9),
        (1.0, 1.0, 1),
        (0.4, 1.0, 1),
        (0.04, 1.0, 1),
        (0.4, 0.2, 1),
        (2.32, 0.5, 3),
        (2.44, 0.5, 4),
    ],
)
def test_how_many_windows_a_clip_gives(duration_s: float, hop_s: float, count: int) -> None:
    sound = noise(duration_s)
    cutter: SnippetCutter[float] = SnippetCutter(hop_s, has_sound=True, origin_ns=0)
    windows = run(cutter, pictures(duration_s, fps=50), blocks(sound))
    assert len(windows) == count
    assert cutter.covered_s == pytest.approx(duration_s, abs=1e-3)
    heard = sound[round((count - 1) * hop_s * SAMPLE_RATE_HZ) :][:SAMPLE_RATE_HZ]
    np.testing.assert_array_equal(windows[-1].audio[: len(heard)], heard)
    assert not windows[-1].audio[len(heard) :].any()


def test_a_track_that_stops_is_not_waited_for_and_nothing_piles_up() -> None:
    class Picture:
        pass

    cutter: SnippetCutter[Picture] = SnippetCutter(0.5, has_sound=True, origin_ns=0, patience_s=2.0)
    frames: weakref.WeakSet[Picture] = weakref.WeakSet()
    sounds: list[weakref.ref[np.ndarray]] = []
    most_frames = most_blocks = cut = 0
    for i in range(25 * 60):
        if i < 25 * 20 or i >= 25 * 40:  # no sound from 20 to 40 s
            block = np.zeros(640, np.float32)
            sounds.append(weakref.ref(block))
            cut += len(cutter.sound(i * SECOND // 25, block))
            del block
        picture = Picture()
        frames.add(picture)
        cut += len(cutter.picture(i * SECOND // 25, picture))
        del picture
        assert i / 25 - cut * 0.5 < 1.0 + 2.0, "windows come at most `patience_s` after their end"
        if i % 100 == 0:
            gc.collect()
            most_frames = max(most_frames, len(frames))
            most_blocks = max(most_blocks, sum(ref() is not None for ref in sounds))
    assert most_frames <= 2.0 / 0.5 + 4
    assert most_blocks <= 25 * 2 + 2


def test_sound_that_returns_after_windows_went_without_it_is_flagged() -> None:
    sound = noise(20.0)
    kept = [item for item in blocks(sound) if not 3.95 < item[0] < 14.95]
    windows = run(SnippetCutter(1.0, has_sound=True, origin_ns=0), pictures(20.0), kept)
    assert len(windows) == 20
    assert not any(window.audio.any() for window in windows[4:15])
    np.testing.assert_array_equal(windows[15].audio, sound[240_000:256_000])
    # Windows that went before the sound came back could not know; those behind them do.
    assert [window.seq for window in windows if window.gap] == list(range(10, 16))


def test_what_lies_behind_the_end_that_is_given_is_left_out() -> None:
    sound = noise(3.02)
    for end_ns, covered_s in ((3 * SECOND, 3.0), (None, 3.02), (5 * SECOND, 3.02)):
        cutter: SnippetCutter[float] = SnippetCutter(1.0, has_sound=True, origin_ns=0, strip=(16_000, 1))
        cuts = feed(cutter, pictures(3.0), blocks(sound, block_s=1.51))
        cuts += cutter.strip_sound(0, (sound[:, None] * 32_767).astype(np.int16)) + cutter.finish(end_ns)
        strips = [cut if isinstance(cut, Strip) else cut.strip for cut in cuts]
        assert sum(len(strip.audio) for strip in strips) == round(covered_s * SAMPLE_RATE_HZ)
        assert strips[-1].end_ns == round(covered_s * SECOND)
        assert cutter.covered_s == covered_s


def test_the_last_frame_is_held_for_a_while_and_then_the_clip_ends() -> None:
    cutter: SnippetCutter[float] = SnippetCutter(1.0, has_sound=True, origin_ns=0, hold_s=3.0)
    windows = run(cutter, pictures(2.0), blocks(noise(9.0)))
    assert [window.frame for window in windows[1:]] == [pytest.approx(1.96)] * 4
    assert windows[-1].end_ns == 5 * SECOND


@pytest.mark.parametrize("to_s", [2.0, 100.0], ids=["back", "ahead"])
def test_a_leap_begins_a_generation_with_a_grid_of_its_own(to_s: float) -> None:
    before, after = noise(10.4, 1), noise(3.0, 2)
    cutter: SnippetCutter[float] = SnippetCutter(1.0, has_sound=True, origin_ns=0)
    cuts = feed(cutter, pictures(10.4), blocks(before))
    # The picture leaps first; a little sound of the old scene comes behind it.
    cuts += cutter.picture(round(to_s * SECOND), to_s)
    cuts += cutter.sound(round(10.4 * SECOND), noise(0.2, 3))
    cuts += feed(cutter, pictures(3.0, start_s=to_s)[1:], blocks(after, to_s))
    windows = cuts + cutter.finish()
    assert [window.seq for window in windows] == list(range(13))
    assert [window.generation for window in windows] == [0] * 10 + [1] * 3
    assert [window.gap for window in windows] == [False] * 10 + [True, False, False]
    assert windows[10].t_ns == round(to_s * SECOND)
    # Until the second picture confirms the leap, the sound of the new scene is not believed.
    new = np.concatenate([window.audio for window in windows[10:]])
    np.testing.assert_array_equal(new[1_600:], after[1_600:])
    assert cutter.covered_s == pytest.approx(13.4, abs=0.3)


def test_pictures_that_step_back_for_good_do_not_silence_the_sound() -> None:
    """The sound is of the old scene only for so long as tracks can be apart in a file."""
    cutter: SnippetCutter[float] = SnippetCutter(1.0, has_sound=True, origin_ns=0)
    windows: list[Any] = []
    for i in range(20 * 25):
        windows += cutter.picture((i if i < 250 else i - 50) * SECOND // 25, i / 25)
        windows += cutter.sound(i * SECOND // 25, np.full(640, i + 1, np.float32))
    windows += cutter.finish()
    assert windows[-1].generation == 1
    np.testing.assert_array_equal(
        windows[-1].audio[::640], np.arange(25) + 1 + windows[-1].t_ns * 25 // SECOND
    )


@pytest.mark.parametrize("stray_s", [1e6, 50.0, 0.5, -100.0])
def test_one_absurd_stamp_costs_its_frame_and_no_more(stray_s: float) -> None:
    frames = [(stray_s if i == 100 else t_s, t_s) for i, (t_s, _) in enumerate(pictures(8.0))]
    sound = noise(8.0)
    cutter: SnippetCutter[float] = SnippetCutter(1.0, has_sound=True, origin_ns=0)
    windows: list[Any] = []
    for i, (t_s, frame) in enumerate(frames):
        windows += cutter.picture(round(t_s * SECOND), frame)
        windows += cutter.sound(i * SECOND // 25, sound[i * 640 : i * 640 + 640])
    windows += cutter.finish()
    assert [(window.generation, window.t_ns) for window in windows] == [(0, k * SECOND) for k in range(8)]
    np.testing.assert_array_equal(np.concatenate([window.audio for window in windows]), sound)
    assert [window.seq for window in windows if window.gap] in ([3], [4])


def test_pictures_that_return_after_a_long_absence_begin_a_generation() -> None:
    cutter: SnippetCutter[float] = SnippetCutter(1.0, has_sound=True, origin_ns=0, hold_s=3.0)
    frames = [*pictures(2.0), *pictures(3.0, start_s=20.0)]
    windows = run(cutter, frames, blocks(noise(23.0)))
    assert [(window.generation, window.t_ns // SECOND) for window in windows] == [
        *((0, second) for second in range(5)),
        *((1, second) for second in range(20, 23)),
    ]
    np.testing.assert_array_equal(windows[-1].audio, noise(23.0)[22 * 16_000 :])


def test_a_restart_keeps_sound_that_is_ahead_of_the_picture() -> None:
    sound = noise(5.0)
    cutter: SnippetCutter[float] = SnippetCutter(1.0, has_sound=True, origin_ns=0)
    windows: list[Any] = []
    for t_s, block in blocks(sound):  # sound runs half a second ahead
        windows += cutter.sound(round(t_s * SECOND), block)
        for frame_s in (t_s - 0.5, t_s - 0.45):
            if 2.29 < frame_s < 2.31:
                windows += cutter.restart(round(frame_s * SECOND))
            if frame_s >= 0:
                windows += cutter.picture(round(frame_s * SECOND), frame_s)
    windows += cutter.finish()
    assert [(window.generation, window.t_ns) for window in windows[:3]] == [
        (0, 0),
        (0, SECOND),
        (1, 23 * SECOND // 10),
    ]
    np.testing.assert_array_equal(windows[2].audio, sound[36_800:52_800])


def test_what_was_lost_flags_its_window_and_a_late_notice_the_next() -> None:
    cutter: SnippetCutter[float] = SnippetCutter(1.0, has_sound=False, origin_ns=0)
    windows = feed(cutter, pictures(2.4))
    cutter.lost(round(2.2 * SECOND))
    windows += feed(cutter, pictures(2.0, start_s=2.4))
    cutter.lost(round(1.5 * SECOND))
    windows += feed(cutter, pictures(2.0, start_s=4.4)) + cutter.finish()
    assert [window.seq for window in windows if window.gap] == [2, 4]
    assert cutter.gaps == 2


def test_after_a_loss_the_next_sound_is_placed_by_its_stamp() -> None:
    """A lost packet of 21 ms is less than a hole by itself; because it was noticed, nothing moves."""
    sound = noise(3.0)
    cutter: SnippetCutter[float] = SnippetCutter(1.0, has_sound=True, origin_ns=0)
    windows: list[Any] = []
    for t_s, block in blocks(sound, block_s=0.02):
        if 1.31 < t_s < 1.33:
            cutter.lost(round(t_s * SECOND), sound=True)
        else:
            windows += cutter.sound(round(t_s * SECOND), block)
        windows += cutter.picture(round(t_s * SECOND), t_s)
    windows += cutter.finish()
    expected = sound.copy()
    expected[21_120:21_440] = 0
    np.testing.assert_array_equal(np.concatenate([window.audio for window in windows]), expected)
    assert [window.gap for window in windows] == [False, True, False]


@pytest.mark.parametrize("hop_s", [1.0, 0.5, 0.2])
@pytest.mark.parametrize("duration_s", [0.4, 3.4, 3.96])
def test_strips_tile_the_clip(hop_s: float, duration_s: float) -> None:
    sound = (noise(duration_s)[:, None] * [1000, 2000]).astype(np.int16)
    cutter: SnippetCutter[float] = SnippetCutter(hop_s, has_sound=True, origin_ns=0, strip=(16_000, 2))
    cuts: list[Any] = []
    for i, (t_s, frame) in enumerate(pictures(duration_s, fps=50)):
        cuts += cutter.strip_sound(i * SECOND // 50, sound[i * 320 : i * 320 + 320])
        cuts += cutter.sound(i * SECOND // 50, np.zeros(320, np.float32))
        cuts += cutter.picture(round(t_s * SECOND), frame, dur_ns=SECOND // 50, thumbnail=b"%d" % i)
    cuts += cutter.finish()
    strips: list[Strip] = [cut if isinstance(cut, Strip) else cut.strip for cut in cuts]
    assert [strip.seq for strip in strips] == list(range(len(strips)))
    assert strips[0].t_ns == 0
    assert all(strip.end_ns == after.t_ns for strip, after in pairwise(strips))
    assert strips[-1].end_ns == pytest.approx(duration_s * SECOND, abs=1)
    np.testing.assert_array_equal(np.concatenate([strip.audio for strip in strips]), sound)
    shown = [jpeg for strip in strips for _, jpeg in strip.thumbnails]
    assert shown == [b"%d" % i for i in range(round(duration_s * 50))]
    for strip in strips:
        assert all(strip.t_ns <= t_ns < strip.end_ns for t_ns, _ in strip.thumbnails)
    for cut in cuts:
        if isinstance(cut, Window) and cut.seq:
            assert cut.strip is not None
            assert cut.strip.t_ns == cut.end_ns - round(hop_s * SECOND)


@pytest.mark.parametrize("hop_s", [0.0, -1.0, 0.3, 2.0, 1 / 3, float("nan")])
def test_a_hop_that_does_not_divide_the_second_is_refused(hop_s: float) -> None:
    with pytest.raises(UserError, match=r"hop_s: found .*, expected a whole fraction of a second"):
        SnippetCutter(hop_s, has_sound=True)
