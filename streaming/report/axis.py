"""Where a moment of the stream lies on the axis of a report, which never runs backwards.

The axis is stream time, until a source is lost or sought and its time leaps: what goes back is put behind
what was there, and an absence of hours takes as much room as one of seconds.
"""

from __future__ import annotations

from bisect import bisect_right

LEAP_S = 60.0  # a longer absence ...
LEAP_SHOWN_S = 10.0  # ... is drawn as one of this length
MOST_SEGMENTS = 2000  # a camera that comes and goes for days; later times are then labelled from the last


class Axis:
    """Takes moments in the order of the stream.

    Attributes:
        segments: [axis_s, stream_s] wherever the offset between the two changes.
        end_s: the end of what has come so far, on the axis.
    """

    def __init__(self) -> None:
        self.segments: list[tuple[float, float]] = []
        self.end_s = 0.0
        self._generation: int | None = None
        self._offset_s = 0.0  # axis = stream + offset

    def place(self, generation: int, t_s: float) -> float:
        """Where the window that begins at `t_s` (seconds) begins on the axis."""
        x_s = t_s + self._offset_s
        if self._generation is None:
            self._shift(0.0, t_s)
            x_s = 0.0
        elif generation != self._generation:
            if x_s < self.end_s - 1e-6:
                x_s = self._shift(self.end_s, t_s)
            elif x_s > self.end_s + LEAP_S:
                x_s = self._shift(self.end_s + LEAP_SHOWN_S, t_s)
        self._generation = generation
        self.end_s = max(self.end_s, x_s + 1.0)
        return max(0.0, x_s)

    def _shift(self, x_s: float, t_s: float) -> float:
        self._offset_s = x_s - t_s
        if len(self.segments) < MOST_SEGMENTS:
            self.segments.append((x_s, t_s))
        return x_s

    def stream_s(self, x_s: float) -> float:
        """The stream time of a place on the axis."""
        index = max(0, bisect_right(self.segments, (x_s + 1e-9, float("inf"))) - 1)
        axis_s, stream_s = self.segments[index] if self.segments else (0.0, 0.0)
        return stream_s + x_s - axis_s
