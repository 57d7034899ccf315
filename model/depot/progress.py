"""How a fetch goes, for people: a bar on a terminal, a line now and then where there is none."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from model.depot.words import size

TENTHS = 10
FEWEST, UNKNOWN = 16 << 20, 64 << 20  # bytes from one line to the next: at least; of a file of unknown size


class Teller:
    """The `Watch` of the command, on standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._row: TaskID | None = None
        self._name, self._total, self._told, self._every = "", None, 0, UNKNOWN

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, name: str, total: int | None) -> None:
        if self._row is not None:
            self._bar.remove_task(self._row)
        self._row = self._bar.add_task(name, total=total)
        self._name, self._total, self._told = name, total, -1
        self._every = max(FEWEST, total // TENTHS) if total else UNKNOWN

    def at(self, done: int) -> None:
        if self._row is not None:
            self._bar.update(self._row, completed=done)
        if self._console.is_terminal:
            return
        part = done // self._every + (done == self._total)
        if part > self._told:
            self._told = part
            self.say(f"{self._name}: {size(done)}" + (f" of {size(self._total)}" if self._total else ""))

    def say(self, line: str) -> None:
        self._console.print(line, markup=False)
