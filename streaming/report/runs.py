"""Stretches of the axis in which something sounded, each with how surely."""

from __future__ import annotations

from collections.abc import Sequence

LEVELS = 20  # steps of surety; finer ones cannot be told apart by eye

Run = tuple[float, float, int]
"""Start and end in seconds of the axis; surety, 0 to `LEVELS`."""


class Runs:
    """Takes windows in order; where they overlap, the newer says how surely."""

    def __init__(self) -> None:
        self.all: list[Run] = []

    def add(self, start_s: float, end_s: float, surety: float = 1.0) -> None:
        """Adds a window; `surety` is 0 to 1."""
        level = round(min(max(surety, 0.0), 1.0) * LEVELS)
        if self.all and start_s <= self.all[-1][1] + 1e-6:
            before, until, held = self.all[-1]
            if held == level:
                self.all[-1] = before, max(until, end_s), level
                return
            if start_s <= before:
                self.all.pop()
            else:
                self.all[-1] = before, start_s, held
        self.all.append((start_s, end_s, level))

    @property
    def total_s(self) -> float:
        """How long it sounded, all together."""
        return sum(end - start for start, end, _ in self.all)

    def spans(self) -> list[tuple[float, float]]:
        """The stretches without their surety: those that touch are one."""
        joined: list[tuple[float, float]] = []
        for start, end, _ in self.all:
            if joined and start <= joined[-1][1] + 1e-6:
                joined[-1] = joined[-1][0], max(end, joined[-1][1])
            else:
                joined.append((start, end))
        return joined


def coarser(runs: Sequence[Run], step_s: float) -> list[Run]:
    """The same with at most one run for every `step_s`: those that begin in the same one are joined.

    The surety of a joined run is the mean over the time that sounded.
    """
    joined: list[list[float]] = []  # start, end, surety x time, time, step
    for start, end, level in runs:
        step = start // step_s
        if joined and (joined[-1][4] == step or start < joined[-1][1]):
            held = joined[-1]
            held[1] = max(held[1], end)
            held[2] += level * (end - start)
            held[3] += end - start
        else:
            joined.append([start, end, level * (end - start), end - start, step])
    return [(start, end, round(sum_ / time)) for start, end, sum_, time, _ in joined]


def bounded(rows: Sequence[Sequence[Run]], most: int) -> tuple[list[list[Run]], float]:
    """Rows of together at most `most` runs, and their step in seconds; 0 where they are as they were."""
    kept, step_s = [list(runs) for runs in rows], 0.0
    while sum(map(len, kept)) > most:
        step_s = step_s * 2 or 1.0
        kept = [coarser(runs, step_s) for runs in rows]
        if step_s > 1e9:
            break
    return kept, step_s
