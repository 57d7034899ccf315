"""What a terminal shows of a run while it lasts: sources, what sounds, how far it is, and what is not well.

It is laid out for the terminal it is drawn on, each time anew: what does not fit is left out, column by
column and row by row. No line is ever wider than the terminal, so none is broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streaming.legible import legible
from streaming.status import SourceStatus, sources_of, told_node

GAP = 2  # cells between columns
NOW_CELLS = 16  # what sounds now is told in no less, as long as another column can give way
WIDE = 100  # cells; a terminal of fewer is told less
CAPS = {"source": 16, "state": 12, "lost": 20}  # the widest that a column may be on a narrow terminal
WIDE_CAPS = {"source": 24, "state": 12, "lost": 32}
BAR_CELLS = (10, 40)
METER_CELLS = 8
METER_DBFS = (-60.0, 0.0)  # what an empty and a full meter mean
EIGHTHS = " ▏▎▍▌▋▊▉"
MOST_TROUBLES = 4


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    state: `running`, or what it waits for.
    reached_s, duration_s: of the recording; `duration_s` is None where there is no end, or none is known.
    found: what was found so far, in words.
    elapsed_s: since the command was given.
    """

    state: str
    reached_s: float
    duration_s: float | None
    found: str
    elapsed_s: float


class LiveView:
    """A renderable of rich's: what the supervisor says of its nodes (request `status`), and the progress."""

    def __init__(self, told: Mapping[str, Mapping[str, Any]], progress: Progress) -> None:
        self.sources = list(sources_of(told))
        self.troubles = [*_not_well(told), *_lost(self.sources)]
        self.progress = progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        room = options.size.height - 2  # the progress has a line, and what nodes say one above the view
        troubles = _some(self.troubles, min(MOST_TROUBLES, room - 2))
        room -= len(troubles)
        shown = self.sources if 1 + len(self.sources) <= room else self.sources[: max(0, room - 2)]
        if shown:
            yield _table(shown, width, ascii_only=options.ascii_only)
        if (rest := self.sources[len(shown) :]) and room > 0:
            bad = sum(not one.well for one in rest)
            yield _line(f"and {len(rest)} more sources" + (f", {bad} of them not well" if bad else ""), "dim")
        for trouble in troubles:
            yield _line(trouble, "yellow")
        yield from self._progress(width)

    def _progress(self, width: int) -> Iterator[Any]:
        told = ", ".join(filter(None, [hours(self.progress.elapsed_s), self.progress.found]))
        state = Text(legible(self.progress.state), style="bold")
        bar_cells = min(BAR_CELLS[1], width - cell_len(state.plain) - cell_len(told) - 10)
        if self.progress.duration_s is None or bar_cells < BAR_CELLS[0]:
            yield _line(f"{state.plain}  {told}")
            return
        total = max(1, int(self.progress.duration_s))  # the rest of a second has no result
        bar = ProgressBar(total=total, completed=self.progress.reached_s, width=bar_cells)
        line = Table.grid(padding=(0, GAP, 0, 0))
        percent = min(100, 100 * self.progress.reached_s / total)
        line.add_row(state, bar, Text(f"{percent:.0f} %"), Text(told, no_wrap=True))
        yield line


def hours(t_s: float) -> str:
    """A length of time as a clock tells it: "0:59", "2:00:05"."""
    minutes, seconds = divmod(round(t_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def meter(dbfs: float | None, *, ascii_only: bool = False) -> str:
    """A level as a bar of `METER_CELLS` cells.

    >>> meter(-30.0)
    '████    '
    """
    low, high = METER_DBFS
    share = 0.0 if dbfs is None else min(1.0, max(0.0, (dbfs - low) / (high - low)))
    full, eighths = divmod(round(share * METER_CELLS * 8), 8)
    if ascii_only:
        return ("#" * full).ljust(METER_CELLS)
    return ("█" * full + EIGHTHS[eighths].strip()).ljust(METER_CELLS)


def _table(sources: Sequence[SourceStatus], width: int, *, ascii_only: bool) -> Table:
    """The sources, with the columns that a width has room for; what sounds now has the rest of it."""
    wide = width >= WIDE
    caps, latency = (WIDE_CAPS, "latency p50 / p95") if wide else (CAPS, "p50 / p95")
    columns = {
        "source": [one.name for one in sources],
        "state": [one.state for one in sources],
        "fps": [one.fps for one in sources],
        "audio": [_audio(one, number=wide, ascii_only=ascii_only) for one in sources],
        latency: [one.latency for one in sources],
        "lost": [one.lost_briefly for one in sources],
    }
    widths = {
        head: min(caps.get(head, width), max(cell_len(cell) for cell in [head, *map(legible, cells)]))
        for head, cells in columns.items()
    }
    for head in ("fps", "lost", latency, "state", "audio"):
        if sum(widths.values()) + GAP * len(widths) + NOW_CELLS <= width:
            break
        del widths[head]
    widths["source"] = min(widths["source"], max(1, width // 2))
    columns["now"] = [one.now for one in sources]
    widths["now"] = max(1, width - sum(widths.values()) - GAP * len(widths))
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
    for head, cells in widths.items():
        table.add_column(head, width=cells, no_wrap=True, overflow="ellipsis")
    for i, one in enumerate(sources):
        table.add_row(*(Text(legible(columns[head][i]), style=_style(head, one)) for head in widths))
    return table


def _audio(one: SourceStatus, *, number: bool, ascii_only: bool) -> str:
    if one.audio_dbfs is None:
        return one.audio
    bar = meter(one.audio_dbfs, ascii_only=ascii_only)
    return f"{bar} {one.audio}" if number else bar


def _style(head: str, one: SourceStatus) -> str:
    if head == "state":
        return "green" if one.well else "red"
    return {"audio": "cyan", "now": "bold"}.get(head, "")


def _lost(sources: Sequence[SourceStatus]) -> list[str]:
    return [f"{one.name}: {one.told_state}" for one in sources if one.state == "lost" and one.reason]


def _not_well(told: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each node that is not there; of those that start for the first time the progress tells."""
    lines = []
    for name, node in told.items():
        if node.get("state") in ("down", "failed"):
            lines.append(f"{name}: {told_node(node)}")
        elif node.get("state") == "starting" and node.get("restarts"):
            lines.append(f"{name}: starting again: {node.get('died', '')}")
    return lines


def _some(lines: Sequence[str], most: int) -> list[str]:
    """The first of many lines, and how many more there are; `most` in all."""
    if len(lines) <= most:
        return list(lines)
    told = max(0, most - 1)
    return [*lines[:told], f"and {len(lines) - told} more like that"] if most > 0 else []


def _line(text: str, style: str = "") -> Text:
    return Text(legible(text), style=style, no_wrap=True, overflow="ellipsis")
