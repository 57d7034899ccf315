"""What comes over a connection, put in its places: leaps, changes, losses, bursts."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from streaming.clock import FakeClock
from streaming.messages import Snippet
from streaming.snippets import Strip, Window
from streaming.sources.arrivals import MOST_PICTURES, Arrival, Inbox, Opened
from streaming.sources.base import Place, PreviewSettings
from streaming.sources.cutting import Cut, Cutting
from streaming.sources.live import Feed, LiveOptions, LiveSource
from streaming.sources.playout import Playout
from tests.media import draw_frame
from tests.streaming.sources.watching import SECOND


def picture(number: int, t_s: float, *, width: int = 160, height: int = 96) -> Arrival:
    frame = av.VideoFrame.from_ndarray(draw_frame(number, width=width, height=height))
    frame.pts, frame.time_base = round(t_s * 90_000), Fraction(1, 90_000)
    return Arrival(frame, 0)


def sound(t_s: float, dur_s: float = 0.02, rate_hz: int = 48_000) -> Arrival:
    frame = av.AudioFrame.from_ndarray(
        np.full((1, round(dur_s * rate_hz)), 8000, np.int16), format="s16", layout="mono"
    )
    frame.sample_rate, frame.pts, frame.time_base = rate_hz, round(t_s * rate_hz), Fraction(1, rate_hz)
    return Arrival(frame, 0, sound=True)


def feed(has_sound: bool = False) -> Feed:
    cutting = Cutting(
        "front", clock=FakeClock(), hop_s=1.0, has_sound=has_sound, sound_format=(48_000, 1), preview=None,
        patience_s=0.4,
    )  # fmt: skip
    return Feed(cutting, Opened(Fraction(1), (48_000, 1) if has_sound else None, "h264"), 0, "front")


def windows(cuts: Iterator[Cut] | list[Cut]) -> list[Window[av.VideoFrame]]:
    return [cut for cut in cuts if not isinstance(cut, Strip)]


def play(one: Feed, arrivals: list[Arrival]) -> list[Window[av.VideoFrame]]:
    return windows([cut for arrival in arrivals for cut in one.take(arrival)])


def stamp_s(arrival: Arrival) -> float:
    frame: Any = arrival.frame
    return float(frame.pts * frame.time_base)


def at(arrivals: list[Arrival], begin_s: float) -> list[Arrival]:
    """The same, each having come when the camera says, counted from begin_s of ours."""
    first_s = min(map(stamp_s, arrivals))
    return [a._replace(came_ns=round((begin_s + stamp_s(a) - first_s) * 1e9)) for a in arrivals]


@pytest.mark.parametrize("leap_s", [3600.0, -1800.0])
def test_a_camera_whose_clock_leaps_begins_a_generation(leap_s: float) -> None:
    one = feed()
    before = [picture(n, 5000 + n / 10) for n in range(31)]
    after = [picture(100 + n, 5003.1 + leap_s + n / 10) for n in range(31)]
    found = play(one, at(before, 7.0) + after)
    assert [(w.generation, w.gap) for w in found] == [(0, False)] * 3 + [(1, True), (1, False), (1, False)]
    assert found[0].t_ns == 7 * SECOND


@pytest.mark.parametrize("has_sound", [False, True])
def test_a_camera_that_changes_its_resolution_begins_a_generation(has_sound: bool) -> None:
    one = feed(has_sound)
    arrivals = [picture(n, n / 10) for n in range(35)]
    arrivals += [picture(n, n / 10, width=320, height=192) for n in range(35, 70)]
    if has_sound:
        arrivals += [sound(n / 50) for n in range(350)]
        arrivals.sort(key=stamp_s)
    found = play(one, at(arrivals, 0.0))
    assert [w.generation for w in found] == [0] * 3 + [1] * 3
    assert [w.frame.width for w in found] == [160] * 3 + [320] * 3


def test_sound_that_starts_late_does_not_hold_up_pictures() -> None:
    one = feed(has_sound=True)
    arrivals = [picture(n, n / 10) for n in range(80)] + [sound(n / 50) for n in range(200, 400)]
    arrivals.sort(key=stamp_s)
    came = at(arrivals, 0.0)
    found = play(one, came)
    assert len(found) == 7
    assert [bool(w.audio.any()) for w in found] == [False] * 4 + [True] * 3


def test_frames_that_cannot_be_placed_or_are_too_large_are_left_out_and_flagged() -> None:
    one = feed()
    arrivals = at([picture(n, n / 10) for n in range(45)], 0.0)
    huge = av.VideoFrame(16_384, 64, "yuv420p")
    huge.pts, huge.time_base = 90_000 * 15 // 10 + 4500, Fraction(1, 90_000)
    nowhere = av.VideoFrame(160, 96, "yuv420p")
    arrivals[16:16] = [Arrival(huge, 0), Arrival(nowhere, 0), Arrival(None, 0)]
    found = play(one, arrivals)
    assert [w.gap for w in found] == [False, True, False, False]
    assert {w.frame.width for w in found} == {160}


def test_what_comes_in_bursts_goes_evenly_and_does_not_stay_old() -> None:
    clock, stop = FakeClock(), threading.Event()
    playout = Playout(clock)
    one = feed()
    cuts = play(one, at([picture(n, n / 10) for n in range(2000)], 0.0))
    gone_s = []
    for place, cut in enumerate(cuts):
        came_ns = (10 * (place // 6)) * SECOND * 6 // 10  # six together
        clock.advance(max(0, came_ns - clock.monotonic_ns()))
        while not playout.wait(cut, stop):
            pass
        gone_s.append(clock.monotonic_ns() / 1e9)
    steps_s = np.diff(gone_s)
    assert steps_s.min() > 0.9
    assert steps_s.max() < 1.1


# Connections that come and go -----------------------------------------------------------------------------


class Scripted:
    """A connection that brings arrivals as fast as they are taken, moving the clock on, and then is lost."""

    def __init__(self, arrivals: list[Arrival], lost: str | None, clock: FakeClock) -> None:
        self.opened: Opened | None = Opened(Fraction(1), None, "h264") if arrivals else None
        self.lost = None if arrivals else lost
        self.tally = Counter(shed=1)
        self.closed = False
        self._arrivals, self._clock, self._reason = list(arrivals), clock, lost

    def take(self, timeout_s: float) -> Arrival | None:
        if not self._arrivals:
            self.lost = self._reason
            self._clock.advance(round(timeout_s * 1e9))
            return None
        arrival = self._arrivals.pop(0)
        now_ns = self._clock.monotonic_ns()
        self._clock.advance(max(0, arrival.came_ns - now_ns))
        return arrival._replace(came_ns=self._clock.monotonic_ns())

    def close(self) -> None:
        self.closed = True


def second_of(begin_s: float, seconds: int = 2) -> list[Arrival]:
    return at([picture(n, 50 + n / 10) for n in range(10 * seconds + 1)], begin_s)


Script = list[tuple[list[Arrival], str | None]]


def run(
    script: Script, clock: FakeClock | None = None, **options: Any
) -> tuple[list[Snippet], LiveSource, list[Scripted]]:
    """A source whose connections bring this in turn; it is closed when there is no more."""
    clock, made = clock or FakeClock(), list[Scripted]()

    def connect() -> Scripted:
        if len(made) == len(script):
            source.close()
        made.append(Scripted(*[*script, ([], "over")][len(made)], clock))
        return made[-1]

    source = LiveSource(
        "front", connect, shown="rtsp://***@host", clock=clock, options=LiveOptions(**options)
    )
    return [message for message in source if isinstance(message, Snippet)], source, made


def test_every_connection_begins_a_generation_and_stream_time_goes_on_in_between() -> None:
    refused: Script = [([], "Connection refused")] * 3
    found, source, made = run([(second_of(0), "reset"), *refused, (second_of(0), "reset")])
    assert [(s.generation, s.gap) for s in found] == [(0, False), (0, False), (1, True), (1, False)]
    assert found[1].t_ns == SECOND
    assert found[2].t_ns > 6 * SECOND  # after waits of 1, and about 2, 4 and 8 seconds
    assert [s.seq for s in found] == [0, 1, 2, 3]
    assert all(one.closed for one in made)
    counters = source.counters
    assert (counters["connections"], counters["frames"], counters["shed"]) == (2, 42, 6)


def test_it_goes_on_in_the_time_and_with_the_numbers_of_the_one_before_it() -> None:
    clock = FakeClock(monotonic_ns=100 * SECOND)
    found, _, _ = run(
        [(second_of(100), "reset")], clock, begun_ns=60 * SECOND, after=Place(3, 17, 35 * SECOND)
    )
    assert [(s.generation, s.seq, s.t_ns // SECOND) for s in found] == [(4, 18, 40), (4, 19, 41)]


def test_a_connection_that_falls_silent_is_given_up() -> None:
    found, source, made = run([(second_of(0), None), (second_of(0), "reset")])
    assert [s.generation for s in found] == [0, 0, 1, 1]
    assert 2 + 5 < found[2].t_ns / SECOND < 2 + 5 + 3
    assert source.counters["reason"] == "reset"
    assert made[0].closed


def test_a_connection_that_never_opens_is_given_up() -> None:
    found, source, _ = run([([], None), (second_of(0), "reset")])
    assert [s.generation for s in found] == [0, 0]
    assert found[0].t_ns > 15 * SECOND
    assert source.counters["connections"] == 1


def test_what_is_the_matter_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    run([([], "Connection refused")] * 5 + [([], "No route to host")])
    told = [record.message for record in caplog.records]
    assert told == [
        "front: rtsp://***@host: Connection refused; trying again",
        "front: rtsp://***@host: No route to host; trying again",
    ]


# What waits to be taken ------------------------------------------------------------------------------------


def test_of_too_many_pictures_the_oldest_go_and_sound_stays() -> None:
    inbox = Inbox()
    for n in range(MOST_PICTURES + 10):
        inbox.put(picture(n, n / 10))
        inbox.put(sound(n / 10))
    inbox.close(empty=False)
    left = list(iter(lambda: inbox.take(0), None))
    assert [arrival.frame is None for arrival in left[:20:2]] == [True] * 10
    assert all(isinstance(arrival.frame, av.VideoFrame) for arrival in left[20::2])
    assert sum(arrival.sound for arrival in left) == MOST_PICTURES + 10
    assert inbox.shed == 10


def test_a_patient_inbox_makes_whoever_fills_it_wait_and_lets_go_when_it_is_closed() -> None:
    inbox, filled = Inbox(patient=True), list[int]()

    def fill() -> None:
        for n in range(MOST_PICTURES + 10):
            inbox.put(picture(n, n / 10))
            filled.append(n)

    thread = threading.Thread(target=fill)
    thread.start()
    for _ in range(3):
        assert inbox.take(5) is not None
    thread.join(0.3)
    assert thread.is_alive()
    assert MOST_PICTURES <= len(filled) <= MOST_PICTURES + 3
    inbox.close()
    thread.join(5)
    assert not thread.is_alive()
    assert inbox.shed == 0
    assert inbox.take(0) is None


def test_pictures_are_let_go_without_the_garbage_collector() -> None:
    """It comes too seldom for things of a megabyte each: a camera's process would grow by gigabytes a day."""
    cutting = Cutting(
        "front", clock=FakeClock(), hop_s=0.5, has_sound=False, sound_format=(48_000, 1),
        preview=PreviewSettings(),
    )  # fmt: skip
    one = Feed(cutting, Opened(Fraction(1), None, "h264"), 0, "front")
    gc.collect()
    before = gc.get_debug()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for n in range(30):
            for cut in one.take(picture(n, n / 10)):
                list(cutting.messages(cutting.ready(cut)))
        gc.collect()
        assert not [thing for thing in gc.garbage if isinstance(thing, av.VideoFrame)]
    finally:
        gc.set_debug(before)
        gc.garbage.clear()
        gc.enable()
