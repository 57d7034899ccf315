"""The latency of a run as SVG paths: stages stacked, the whole as lines of p50 and p95."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from streaming.report.timing import Pace

WIDTH, HEIGHT = 1000, 200  # of the drawing; the page stretches it
CUT_SHARE = 95  # per cent of the slices that must fit


@dataclass(frozen=True)
class Chart:
    """Paths of a drawing of `WIDTH` x `HEIGHT`, and its upper edge in milliseconds.

    Attributes:
        stages: name, mean over the slices in milliseconds, path.
        cut: whether something is higher than the upper edge.
    """

    top_ms: float
    cut: bool
    stages: list[tuple[str, float, str]]
    p50: str
    p95: str


def chart(pace: Pace, end_s: float) -> Chart:
    """Draws the slices of a run that ends at `end_s` on its axis."""
    p95 = np.asarray(pace.p95_ms)
    stacked = np.sum(
        [np.asarray(values) for values in pace.stage_ms.values()] or [np.zeros(len(p95))], axis=0
    )
    highest = np.maximum(p95, stacked)
    top_ms = _round_up(max(1.0, float(np.percentile(highest, CUT_SHARE)) * 1.1))
    scale_x, scale_y = WIDTH / max(end_s, 1e-9), HEIGHT / top_ms

    def y(ms: float) -> float:
        return round(max(0.0, HEIGHT - ms * scale_y), 1)

    stages, base = [], np.zeros(len(p95))
    for name, values in pace.stage_ms.items():
        ceiling = base + np.asarray(values)
        boxes = [
            f"M{round(x * scale_x, 1)} {y(low)}h{round(pace.width_s * scale_x + 0.3, 1)}V{y(high)}"
            f"h-{round(pace.width_s * scale_x + 0.3, 1)}z"
            for x, low, high in zip(pace.x_s, base.tolist(), ceiling.tolist(), strict=True)
        ]
        stages.append((name, float(np.mean(values)), "".join(boxes)))
        base = ceiling

    def line(values: list[float]) -> str:
        steps, before = [], None
        for x, ms in zip(pace.x_s, values, strict=True):
            joined = before is not None and x - before < 1.5 * pace.width_s
            start, end = round(x * scale_x, 1), round((x + pace.width_s) * scale_x, 1)
            steps.append(f"{'L' if joined else 'M'}{start} {y(ms)}H{end}")
            before = x
        return "".join(steps)

    return Chart(top_ms, bool((highest > top_ms).any()), stages, line(pace.p50_ms), line(pace.p95_ms))


def _round_up(ms: float) -> float:
    """The next of 1, 2, 4, 5, 6, 8, 10 of its decimal order."""
    order = 10 ** math.floor(math.log10(ms))
    return next(step * order for step in (1, 2, 4, 5, 6, 8, 10) if ms <= step * order * (1 + 1e-9))
