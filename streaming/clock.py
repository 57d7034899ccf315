"""Where time comes from: one monotonic clock with a wall-clock anchor, and a stand-in for tests."""

from __future__ import annotations

import threading
import time


class Clock:
    """Nanoseconds that never run backwards. Every object that needs the time is given one of these.

    The wall clock is read once, when the object is made; afterwards it advances with the monotonic clock, so
    that a correction of the system's time (NTP, an operator) never makes a latency jump.
    """

    def __init__(self) -> None:
        self._anchor_ns = time.time_ns() - time.monotonic_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary moment: for durations and deadlines within this process."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 UTC: for stamps that another process or a person reads."""
        return self._anchor_ns + self.monotonic_ns()

    def wait_until(self, monotonic_ns: int, stop: threading.Event | None = None) -> bool:
        """Sleep until that moment. Returns True when it came, False when `stop` was set before it."""
        stop = stop or threading.Event()
        while (remaining_ns := monotonic_ns - self.monotonic_ns()) > 0:
            if stop.wait(min(remaining_ns / 1e9, threading.TIMEOUT_MAX)):
                return False
        return not stop.is_set()


class FakeClock(Clock):
    """A clock for tests: time stands still until it is advanced, and waiting is what advances it.

    Sockets wait in real time, so links and control connections are given a true `Clock`, never this one.
    """

    def __init__(self, monotonic_ns: int = 0, wall_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = monotonic_ns
        self._anchor_ns = wall_ns - monotonic_ns

    def monotonic_ns(self) -> int:
        return self._now_ns

    def advance(self, duration_ns: int) -> None:
        """Let `duration_ns` pass. Raises ValueError for a negative duration."""
        if duration_ns < 0:
            raise ValueError(f"time does not run backwards: asked to advance by {duration_ns} ns")
        self._now_ns += duration_ns

    def wait_until(self, monotonic_ns: int, stop: threading.Event | None = None) -> bool:
        if stop is not None and stop.is_set():
            return False
        self.advance(max(0, monotonic_ns - self._now_ns))
        return True
