"""The status of a running pipeline, for a person: a row, or a line, for each source and each node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rich.table import Table
from rich.text import Text

from streaming.config import kind_of_node
from streaming.legible import legible

# What of a source is missing, and why, by the counter that tells.
LOST = {
    "dropped": "dropped (the model was busy)",
    "shed": "pictures shed (this machine was busy)",
    "corrupt_packets": "corrupt packets",
    "overruns": "microphone overruns",
    "silences": "microphone silences",
    "gaps": "gaps",
    "refused": "messages refused",
    "given_up": "left out (nodes died of them)",
}


def told_lost(counters: Iterable[Mapping[str, Any]], *, reasons: bool = True) -> str:
    """What is missing of sources, all together, in words; `reasons` are told in brackets."""
    known = list(counters)
    counts = {
        words if reasons else words.partition(" (")[0]: sum(one.get(key, 0) for one in known)
        for key, words in LOST.items()
    }
    return ", ".join(f"{count} {words}" for words, count in counts.items() if count) or "none"


@dataclass(frozen=True)
class SourceStatus:
    """How a source is, in words; empty where nothing is known.

    reason: why it is lost.
    audio_dbfs: how loud it is; None where it has no sound, or nothing is known of it.
    now: what sounds.
    """

    name: str
    state: str
    reason: str
    fps: str
    audio_dbfs: float | None
    latency: str
    generation: str
    lost: str
    lost_briefly: str
    now: str

    @property
    def well(self) -> bool:
        return self.state not in ("lost", "down", "failed")

    @property
    def away(self) -> bool:
        """Its node is there, and waits for it."""
        return self.state in ("connecting", "lost")

    @property
    def audio(self) -> str:
        return "none" if self.audio_dbfs is None else f"{self.audio_dbfs:.0f} dBFS"

    @property
    def told_state(self) -> str:
        """The state, with the reason where there is one."""
        return f"{self.state}: {self.reason}" if self.state == "lost" else self.state


def sources_of(told: Mapping[str, Mapping[str, Any]]) -> Iterator[SourceStatus]:
    """The sources among what the supervisor says of its nodes, in its order."""
    recorder = told.get("recorder", {})
    for name, node in told.items():
        if kind_of_node(name) == "capture":
            source = str(node.get("source", name.partition("-")[2] or "source"))
            yield _source(source, node, recorder.get("sources", {}).get(source, recorder))


def told_node(node: Mapping[str, Any]) -> str:
    """The state of a node, with what it died of where it is not there."""
    state = str(node.get("state", ""))
    return f"{state}: {node.get('died', '')}" if state in ("down", "failed") else state


def told_now(now: Mapping[str, Any]) -> str:
    """What `streaming.story.sounding_now` says, in words: "dog 93 %, violin 71 % and 2 more", "silence"."""
    named = ", ".join(name if p is None else f"{name} {100 * p:.0f} %" for name, p in now.get("named", []))
    if named:
        return f"{named} and {now['more']} more" if now.get("more") else named
    if now.get("offscreen"):
        return f"offscreen: {now['offscreen_text']}" if now.get("offscreen_text") else "offscreen"
    return "silence"


def status_tables(told: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """What the supervisor says of its nodes (request `status`), as tables of sources and of nodes."""
    sources = _table("source", "state", "fps", "audio", "latency p50 / p95", "generation", "lost", "now")
    for one in sources_of(told):
        _row(
            sources, one.name, one.told_state, one.fps, one.audio, one.latency, one.generation, one.lost,
            one.now,
        )  # fmt: skip
    nodes = _table("node", "state", "restarts", "queue", "memory")
    for name, node in told.items():
        _row(nodes, name, *_node(node))
    return [sources, nodes]


def status_lines(told: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The same for a log: a line for each source, and one for the nodes."""
    lines = [
        f"{one.name}: {one.told_state}, {one.fps or 0} fps, audio {one.audio}, "
        f"latency {one.latency or 'unknown'}, generation {one.generation or 0}, lost {one.lost}, "
        f"now {one.now or 'unknown'}"
        for one in sources_of(told)
    ]
    nodes = []
    for name, node in told.items():
        state, restarts, queue, memory = _node(node)
        more = [f"{restarts} restarts"] * (restarts != "0") + [f"queue {queue}"] * bool(queue)
        nodes.append(", ".join([f"{name} {state}", *more, memory]))
    return [*lines, f"nodes: {'; '.join(nodes)}"]


def _node(node: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """State, restarts, queue and memory, in words."""
    memory = node.get("memory_mib")
    return (
        told_node(node), str(node.get("restarts", 0)), str(node.get("queue", "")),
        "elsewhere" if memory is None else f"{memory:.0f} MiB",
    )  # fmt: skip


def _source(name: str, capture: Mapping[str, Any], recorder: Mapping[str, Any]) -> SourceStatus:
    state = str(capture.get("state", ""))
    if state in ("ready", "done"):
        state = str(capture.get("connection") or state)
    latency = ""
    if recorder.get("results"):
        latency = f"{recorder.get('latency_p50_ms', 0):.0f} / {recorder.get('latency_p95_ms', 0):.0f} ms"
    now = recorder.get("now")
    one = SourceStatus(
        name=name,
        state=state,
        reason=str(capture.get("reason", "")),
        fps=str(capture.get("fps", "")),
        audio_dbfs=capture.get("audio_dbfs") if capture.get("has_audio") else None,
        latency=latency,
        generation=str(capture.get("generation", "")),
        lost=told_lost([capture]),
        lost_briefly=told_lost([capture], reasons=False),
        now=told_now(now) if now else "",
    )
    # What sounded last is not what sounds now.
    return one if one.well else replace(one, now="")


def _table(*heads: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for head in heads:
        table.add_column(head)
    return table


def _row(table: Table, *cells: str) -> None:
    table.add_row(*(Text(legible(cell)) for cell in cells))  # what others call things may look like markup
