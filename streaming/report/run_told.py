"""What `run.json` knows of the run that left these results, as rows for people; whatever is in that file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from streaming.report.words import counted, moment_text
from streaming.status import told_lost

MOST_ROWS = 600
MOST_CHARS = 400
WORDS_TOLD = 60

Pairs = list[tuple[str, str]]


def run_of(runs: list[dict[str, Any]], begun: str, ended: str) -> dict[str, Any] | None:
    """The newest run that went on while results were written from `begun` to `ended` (ISO 8601, UTC)."""
    for run in reversed(runs):
        until = run.get("ended")
        if run["begun"] <= ended and (not isinstance(until, str) or until >= begun):
            return run
    return None


def model_told(run: Mapping[str, Any]) -> str:
    """Name, weights and device of the model."""
    model, weights = section(run, "settings", "model"), section(run, "weights")
    told = [text(model.get("name", "unknown"))]
    if weights.get("checkpoint"):
        told.append(f"weights {text(weights['checkpoint'])}")
    if weights.get("sha256"):
        told.append(f"SHA-256 {text(weights['sha256'])}")
    if run.get("device"):
        told.append(f"on {text(run['device'])}")
    return ", ".join(told)


def vocabulary_told(run: Mapping[str, Any]) -> str:
    """The words that the run began with."""
    words = section(run, "settings", "vocabulary").get("words")
    if isinstance(words, list):
        more = f" and {len(words) - WORDS_TOLD} more" if len(words) > WORDS_TOLD else ""
        return f"{counted(len(words), 'word')}: {', '.join(map(text, words[:WORDS_TOLD]))}{more}"
    return text(words) if words else "unknown"


def addresses(run: Mapping[str, Any]) -> dict[str, str]:
    """Each source's id with its address, as it may be shown."""
    settings = section(run, "settings")
    sources = settings.get("sources") or [settings.get("source")]
    found = [one for one in sources if isinstance(one, dict)] if isinstance(sources, list) else []
    return {text(one.get("id", "")): text(one.get("uri", "")) for one in found}


def ending_told(run: Mapping[str, Any]) -> str:
    """When and how it ended."""
    if not isinstance(run.get("ended"), str):
        return "not told: it still runs, or it was cut short"
    return f"{text(run.get('ending'))}, {moment_text(run['ended'])}"


def troubles_told(run: Mapping[str, Any]) -> Pairs:
    """Restarts of nodes, and what the nodes counted as lost."""
    counters = {name: one for name, one in section(run, "counters").items() if isinstance(one, dict)}
    if not counters:
        return [("Restarts and losses by node", "unknown: the run has left no counters")]
    restarts = [f"{name} {one['restarts']}" for name, one in counters.items() if one.get("restarts")]
    numbers = [{k: v for k, v in one.items() if isinstance(v, int)} for one in counters.values()]
    return [("Restarts", ", ".join(restarts) or "none"), ("Counted as lost", told_lost(numbers))]


def settings_rows(run: Mapping[str, Any]) -> Pairs:
    """Versions, machine and every setting, as `section.key` and value."""
    wanted = {key: run.get(key) for key in ("versions", "machine")} | section(run, "settings")
    rows = list(_flat(wanted, ""))
    left = [("", f"and {len(rows) - MOST_ROWS} more")] if len(rows) > MOST_ROWS else []
    return rows[:MOST_ROWS] + left


def section(run: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """What lies there, if it is a section; an empty one otherwise."""
    value: Any = run
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """A value in few characters."""
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return said if len(said) <= MOST_CHARS else f"{said[:MOST_CHARS]}..."


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, entry in value.items():
            yield from _flat(entry, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        for index, entry in enumerate(value):
            yield from _flat(entry, f"{name}[{index}]")
    else:
        yield name, text(value)
