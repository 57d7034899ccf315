"""The results of a run as far as they can be read: what cannot is left out, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streaming.errors import UserError
from streaming.results import checked_line

RESULTS = "results.jsonl"
MOST_BYTES = 8 << 20  # of one line; what is longer is no line of results


class Reading:
    """Goes once through a `results.jsonl`. Masks are not held against their sizes: few of them are drawn.

    Attributes:
        left_out: how many lines could not be read.
        first_wrong: what was wrong with the first of them, with its number.
        torn: whether the last line was cut off in the middle.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left_out = 0
        self.first_wrong = ""
        self.torn = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Raises `UserError` where the file cannot be read at all."""
        try:
            with self.path.open("rb") as file:
                yield from self._lines(file)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror or error})") from error

    def _lines(self, file: Any) -> Iterator[dict[str, Any]]:
        number = 0
        while line := file.readline(MOST_BYTES):
            number += 1
            if not line.endswith(b"\n"):
                if len(line) < MOST_BYTES:
                    self.torn = True
                    return
                while line and not line.endswith(b"\n"):
                    line = file.readline(MOST_BYTES)
                self._leave_out(number, f"it is longer than {MOST_BYTES} bytes")
                continue
            try:
                result = checked_line(line, masks=False)
            except ValueError as error:
                self._leave_out(number, str(error))
                continue
            yield result

    def _leave_out(self, number: int, why: str) -> None:
        self.left_out += 1
        self.first_wrong = self.first_wrong or f"line {number}: {why}"

    def told(self) -> list[str]:
        """What was left out, in sentences."""
        said = []
        if self.left_out:
            lines = "1 line" if self.left_out == 1 else f"{self.left_out} lines"
            said.append(f"{lines} of {self.path.name} could not be read and left out ({self.first_wrong}).")
        if self.torn:
            said.append(
                f"The last line of {self.path.name} is torn and left out: the run goes on, or crashed."
            )
        return said


def results_files(folder: Path) -> list[Path]:
    """The results in a run's folder: its own, or of several sources those in the folders beneath.

    Raises `UserError` where there are none.
    """
    if (folder / RESULTS).is_file():
        return [folder / RESULTS]
    files = sorted(path for path in folder.glob(f"*/{RESULTS}") if path.is_file())
    if not files:
        raise UserError(f"{folder}: found no {RESULTS}, expected the folder of a run (its --out)")
    return files
