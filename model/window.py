"""The sliding window of one source: what its newest snippets left behind, ready for AudioMaskDec.

A window spans T seconds and takes one snippet a second, however often snippets come (`hop_s`). Each snippet
is remembered once and never computed again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from model.memory import Memory

SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Remembered:
    """A snippet in the ring: its number, the start of its second, and the decoder's memory of it."""

    seq: int
    t_ns: int
    memory: Memory


class SlidingWindow:
    """A ring of the newest snippets of one generation of one source."""

    def __init__(self, length: int) -> None:
        self.length = length
        self._ring: deque[Remembered] = deque()

    def push(self, snippet: Remembered) -> None:
        """Add the newest snippet; what no window can need any more is let go."""
        if self._ring and snippet.t_ns <= self._ring[-1].t_ns:
            raise ValueError(f"snippet at {snippet.t_ns} ns after one at {self._ring[-1].t_ns} ns")
        self._ring.append(snippet)
        oldest_ns = snippet.t_ns - (self.length - 1) * SECOND_NS - SECOND_NS // 2
        while self._ring[0].t_ns <= oldest_ns:
            self._ring.popleft()

    def slots(self) -> list[Remembered]:
        """The window's T snippets, oldest first, one second apart.

        A slot takes the snippet nearest to its time, less than half a second away. Where there is none
        (before T seconds have passed, or where one was dropped under load) it repeats the slot after it:
        during warm-up that is the oldest there is, of those whole seconds away.
        """
        newest = self._ring[-1]
        slots = [newest]
        for back in range(1, self.length):
            due_ns = newest.t_ns - back * SECOND_NS
            nearest = min(self._ring, key=lambda snippet: abs(snippet.t_ns - due_ns))
            slots.append(nearest if abs(nearest.t_ns - due_ns) < SECOND_NS // 2 else slots[-1])
        return slots[::-1]

    def __len__(self) -> int:
        return len(self._ring)


def fill(slots: list[Remembered]) -> int:
    """How many slots hold a snippet of their own, not a repeated one."""
    return 1 + sum(a.seq != b.seq for a, b in pairwise(slots))


def clip_windows(count: int, length: int) -> Iterator[tuple[list[int], int]]:
    """Cuts `count` frames of a clip into windows of `length`: positions, and the place of the first new one.

    Each frame is new once. Frames that are left over come with as many as it takes of those before, and a
    clip that is too short begins with its first frame repeated, as a stream does. 7 by 5: 0 to 4, then 2 to
    6 of which 5 and 6 are new; 2 by 5: 0, 0, 0, 0, 1 of which the last two are.
    """
    for done in range(0, count, length):
        start = min(done, count - length)
        yield [max(0, position) for position in range(start, start + length)], done - start
