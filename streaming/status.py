"""The status of a running pipeline, for a person: a row, or a line, for each source and each node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from streaming.config import kind_of_node

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


def told_lost(counters: Iterable[Mapping[str, Any]]) -> str:
    """What is missing of sources, all together, in words."""
    known = list(counters)
    counts = {words: sum(one.get(key, 0) for one in known) for key, words in LOST.items()}
    return ", ".join(f"{count} {words}" for words, count in counts.items() if count) or "none"


def status_tables(told: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """What the supervisor says of its nodes (request `status`), as tables of sources and of nodes."""
    sources = _table("source", "state", "fps", "audio", "latency p50 / p95", "generation", "lost")
    for name, *cells in _sources(told):
        _row(sources, name, *cells)
    nodes = _table("node", "state", "restarts", "queue", "memory")
    for name, node in told.items():
        _row(nodes, name, *_node(node))
    return [sources, nodes]


def status_lines(told: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The same for a log: a line for each source, and one for the nodes."""
    lines = [
        f"{name}: {state}, {fps or 0} fps, audio {audio}, latency {latency or 'unknown'}, "
        f"generation {generation or 0}, lost {lost}"
        for name, state, fps, audio, latency, generation, lost in _sources(told)
    ]
    nodes = []
    for name, node in told.items():
        state, restarts, queue, memory = _node(node)
        more = [f"{restarts} restarts"] * (restarts != "0") + [f"queue {queue}"] * bool(queue)
        nodes.append(", ".join([f"{name} {state}", *more, memory]))
    return [*lines, f"nodes: {'; '.join(nodes)}"]


def _sources(told: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    recorder = told.get("recorder", {})
    for name, node in told.items():
        if kind_of_node(name) == "capture":
            source = str(node.get("source", name.partition("-")[2] or "source"))
            yield source, *_source(node, recorder.get("sources", {}).get(source, recorder))


def _node(node: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """State, restarts, queue and memory, in words."""
    state, memory = str(node.get("state", "")), node.get("memory_mib")
    if state in ("down", "failed"):
        state = f"{state}: {node.get('died', '')}"
    return (
        state, str(node.get("restarts", 0)), str(node.get("queue", "")),
        "elsewhere" if memory is None else f"{memory:.0f} MiB",
    )  # fmt: skip


def _source(capture: Mapping[str, Any], recorder: Mapping[str, Any]) -> tuple[str, ...]:
    state = str(capture.get("state", ""))
    if state in ("ready", "done"):
        state = str(capture.get("connection") or state)
    if state == "lost":
        state = f"lost: {capture.get('reason', '')}"
    audio = f"{capture['audio_dbfs']:.0f} dBFS" if capture.get("has_audio") else "none"
    latency = ""
    if recorder.get("results"):
        latency = f"{recorder.get('latency_p50_ms', 0):.0f} / {recorder.get('latency_p95_ms', 0):.0f} ms"
    fps, generation = (capture.get(key, "") for key in ("fps", "generation"))
    return state, str(fps), audio, latency, str(generation), told_lost([capture])


def _table(*heads: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for head in heads:
        table.add_column(head)
    return table


def _row(table: Table, *cells: str) -> None:
    table.add_row(*map(Text, cells))  # what others call things may look like markup
