"""What came of a folder's files: a table for people, and `archive.csv` with every file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from streaming.archive.ledger import Entry
from streaming.errors import UserError
from streaming.legible import legible
from streaming.status import told_lost

NAME = "archive.csv"
ROWS_SHOWN = 40
COLUMNS = ("file", "state", "seconds", "sounded", "error")
HEARD = "heard, not seen"
CUT_SHORT_S = 1.0  # a recording says of itself how long it is; sound and picture seldom end together


def sounded(story: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """[name, seconds] of what `Story.told` says, the longest first; last what was heard and not seen."""
    named, unseen = (
        sorted(((name, told["total_s"]) for name, told in story.get(key, [])), key=lambda item: -item[1])
        for key in ("named", "unseen")
    )
    unseen_s = story.get("offscreen", {}).get("total_s", 0.0)
    what = f"{HEARD} ({', '.join(text for text, _ in unseen)})" if unseen else HEARD
    return (*named, *([(what, unseen_s)] if unseen_s else []))


def damage(counters: Mapping[str, Mapping[str, Any]]) -> str:
    """What the counters of the nodes say of a file that could not be read as a whole."""
    capture = counters.get("capture", {})
    says_s, read_s = capture.get("duration_s", 0.0), capture.get("seconds", 0.0)
    short = f"cut short or damaged: {read_s:.1f} of {says_s:.1f} s could be read"
    lost = told_lost(counters.values())
    return "; ".join([short] * (says_s - read_s > CUT_SHORT_S) + [lost] * (lost != "none"))


def in_words(entry: Entry) -> str:
    """What sounded in a file, such as "dog 3 s, violin 5.5 s"."""
    return ", ".join(f"{name} {round(seconds, 1):g} s" for name, seconds in entry.sounded)


def write_csv(out: Path, entries: Iterable[Entry]) -> Path:
    """Every file in a row, whole or not at all. Raises `UserError`."""
    path = out / NAME
    beside = path.with_suffix(".csv.new")
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            for one in entries:
                rows.writerow((one.file, one.state, f"{one.seconds:.3f}", in_words(one), one.error))
        os.replace(beside, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    return path


def table(entries: Sequence[Entry]) -> Table:
    """The files that failed first, then the others, as many as can be taken in at a glance."""
    rows = Table(box=None, padding=(0, 2, 0, 0), header_style="")
    for name in ("file", "seconds", "what sounded", "errors"):
        rows.add_column(name, justify="right" if name == "seconds" else "left", overflow="fold")
    ordered = sorted(entries, key=lambda one: one.state != "failed")
    for one in ordered[:ROWS_SHOWN]:
        seconds = f"{one.seconds:.1f}" if one.state == "done" else "-"
        rows.add_row(*(Text(legible(text)) for text in (one.file, seconds, in_words(one), one.error)))
    if len(ordered) > ROWS_SHOWN:
        rows.add_row(Text(f"and {len(ordered) - ROWS_SHOWN} more, all of them in {NAME}"))
    return rows
