"""What the command line shows of a run: a live view on a terminal, lines in a log, a summary at the end."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from streaming.clock import Clock
from streaming.config import kind_of_node
from streaming.legible import legible
from streaming.live_view import LiveView, Progress, hours
from streaming.node_process import Node
from streaming.status import sources_of, status_lines, told_lost

LINE_EVERY_NS = 10_000_000_000
DRAW_EVERY_NS = 250_000_000
LOG_COLUMNS = 200
STAGES = ("capture", "feature", "observe", "decode", "track", "classify")
IN_SECONDS_S = 100  # longer recordings are told in minutes and hours


class Heedless(io.TextIOBase):
    """A stream to a terminal, or a pipe, that may be gone: what cannot be written is not."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


@contextmanager
def whoever_listens() -> Iterator[None]:
    """Meanwhile nothing fails because nobody reads what is told: a run outlives its terminal, and ends in
    order."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Heedless(sys.stdout), Heedless(sys.stderr)  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class Saying(logging.Handler):
    """Logs where the lines of nodes go."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())


class Watcher:
    """Shows how a run goes: a live view on a terminal, a line every ten seconds where there is none.

    status_s: how often the whole status is told, line by line; None for not at all.
    """

    def __init__(self, clock: Clock, *, quiet: bool = False, status_s: float | None = None) -> None:
        self.clock = clock
        self.console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._lines = not self.console.is_terminal or self.console.is_dumb_terminal
        self._quiet = quiet
        self._begun_ns = self._told_ns = self._status_ns = clock.monotonic_ns()
        self._drawn_ns: int | None = None
        self._status_s = status_s
        self._address: str | None = None  # at which the run can be watched, once that was told
        self._log = Saying(self.say)
        self._live: Live | None = None
        if not self._lines and not quiet:
            # It goes at the end: the summary says it all again.
            self._live = Live(console=self.console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self._log)
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rest()
        logging.getLogger().removeHandler(self._log)

    def rest(self) -> None:
        """Nothing goes on any more: the live view goes, and lines come one below the other."""
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """A line of a node's, above the live view."""
        self.console.print(legible(line), markup=False, emoji=False)

    def watch(self, nodes: Mapping[str, Node]) -> None:
        """Bring the display up to date."""
        viewer = nodes.get("viewer")
        address = viewer.counters.get("address") if viewer is not None else None
        if address is not None and address != self._address:
            self._address = address
            self.say(f"watch it at {address}")
        now_ns = self.clock.monotonic_ns()
        if self._live is not None and (self._drawn_ns is None or now_ns - self._drawn_ns >= DRAW_EVERY_NS):
            self._drawn_ns = now_ns
            told = _told(nodes)
            self._live.update(LiveView(told, self._progress(nodes, told, now_ns)), refresh=True)
        if self._status_s is not None and now_ns - self._status_ns >= self._status_s * 1e9:
            self._status_ns = now_ns
            for line in status_lines(_told(nodes)):
                self.say(line)
        if self._lines and not self._quiet and now_ns - self._told_ns >= LINE_EVERY_NS:
            self._told_ns = now_ns
            latency_ms = nodes["recorder"].counters.get("latency_p50_ms", 0)
            self.say(_progress_line(self._progress(nodes, _told(nodes), now_ns), latency_ms))

    def _progress(
        self, nodes: Mapping[str, Node], told: Mapping[str, Mapping[str, Any]], now_ns: int
    ) -> Progress:
        recorder = nodes["recorder"].counters
        missing = [name for name, node in nodes.items() if node.state in ("starting", "down", "failed")]
        away = [one.name for one in sources_of(told) if one.away]
        state, found = "running", ""
        if missing and not recorder.get("results"):
            state = f"starting ({', '.join(missing)})"
        elif away and not recorder.get("results"):
            state = f"waiting for {', '.join(away)}"
        elif missing:
            state = f"running without {', '.join(missing)}"
        if recorder.get("results"):
            found = f"{recorder['results']} results, {recorder.get('objects', 0)} objects"
        # 0: the file does not say. Of several sources, the longest.
        duration_s = max(node.counters.get("duration_s") or 0 for node in captures(nodes).values()) or None
        reached_s = recorder.get("reached_s", 0.0)
        return Progress(state, reached_s, duration_s, found, (now_ns - self._begun_ns) / 1e9)


def _told(nodes: Mapping[str, Node]) -> dict[str, dict[str, Any]]:
    return {name: node.status() for name, node in nodes.items()}


