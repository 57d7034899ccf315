"""Where in a film a moment is: what cannot be read of it is left out, and nothing else with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from streaming.errors import UserError
from streaming.film_times import Stretch, note, read_times, times_of

FIRST, SECOND = Stretch(0, 0, 0.0), Stretch(2, 7_000_000_000, 4.25)


def test_what_is_noted_is_read(tmp_path: Path) -> None:
    film = tmp_path / "annotated-2.mp4"
    note(times_of(film), SECOND, first=True)
    note(times_of(film), FIRST, first=True)
    note(times_of(film), SECOND, first=False)
    assert times_of(film).name == "annotated-2.times.jsonl"
    assert read_times(film) == [FIRST, SECOND]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"\xff\xfe",
        b"[]",
        b"7",
        b'{"generation": 1}',
        b'{"generation": 1, "t_ns": 0, "at_s": null}',
    ],
)
def test_lines_that_are_none_are_left_out(tmp_path: Path, line: bytes) -> None:
    film = tmp_path / "annotated.mp4"
    note(times_of(film), FIRST, first=True)
    with times_of(film).open("ab") as file:
        file.write(line + b"\n")
    note(times_of(film), SECOND, first=False)
    assert read_times(film) == [FIRST, SECOND]


def test_a_torn_line_and_a_missing_file_tell_nothing(tmp_path: Path) -> None:
    film = tmp_path / "annotated.mp4"
    assert read_times(film) == []
    times_of(film).write_text('{"generation": 1, "t_ns": 10, "at_s": 1')
    assert read_times(film) == []


def test_a_file_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "annotated.times.jsonl"
    with pytest.raises(
        UserError, match=r"annotated\.times\.jsonl: cannot be written: No such file or directory"
    ):
        note(path, FIRST, first=True)
