"""How long each result took, stage by stage, and which results are missing."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_LOSSES = 1000  # stretches kept; all are counted


@dataclass(frozen=True)
class Pace:
    """The run in slices of equal length on the axis; a slice without results has none of these.

    Attributes:
        x_s: where each slice begins.
        width_s: how long each is.
        p50_ms, p95_ms: of the latency of its results.
        stage_ms: mean of each stage.
    """

    x_s: list[float]
    width_s: float
    p50_ms: list[float]
    p95_ms: list[float]
    stage_ms: dict[str, list[float]]


class Timing:
    """Takes results in order; eight bytes a figure, so that a run of days still fits."""

    def __init__(self) -> None:
        self.x_s, self.latency_ms = array("d"), array("f")
        self._stages: dict[str, array] = {}

    def add(self, line: dict[str, Any], x_s: float) -> None:
        for stage, ms in line["stage_ms"].items():
            if stage not in self._stages and len(self._stages) >= 16:
                continue
            of_stage = self._stages.setdefault(stage, array("f"))
            of_stage.extend([0.0] * (len(self.x_s) - len(of_stage)))
            of_stage.append(ms)
        self.x_s.append(x_s)
        self.latency_ms.append(line["latency_ms"])

    def overall_ms(self) -> tuple[float, float]:
        """p50 and p95 of the latency of all results."""
        p50, p95 = np.percentile(self.latency_ms, [50, 95]) if len(self.latency_ms) else (0.0, 0.0)
        return float(p50), float(p95)

    def pace(self, end_s: float, slices: int) -> Pace:
        """The run in at most so many slices."""
        x_s = np.asarray(self.x_s)
        slices = max(1, min(slices, len(x_s)))
        width_s = max(end_s, 1e-9) / slices
        of = np.minimum((x_s / width_s).astype(int), slices - 1)
        order = np.argsort(of, kind="stable")
        there, firsts = np.unique(of[order], return_index=True)
        parts = np.split(order, firsts[1:])
        latency = np.asarray(self.latency_ms)
        quantiles = [np.percentile(latency[part], [50, 95]) for part in parts]
        stage_ms = {}
        for stage, values in self._stages.items():
            whole = np.zeros(len(x_s))
            whole[: len(values)] = values
            stage_ms[stage] = [float(whole[part].mean()) for part in parts]
        return Pace(
            x_s=[float(index) * width_s for index in there],
            width_s=width_s,
            p50_ms=[float(one[0]) for one in quantiles],
            p95_ms=[float(one[1]) for one in quantiles],
            stage_ms=stage_ms,
        )


class Losses:
    """Which sequence numbers have no result.

    Attributes:
        count: how many.
        stretches: [axis_s of the next result, first missing number, how many], the first `MOST_LOSSES`.
        first: the number of the first result; what may be missing before it is not counted.
    """

    def __init__(self) -> None:
        self.count = self.stretches_count = 0
        self.stretches: list[tuple[float, int, int]] = []
        self.first: int | None = None
        self._next = 0

    def add(self, seq: int, x_s: float) -> None:
        if self.first is None:
            self.first = seq
        elif seq > self._next:
            missing = seq - self._next
            self.count += missing
            self.stretches_count += 1
            if len(self.stretches) < MOST_LOSSES:
                self.stretches.append((x_s, self._next, missing))
        self._next = max(self._next, seq + 1)