def _progress_line(progress: Progress, latency_ms: float) -> str:
    if not progress.found:
        return f"{progress.state}: no result yet"
    of = f" of {progress.duration_s:.1f}" if progress.duration_s else ""
    return f"{progress.state}: {progress.reached_s:.1f}{of} s, {progress.found}, latency {latency_ms:.0f} ms"


def captures(nodes: Mapping[str, Any]) -> dict[str, Any]:
    """The capture nodes among all, by name."""
    return {name: node for name, node in nodes.items() if kind_of_node(name) == "capture"}


def summary(counters: Mapping[str, Mapping[str, Any]], wall_s: float, startup_s: float | None) -> Table:
    """A run's end as a table: what was processed, how fast, what was saved and lost, what sounded when."""
    recorder = counters.get("recorder", {})
    classification = counters.get("classification", {})
    seconds = recorder.get("seconds", 0.0)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    running_s = max(1e-9, wall_s - (startup_s or 0.0))

    def row(name: str, value: str) -> None:
        table.add_row(Text(legible(name)), Text(legible(value)))  # words of the user's may look like markup

    row("seconds processed", f"{seconds:.1f} ({recorder.get('results', 0)} results)")
    row(
        "real-time factor",
        f"{seconds / running_s:.2f} ({running_s:.1f} s after {startup_s or 0:.1f} s of start-up)",
    )
    row("objects found", str(recorder.get("objects", 0)))
    calls, saved = classification.get("clip_calls", 0), classification.get("clip_calls_saved", 0)
    row("CLIP calls", f"{calls}, {saved} saved by the label cache")
    stages = recorder.get("stage_ms", {})
    known = [name for name in STAGES if name in stages] + [name for name in stages if name not in STAGES]
    row("ms per snippet", ", ".join(f"{name} {stages[name]:.0f}" for name in known) or "none")
    row(
        "latency",
        f"p50 {recorder.get('latency_p50_ms', 0):.0f} ms, p95 {recorder.get('latency_p95_ms', 0):.0f} ms",
    )
    row("drops", told_lost(counters.values()))
    restarts = {name: one["restarts"] for name, one in counters.items() if one.get("restarts")}
    if restarts:
        row("restarts", ", ".join(f"{name} {count}" for name, count in restarts.items()))
    for name, told in recorder.get("sources", {}).items():
        mine = counters.get(f"capture-{name}", {})
        row("", "")
        row(name, f"{told['seconds']:.1f} s ({told['results']} results), {told['objects']} objects")
        row("  latency", f"p50 {told['latency_p50_ms']:.0f} ms, p95 {told['latency_p95_ms']:.0f} ms")
        row("  drops", told_lost([mine]))
        for what, when in _story(told["story"], in_seconds=told["reached_s"] < IN_SECONDS_S):
            row(f"  {what.strip()}", when)
    found = _story(recorder.get("story", {}), in_seconds=recorder.get("reached_s", 0.0) < IN_SECONDS_S)
    for name, when in [("", ""), ("what sounded", "when"), *found] if found else []:
        row(name, when)
    return table


def _story(story: Mapping[str, Any], *, in_seconds: bool) -> list[tuple[str, str]]:
    """What `Story.told` says, in rows of name and times: "1-4, 18-20 s", or "0:59-1:10, 2:00:05-2:00:06"."""
    clock, unit = (_seconds, " s") if in_seconds else (hours, "")

    def when(told: Mapping[str, Any]) -> str:
        times = ", ".join(f"{clock(start)}-{clock(end)}" for start, end in told["spans"]) + unit
        if told["more"]:
            return f"{times} and {told['more']} times more, {clock(told['total_s'])}{unit} in all"
        return times

    rows = [(f"  {name}", when(told)) for name, told in story.get("named", [])]
    if story.get("more_names"):
        rows.append(("  and", f"{story['more_names']} other names, each for a shorter time"))
    for name, key in {"heard, not seen": "offscreen", "silence": "silence"}.items():
        if key in story and story[key]["spans"]:
            rows.append((name, when(story[key])))
        if key == "offscreen":
            rows += [(f"  {text}", when(told)) for text, told in story.get("unseen", [])]
    return rows


def _seconds(t_s: float) -> str:
    return f"{round(t_s, 1):g}"


def print_table(table: Table) -> None:
    """To standard output: as wide as the terminal, or as the longest line where there is none."""
    width = None if sys.stdout.isatty() else LOG_COLUMNS
    Console(file=sys.stdout, highlight=False, width=width).print(table)
