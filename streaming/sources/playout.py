"""Evens out what comes in bursts, as segments of a download do."""

from __future__ import annotations

import threading

from streaming.clock import Clock
from streaming.sources.cutting import Cut

POLL_S = 0.1


class Playout:
    """Lets cuts go one by one.

    Each goes as long after the first as it is later in stream time. One that comes too late goes at once, and
    those behind it as much later; and all of them a little earlier each time, so that what once was held back
    does not stay old for ever.
    """

    SLEW_NS = 2_000_000

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._generation: int | None = None
        self._offset_ns = 0
        self._asked: Cut | None = None

    def wait(self, cut: Cut, stop: threading.Event) -> bool:
        """Wait a moment for a cut's turn; whether it has come."""
        now_ns = self._clock.monotonic_ns()
        if cut is not self._asked:
            self._asked = cut
            self._offset_ns -= self.SLEW_NS
            if cut.generation != self._generation or now_ns > self._offset_ns + cut.end_ns:
                self._generation, self._offset_ns = cut.generation, now_ns - cut.end_ns
        due_ns = self._offset_ns + cut.end_ns
        self._clock.wait_until(min(due_ns, now_ns + round(POLL_S * 1e9)), stop)
        return self._clock.monotonic_ns() >= due_ns
