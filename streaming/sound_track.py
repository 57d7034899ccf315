"""Sound put together by counting samples, because stamps jitter and sample clocks do not."""

from __future__ import annotations

from collections import deque

import numpy as np

# Sound that comes this much later or earlier than counted was lost or repeated ...
HOLE_S = 0.060
# ... and sound that keeps more than this to one side for a while is not jitter but drift: it is moved over.
JITTER_S = 0.010
SETTLE_S = 1.0
# After a leap of the pictures, sound of the old scene may come for so long.
STRAGGLE_S = 5.0


class SoundTrack:
    """Samples in their places, found by counting.

    A block is put right behind the one before it, whatever its stamp says, as long as the two agree within
    60 ms: stamps jitter, sample clocks do not. A larger disagreement leaves a hole (zeros) or cuts what is
    there already. A disagreement that stays beyond 10 ms on one side for a second is drift and is taken out.

    Only blocks are kept, so a hole of any length costs nothing.
    """

    def __init__(self, rate_hz: int, *, dtype: type[np.generic] = np.float32, channels: int | None = None):
        self.rate_hz = rate_hz
        self._dtype = dtype
        self._tail = () if channels is None else (channels,)
        self._hole = round(HOLE_S * rate_hz)
        self._jitter = round(JITTER_S * rate_hz)
        self._settle = round(SETTLE_S * rate_hz)
        self._blocks: deque[tuple[int, np.ndarray]] = deque()
        self._end: int | None = None
        self._left: int | None = None
        self._left_limit = 0
        self._exact = True
        self._drift = 0
        self._drift_since = 0

    def index(self, t_ns: int) -> int:
        """The number of the sample at a time, counted from time zero."""
        return (t_ns * self.rate_hz + 500_000_000) // 1_000_000_000

    def reaches(self, t_ns: int) -> bool:
        return self._end is not None and self._end >= self.index(t_ns)

    @property
    def end_ns(self) -> int | None:
        """Where the sound so far ends; None before any came."""
        return None if self._end is None else self._end * 1_000_000_000 // self.rate_hz

    def put(self, t_ns: int, samples: np.ndarray) -> tuple[int, int] | None:
        """Add samples stamped t_ns. Returns the bounds of a hole or repetition that this has shown."""
        stamped = self.index(t_ns)
        if self._left is not None:
            if abs(stamped - self._left) <= self._hole and stamped < self._left_limit:
                self._left = stamped + len(samples)
                return None
            self._left = None
        end = stamped if self._end is None else self._end
        late = stamped - end
        lost = abs(late) > (0 if self._exact else self._hole)
        start = stamped if lost else end + self._settled(late, end)
        self._exact = False
        if start < end:
            samples = samples[end - start :]
            start = end
        if len(samples):
            self._blocks.append((start, samples))
        self._end = start + len(samples)
        if lost:
            self._drift = 0
            return min(t_ns, self._time(end)), max(t_ns, self._time(end))
        return None

    def resync(self) -> None:
        """Something was lost here: place the next block by its stamp alone."""
        self._exact = True

    def take(self, start_ns: int, end_ns: int) -> np.ndarray:
        """The samples of [start_ns, end_ns), zeros where there are none. Shape: (n,) or (n, channels)."""
        first, last = self.index(start_ns), self.index(end_ns)
        taken = np.zeros((last - first, *self._tail), self._dtype)
        for start, block in self._blocks:
            low, high = max(first, start), min(last, start + len(block))
            if low < high:
                taken[low - first : high - first] = block[low - start : high - start]
        return taken

    def forget(self, before_ns: int) -> None:
        before = self.index(before_ns)
        while self._blocks and self._blocks[0][0] + len(self._blocks[0][1]) <= before:
            self._blocks.popleft()

    def clear(self, *, leave: bool = False) -> None:
        """Begin anew. leave: sound that still continues what there was is left out, for some seconds."""
        self._left = self._end if leave else None
        self._left_limit = (self._end or 0) + round(STRAGGLE_S * self.rate_hz)
        self._blocks.clear()
        self._end, self._exact, self._drift = None, True, 0

    def _time(self, index: int) -> int:
        return index * 1_000_000_000 // self.rate_hz

    def _settled(self, late: int, end: int) -> int:
        """The samples to leave out (+) or cut (-) now because the stamps have drifted."""
        if abs(late) <= self._jitter:
            self._drift = 0
        elif late * self._drift <= 0:
            self._drift, self._drift_since = late, end
        else:
            self._drift = min(self._drift, late, key=abs)
            if end - self._drift_since >= self._settle:
                drift, self._drift = self._drift, 0
                return drift
        return 0
