"""How a run stands, for the page: what the supervisor tells of its nodes, by source and by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streaming.config import kind_of_node
from streaming.status import LOST, told_lost

NODE_KEYS = ("state", "restarts", "died", "memory_mib", "queue")


def standing(
    told: Mapping[str, Mapping[str, Any]], sources: Sequence[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """`sources` and `nodes` of a `status` frame.

    told: the answer to the request `status`.
    sources: the ids of all sources.
    """
    captures = [node for name, node in told.items() if kind_of_node(name) == "capture"]
    by_source = {name: told.get(f"capture-{name}") for name in sources}
    if len(sources) == 1:  # its node is called `capture`, and the recorder tells of it as of itself
        by_source = {sources[0]: next(iter(captures), None)}
    recorder = told.get("recorder", {})
    return {
        "sources": {
            name: _source(node or {}, recorder.get("sources", {}).get(name, recorder))
            for name, node in by_source.items()
        },
        "nodes": {name: {key: node[key] for key in NODE_KEYS if key in node} for name, node in told.items()},
    }


def _source(capture: Mapping[str, Any], recorder: Mapping[str, Any]) -> dict[str, Any]:
    state, reason = _state(capture)
    latencies = {}
    if recorder.get("results"):
        latencies = {key: recorder.get(key) for key in ("latency_p50_ms", "latency_p95_ms")}
    return {
        "state": state,
        "reason": reason,
        "fps": capture.get("fps", 0.0),
        "has_audio": bool(capture.get("has_audio")),
        "audio_dbfs": capture.get("audio_dbfs") if capture.get("has_audio") else None,
        "latency_p50_ms": None,
        "latency_p95_ms": None,
        **latencies,
        "generation": capture.get("generation", 0),
        "lost": told_lost([capture]) if any(capture.get(key) for key in LOST) else "",
        "results": recorder.get("results", 0),
    }


def _state(capture: Mapping[str, Any]) -> tuple[str, str]:
    """Of a camera, how its connection is; of a recording, and before and after, how its node is. One whose
    node is not there is lost, too."""
    state = str(capture.get("state", "starting"))
    if state in ("down", "failed"):
        return "lost", f"the node that reads it {capture.get('died', 'has died')}"
    if state == "ready":
        state = str(capture.get("connection") or state)
    return state, str(capture.get("reason", "")) if state == "lost" else ""
