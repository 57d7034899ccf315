"""The status of a running pipeline, for a person: a row for each source, a row for each node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    recorder = told.get("recorder", {})
    sources = _table("source", "state", "fps", "audio", "latency p50 / p95", "generation", "lost")
    for name, node in told.items():
        if kind_of_node(name) == "capture":
            source = str(node.get("source", name.partition("-")[2] or "source"))
            _row(sources, source, *_source(node, recorder.get("sources", {}).get(source, recorder)))
    nodes = _table("node", "state", "restarts", "queue", "memory")
    for name, node in told.items():
        memory = node.get("memory_mib")
        _row(
            nodes, name, str(node.get("state", "")), str(node.get("restarts", 0)), str(node.get("queue", "")),
            "elsewhere" if memory is None else f"{memory:.0f} MiB",
        )  # fmt: skip
    return [sources, nodes]


def _source(capture: Mapping[str, Any], recorder: Mapping[str, Any]) -> tuple[str, ...]:
    state = str(capture.get("connection") or capture.get("state", ""))
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
