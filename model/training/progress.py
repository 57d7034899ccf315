"""How a run goes, for people: a bar with the time left on a terminal, lines where there is none."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

DAY_S, HOUR_S, MINUTE_S = 86_400, 3_600, 60


class Teller:
    """Tells of the steps `first` to `last` of what is called `name`; quiet, it says nothing."""

    def __init__(self, name: str, first: int, last: int, *, quiet: bool = False) -> None:
        self.name, self.last, self._quiet = name, last, quiet
        self.console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._lines = not self.console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            console=self.console,
            disable=self._lines or quiet,
        )
        self._row = self._bar.add_task(name, total=last, completed=first, told="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self, done: int) -> None:
        """So many steps are done."""
        self._bar.update(self._row, completed=done)

    def scores(self, done: int, values: dict[str, float], step_s: float | None = None) -> None:
        """What the last steps came to, and how long a step takes if that is known."""
        told = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        if step_s is not None:
            told += f", {step_s:.3g} s a step, {duration((self.last - done) * step_s)} left"
        self._bar.update(self._row, completed=done, told=told)
        if self._lines:
            self.say(f"{self.name}: step {done} of {self.last}: {told}")

    def say(self, line: str) -> None:
        """A line of its own, above the bar."""
        if not self._quiet:
            self.console.print(line, markup=False)


def duration(seconds: float) -> str:
    """In the two largest units that it fills: "2 d 5 h", "3 min 20 s", "4 s"."""
    left, parts = round(seconds), []
    for unit_s, unit in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min"), (1, "s")):
        count, left = divmod(left, unit_s)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
