from __future__ import annotations

import csv
import io
from pathlib import Path

from rich.console import Console

from streaming.archive.ledger import Entry
from streaming.archive.table import ROWS_SHOWN, damage, sounded, table, write_csv

DONE = Entry("sub/a, b.mp4", 1, 2, "done", seconds=4.0, sounded=(("dog", 3.0), ("violin", 0.5)))
FAILED = Entry("new\nline.mp4", 1, 2, "failed", error="it is cut short")


def shown(entries: list[Entry]) -> list[str]:
    console = Console(file=io.StringIO(), width=160)
    console.print(table(entries))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_what_sounded_longest_comes_first_and_what_was_not_seen_last() -> None:
    story = {
        "named": [["dog", {"total_s": 1.0}], ["violin", {"total_s": 2.5}]],
        "offscreen": {"total_s": 9.0},
        "silence": {"total_s": 1.0},
    }
    assert sounded(story) == (("violin", 2.5), ("dog", 1.0), ("heard, not seen", 9.0))
    assert sounded({}) == ()
    known = story | {"unseen": [["wind", {"total_s": 1.0}], ["church bell", {"total_s": 8.0}]]}
    assert sounded(known)[-1] == ("heard, not seen (church bell, wind)", 9.0)


def test_a_file_that_was_not_read_as_a_whole_is_told() -> None:
    whole = {"duration_s": 10.0, "seconds": 9.5}
    assert damage({"capture": whole, "model": {}}) == ""
    told = damage({"capture": {"duration_s": 10.0, "seconds": 4.0, "corrupt_packets": 2}})
    assert told == "cut short or damaged: 4.0 of 10.0 s could be read; 2 corrupt packets"


def test_csv_has_every_file_in_a_row(tmp_path: Path) -> None:
    path = write_csv(tmp_path, [DONE, FAILED])
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["file", "state", "seconds", "sounded", "error"],
            ["sub/a, b.mp4", "done", "4.000", "dog 3 s, violin 0.5 s", ""],
            ["new\nline.mp4", "failed", "0.000", "", "it is cut short"],
        ]
    assert list(tmp_path.iterdir()) == [path]


def test_failures_come_first_and_a_long_table_is_cut() -> None:
    lines = shown([DONE] * (ROWS_SHOWN + 9) + [FAILED])
    assert len(lines) == 1 + ROWS_SHOWN + 1
    assert lines[0].split() == ["file", "seconds", "what", "sounded", "errors"]
    assert lines[1].split("  ")[0] == "new?line.mp4"
    assert "it is cut short" in lines[1]
    assert "dog 3 s, violin 0.5 s" in lines[2]
    assert lines[-1].strip() == "and 10 more, all of them in archive.csv"
