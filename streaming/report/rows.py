"""The rows of the timeline: labels, the objects beneath each, and what was heard or silent. Bounded."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from streaming.overlay.look import PALETTE
from streaming.report.figures import Figures, Marks, Seen
from streaming.report.runs import LEVELS, Run, Runs, bounded
from streaming.report.words import counted, length_text, spans_text

MOST_LABELS = 40
MOST_BENEATH = 12  # objects of one label
MOST_RUNS = 20_000  # of all rows; a long run is drawn coarser
MOST_POINTS = 1500  # of the level curve
MOST_MARKS = 300  # of one kind
SPANS_TOLD = 4
UNIT_S = 0.01  # of the numbers that the page is given


@dataclass
class Row:
    """One row: `colour` is the number of a colour of the palette, or the name of one of its own."""

    name: str
    detail: str
    said: str
    colour: str
    runs: list[Run] = field(default_factory=list)
    beneath: list[Row] = field(default_factory=list)
    more: int = 0  # objects left out beneath
    number: int = 0  # among all rows of the source


@dataclass
class Rows:
    """All rows of a source.

    Attributes:
        more: how many labels are left out.
        step_s: what begins within one such step is one run; 0 for all of them as they are.
    """

    labels: list[Row]
    more: int
    heard: list[Row]
    step_s: float


def rows_of(figures: Figures) -> Rows:
    """What is shown of a source: the labels, and under each the objects, that sounded longest."""
    objects: dict[str, list[Seen]] = {}
    for seen in figures.objects.values():
        objects.setdefault(seen.name, []).append(seen)
    totals = {name: runs.total_s for name, runs in figures.named.items()}
    longest = sorted(totals, key=lambda name: -totals[name])
    kept = sorted(longest[:MOST_LABELS], key=lambda name: figures.named[name].all[0][0])
    labels = [_label(name, figures.named[name], objects.get(name, []), figures) for name in kept]
    heard = [
        _row("heard, not seen", figures.offscreen, "offscreen", figures),
        _row("silence", figures.silence, "silence", figures),
    ]
    every = [row for label in labels for row in (label, *label.beneath)] + heard
    coarse, step_s = bounded([row.runs for row in every], MOST_RUNS)
    for number, (row, runs) in enumerate(zip(every, coarse, strict=True)):
        row.number, row.runs = number, runs
    return Rows(labels, len(longest) - len(kept), heard, step_s)


def _label(name: str, runs: Runs, objects: list[Seen], figures: Figures) -> Row:
    ordered = sorted(objects, key=lambda seen: -seen.runs.total_s)
    colour = _colour(ordered[0].id) if ordered else "other"
    row = _row(name, runs, colour, figures)
    if len(ordered) == 1:
        row.detail = f"object {ordered[0].id}, {row.detail}"
    elif ordered:
        row.detail = f"{counted(len(ordered), 'object')}, {row.detail}"
        shown = sorted(ordered[:MOST_BENEATH], key=lambda seen: seen.id)
        row.beneath = [_row(f"object {seen.id}", seen.runs, _colour(seen.id), figures) for seen in shown]
        row.more = len(ordered) - len(shown)
    return row


def _row(name: str, runs: Runs, colour: str, figures: Figures) -> Row:
    said = f"{length_text(runs.total_s)}: {when_text(runs, figures)}" if runs.all else "never"
    return Row(name, length_text(runs.total_s) if runs.all else "none", said, colour, list(runs.all))


def when_text(runs: Runs, figures: Figures, most: int = SPANS_TOLD) -> str:
    """When it sounded, in stream time, the first few stretches."""
    spans = runs.spans()
    told = [
        (figures.axis.stream_s(start), figures.axis.stream_s(end - 1e-6) + 1e-6)
        for start, end in spans[:most]
    ]
    return spans_text(told, len(spans) - len(told), tenths=figures.hop_s < 1)


def _colour(track_id: int) -> str:
    return str(track_id % len(PALETTE))


# For the page's script -------------------------------------------------------------------------------------


def drawn(figures: Figures, rows: Rows) -> dict[str, Any]:
    """What the page draws of a source: numbers alone, save for what is said of marks."""
    every = [row for label in rows.labels for row in (label, *label.beneath)] + rows.heard
    return {
        "end": round(figures.axis.end_s, 3),
        "segments": [[round(x, 3), round(t, 3)] for x, t in figures.axis.segments],
        "unit": UNIT_S,
        "levels": LEVELS,
        "rows": [_packed(row.runs) for row in every],
        "level": _level(figures),
        "marks": {
            "gap": _marks(figures.gaps),
            "generation": _marks(figures.generations),
            "vocabulary": _marks(figures.vocabularies),
        },
    }


def _packed(runs: list[Run]) -> list[int]:
    """Three numbers for each: units since the end of the one before, units long, level."""
    numbers, before = [], 0
    for start_s, end_s, level in runs:
        start, end = round(start_s / UNIT_S), round(end_s / UNIT_S)
        numbers += [start - before, end - start, level]
        before = end
    return numbers


def _level(figures: Figures) -> dict[str, Any]:
    """The audio level in slices of equal length: mean and maximum in dBFS, null where there was no result."""
    x_s, dbfs = np.asarray(figures.x_s), np.asarray(figures.level_dbfs)
    slices = max(1, min(MOST_POINTS, math.ceil(figures.axis.end_s / figures.hop_s)))
    width_s = max(figures.axis.end_s, 1e-9) / slices
    of = np.minimum((x_s / width_s + 1e-9).astype(int), slices - 1)
    counts = np.bincount(of, minlength=slices)
    sums = np.bincount(of, weights=dbfs, minlength=slices)
    peaks = np.full(slices, -np.inf)
    np.maximum.at(peaks, of, dbfs)
    return {
        "step": width_s,
        "mean": [round(s / c, 1) if c else None for s, c in zip(sums.tolist(), counts.tolist(), strict=True)],
        "peak": [round(p, 1) if math.isfinite(p) else None for p in peaks.tolist()],
    }


def _marks(marks: Marks) -> list[list[Any]]:
    return [[round(x_s, 3), text] for x_s, text in marks.kept[:MOST_MARKS]]
