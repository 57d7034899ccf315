"""Time advances, never backwards, and waiting for it can be cut short."""

from __future__ import annotations

import threading
import time

import pytest

from streaming.clock import Clock, FakeClock


def test_wall_time_is_read_once_and_then_follows_the_monotonic_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 5_000)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 100)
    clock = Clock()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 130)
    assert clock.monotonic_ns() == 130
    assert clock.wall_ns() == 5_030


def test_waiting_ends_at_the_moment() -> None:
    clock = Clock()
    moment_ns = clock.monotonic_ns() + 5_000_000
    assert clock.wait_until(moment_ns)
    assert clock.monotonic_ns() >= moment_ns


def test_waiting_is_cut_short_by_a_stop_from_another_thread() -> None:
    clock, stop = Clock(), threading.Event()
    threading.Timer(0.02, stop.set).start()
    assert not clock.wait_until(clock.monotonic_ns() + 60_000_000_000, stop)


def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    stop = threading.Event()
    assert Clock().wait_until(0, stop)
    stop.set()
    assert not Clock().wait_until(0, stop)


def test_fake_clock_stands_still_until_it_is_advanced_or_waited_on() -> None:
    clock = FakeClock(monotonic_ns=10, wall_ns=1_000)
    assert (clock.monotonic_ns(), clock.wall_ns()) == (10, 1_000)
    clock.advance(5)
    assert (clock.monotonic_ns(), clock.wall_ns()) == (15, 1_005)
    assert clock.wait_until(40)
    assert clock.wait_until(20)
    assert (clock.monotonic_ns(), clock.wall_ns()) == (40, 1_030)


def test_fake_clock_does_not_run_backwards_and_heeds_a_stop() -> None:
    clock, stop = FakeClock(), threading.Event()
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
    stop.set()
    assert not clock.wait_until(100, stop)
    assert clock.monotonic_ns() == 0
