"""What a person is told of a pipeline that is running."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from streaming.status import sources_of, status_lines, status_tables

TOLD: dict[str, dict[str, Any]] = {
    "capture-front": {
        "state": "ready", "connection": "live", "source": "front", "fps": 24.9, "has_audio": True,
        "audio_dbfs": -31.4, "generation": 2, "dropped": 7, "gaps": 1, "memory_mib": 81.4, "queue": 1,
    },
    "capture-yard": {
        "state": "ready", "connection": "lost", "reason": "[no route]", "source": "yard", "fps": 0.0,
        "has_audio": False, "generation": 0, "memory_mib": 80.0,
    },
    "capture-new": {"state": "starting"},
    "model": {"state": "ready", "queue": 2, "memory_mib": 512.0, "restarts": 1},
    "recorder": {
        "state": "ready", "memory_mib": 99.9,
        "sources": {
            "front": {
                "results": 4, "latency_p50_ms": 80.0, "latency_p95_ms": 120.0,
                "now": {"named": [["dog", 0.931], ["cat", 0.5]], "more": 1, "offscreen": False},
            },
            "yard": {"results": 0, "now": None},
        },
    },
}  # fmt: skip


def lines(told: dict[str, dict[str, Any]]) -> list[str]:
    text = io.StringIO()
    for table in status_tables(told):
        Console(file=text, width=200).print(table)
    return [" ".join(line.split()) for line in text.getvalue().splitlines()]


def test_sources_and_nodes_have_a_row_each() -> None:
    assert lines(TOLD) == [
        "source state fps audio latency p50 / p95 generation lost now",
        "front live 24.9 -31 dBFS 80 / 120 ms 2 7 dropped (the model was busy), 1 gaps "
        "dog 93 %, cat 50 % and 1 more",
        "yard lost: [no route] 0.0 none 0 none",
        "new starting none none",
        "node state restarts queue memory",
        "capture-front ready 0 1 81 MiB",
        "capture-yard ready 0 80 MiB",
        "capture-new starting 0 elsewhere",
        "model ready 1 2 512 MiB",
        "recorder ready 0 100 MiB",
    ]


def test_a_log_has_a_line_for_each_source_and_one_for_the_nodes() -> None:
    told = TOLD | {
        "model": {"state": "down", "died": "was killed by SIGKILL", "restarts": 1, "memory_mib": 0.0}
    }
    assert status_lines(told) == [
        "front: live, 24.9 fps, audio -31 dBFS, latency 80 / 120 ms, generation 2, "
        "lost 7 dropped (the model was busy), 1 gaps, now dog 93 %, cat 50 % and 1 more",
        "yard: lost: [no route], 0.0 fps, audio none, latency unknown, generation 0, lost none, now unknown",
        "new: starting, 0 fps, audio none, latency unknown, generation 0, lost none, now unknown",
        "nodes: capture-front ready, queue 1, 81 MiB; capture-yard ready, 80 MiB; "
        "capture-new starting, elsewhere; model down: was killed by SIGKILL, 1 restarts, 0 MiB; "
        "recorder ready, 100 MiB",
    ]


def test_a_run_with_one_source_has_its_latency_in_the_recorder_itself() -> None:
    told = {
        "capture": {"state": "ready", "source": "clip", "fps": 25.0, "has_audio": True, "audio_dbfs": -9.0},
        "recorder": {"state": "ready", "results": 2, "latency_p50_ms": 50.0, "latency_p95_ms": 60.0},
    }
    assert lines(told)[1] == "clip ready 25.0 -9 dBFS 50 / 60 ms none"


def test_what_was_heard_last_is_not_what_sounds_now_where_a_source_is_lost() -> None:
    now = {"named": [], "more": 0, "offscreen": True}
    told = {"capture": {"state": "ready", "connection": "live"}, "recorder": {"results": 1, "now": now}}
    assert [one.now for one in sources_of(told)] == ["offscreen"]
    for capture in ({"state": "ready", "connection": "lost"}, {"state": "down"}, {"state": "failed"}):
        (lost,) = sources_of(told | {"capture": capture})
        assert (lost.well, lost.now) == (False, "")


def test_names_that_could_move_a_cursor_are_told_without_what_would() -> None:
    told = TOLD | {"capture-yard": {"state": "ready", "connection": "lost", "reason": "a\x1b[2J\nb"}}
    assert "yard lost: a?[2J?b none none" in lines(told)
