"""What comes from a live source, when, and what becomes of it when nobody takes it in time."""

from __future__ import annotations

import threading
from collections import Counter, deque
from fractions import Fraction
from typing import NamedTuple, Protocol

import av

# What may wait to be taken. Pictures are large and soon old: of too many, the oldest goes.
MOST_PICTURES = 45
MOST_WAITING = 3000


class Arrival(NamedTuple):
    """Something that came, and when, by the monotonic clock."""

    frame: av.VideoFrame | av.AudioFrame | None  # None: something was lost here
    came_ns: int
    sound: bool = False


class Opened(NamedTuple):
    """What a source has to offer."""

    aspect: Fraction  # width of a pixel by its height
    sound_format: tuple[int, int] | None  # rate in Hz and channels; None for no sound
    what: str  # in a word or two, for the log


class Connection(Protocol):
    """A live source from being opened to being lost; it brings nothing before it is open."""

    opened: Opened | None
    lost: str | None  # why it has ended, in words without any password; None as long as it has not

    @property
    def tally(self) -> Counter[str]:
        """What went wrong, how often."""
        ...

    def take(self, timeout_s: float) -> Arrival | None:
        """What came first of what was not taken yet; None if nothing comes in time, or any more."""
        ...

    def close(self) -> None:
        """Give it up, without waiting for whoever reads."""
        ...


class Inbox:
    """What has arrived and waits to be taken: filled by one thread, emptied by another.

    patient: whoever fills it waits for room; otherwise pictures that nobody takes in time are dropped.

    Attributes:
        shed: pictures that were dropped.
    """

    def __init__(self, patient: bool = False) -> None:
        self.shed = 0
        self.closed = False
        self._patient = patient
        self._waiting: deque[Arrival] = deque()
        self._pictures = 0
        self._changed = threading.Condition()

    def put(self, arrival: Arrival) -> None:
        with self._changed:
            while self._patient and self._pictures >= MOST_PICTURES and not self.closed:
                self._changed.wait()
            if self.closed:
                return
            self._waiting.append(arrival)
            self._pictures += isinstance(arrival.frame, av.VideoFrame)
            if self._pictures > MOST_PICTURES:
                self._shed_a_picture()
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Arrival | None:
        """The first; None if none comes in time, or it is closed."""
        with self._changed:
            if not self._waiting and not self.closed:
                self._changed.wait(timeout_s)
            if not self._waiting:
                return None
            arrival = self._waiting.popleft()
            self._pictures -= isinstance(arrival.frame, av.VideoFrame)
            self._changed.notify_all()
            return arrival

    def close(self, *, empty: bool = True) -> None:
        """Nothing more goes in; what waits is thrown away, or may still be taken."""
        with self._changed:
            self.closed = True
            if empty:
                self._waiting.clear()
            self._changed.notify_all()

    def _shed_a_picture(self) -> None:
        """Put a note in the place of the oldest one."""
        place, old = next(
            (i, one) for i, one in enumerate(self._waiting) if isinstance(one.frame, av.VideoFrame)
        )
        self._waiting[place] = old._replace(frame=None)
        self._pictures -= 1
        self.shed += 1
