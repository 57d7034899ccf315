"""What waits for a viewer: bounded, in order, the newest pictures first to be kept."""

from __future__ import annotations

from itertools import pairwise

import pytest

from streaming.viewer import backlog as backlogs
from streaming.viewer.backlog import SLOWEST, STEADY_NS, Backlog
from streaming.viewer.wire import Watch

NS = 1_000_000_000


def backlog(*sources: str, max_fps: float = 100.0, hop_s: float = 1.0) -> Backlog:
    return Backlog(Watch(frozenset(sources or ("a",)), max_fps, "a"), hop_s)


def hop(seq: int, fps: int = 10, name: str = "") -> list[tuple[int, bytes]]:
    return [(seq * NS + i * NS // fps, f"{name}{seq}.{i}".encode()) for i in range(fps)]


def all_of(waiting: Backlog) -> list[str | bytes]:
    return list(iter(waiting.take, None))


def test_text_goes_first_then_sound_then_pictures_of_each_source_in_turn() -> None:
    waiting = backlog("a", "b")
    waiting.put_pictures("a", hop(0, 3), 0)
    waiting.put_pictures("b", hop(0, 2, "b"), 0)
    waiting.put_sound(b"sound")
    waiting.put("text")
    waiting.put(b"mel")
    assert all_of(waiting) == ["text", b"mel", b"sound", b"0.0", b"b0.0", b"0.1", b"b0.1", b"0.2"]
    assert waiting.take() is None


@pytest.mark.parametrize(
    ("source_fps", "max_fps"), [(30, 12), (25, 12), (25, 30), (30, 30), (60, 24), (10, 1)]
)
def test_pictures_come_at_the_rate_that_was_asked_for_evenly(source_fps: int, max_fps: float) -> None:
    waiting = backlog(max_fps=max_fps)
    times: list[int] = []
    for seq in range(10):
        pictures = [(seq * NS + i * NS // source_fps, f"{seq * NS + i * NS // source_fps}".encode())
                    for i in range(source_fps)]  # fmt: skip
        waiting.put_pictures("a", pictures, seq * NS)
        times += [int(frame) for frame in all_of(waiting)]
    assert len(times) == pytest.approx(10 * min(source_fps, max_fps), abs=1)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert max(gaps) - min(gaps) <= NS // source_fps + 2


def test_stream_time_may_leap() -> None:
    waiting = backlog(max_fps=10)
    for seq in (1000, 1001, 0, 1, 500):
        waiting.put_pictures("a", hop(seq, 20), 0)
        assert len(all_of(waiting)) in (9, 10, 11)


def test_of_pictures_that_nobody_takes_the_newest_are_kept_and_the_pace_falls() -> None:
    waiting = backlog()
    for seq in range(10):
        waiting.put_pictures("a", hop(seq), seq * 2 * NS)
    kept = all_of(waiting)
    assert waiting.lost > 0
    assert waiting.pace == SLOWEST
    assert kept[-1].startswith(b"9.")  # type: ignore[union-attr]
    assert all(frame.startswith((b"8.", b"9.")) for frame in kept)  # type: ignore[union-attr]
    lost = waiting.lost
    for seq in range(10, 16):  # it keeps up again, and is given twice as much after each while
        waiting.put_pictures("a", hop(seq), seq * (STEADY_NS + 1))
        all_of(waiting)
    assert waiting.lost == lost
    assert waiting.pace == 1.0


@pytest.mark.parametrize("hop_s", [1.0, 0.5, 0.1])
def test_two_seconds_may_wait_whatever_the_hop(hop_s: float) -> None:
    waiting = backlog(hop_s=hop_s)
    hops = round(2 / hop_s)
    for seq in range(hops):
        waiting.put_pictures("a", [(seq, b"x")], 0)
    assert waiting.lost == 0
    waiting.put_pictures("a", [(hops, b"x")], 0)
    assert waiting.lost == 1


def test_pictures_that_are_large_are_fewer_but_never_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlogs, "MAX_PICTURE_BYTES", 8)
    waiting = backlog()
    waiting.put_pictures("a", hop(0), 0)
    assert all_of(waiting) == [b"0.8", b"0.9"]
    waiting.put_pictures("a", [(9 * NS, b"larger than the bound")], 0)
    assert all_of(waiting) == [b"larger than the bound"]


def test_of_sound_the_newest_is_kept() -> None:
    waiting = backlog()
    for number in range(9):
        waiting.put_sound(b"%d" % number)
    assert all_of(waiting) == [b"7", b"8"]


def test_what_is_wanted_no_more_is_not_sent() -> None:
    waiting = backlog("a", "b")
    waiting.put_pictures("a", hop(0), 0)
    waiting.put_sound(b"sound")
    waiting.put("text")
    waiting.wants = Watch(frozenset({"b"}), 30.0, None)
    assert all_of(waiting) == ["text"]


def test_more_text_than_is_ever_kept_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlogs, "MAX_TEXT_BYTES", 10)
    waiting = backlog()
    for _ in range(1000):
        waiting.put("123456789")
        assert not waiting.is_too_slow
        waiting.take()
    waiting.put("123456")
    waiting.put("78901")
    assert waiting.is_too_slow
    waiting.put("and no more")
    assert all_of(waiting) == ["123456", "78901"]
