"""How a run stands, as the page is told."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.viewer.standing import standing
from tests.streaming.outputs.test_metrics import TOLD as SEVERAL


def state_of(capture: dict[str, Any]) -> tuple[str, str]:
    source = standing({"capture": capture}, ["cam"])["sources"]["cam"]
    return source["state"], source["reason"]


def test_several_sources_are_told_of_each_by_itself() -> None:
    told = standing(SEVERAL, ["front", "yard", "new"])
    assert told["sources"]["front"] == {
        "state": "live", "reason": "", "fps": 24.9, "has_audio": True, "audio_dbfs": -31.4,
        "latency_p50_ms": 80.0, "latency_p95_ms": 120.0, "generation": 2,
        "lost": "7 dropped (the model was busy), 1 gaps", "results": 40,
    }  # fmt: skip
    yard, new = told["sources"]["yard"], told["sources"]["new"]
    assert (yard["state"], yard["reason"], yard["audio_dbfs"], yard["lost"]) == ("lost", "no route", None, "")
    assert (new["state"], new["latency_p50_ms"], new["fps"]) == ("starting", None, 0.0)
    assert told["nodes"]["model"] == {"state": "ready", "restarts": 1, "memory_mib": 512.0, "queue": 2}


@pytest.mark.parametrize(
    ("capture", "state"),
    [
        ({}, ("starting", "")),
        ({"state": "ready"}, ("ready", "")),
        ({"state": "ready", "connection": "connecting"}, ("connecting", "")),
        ({"state": "ready", "connection": "lost", "reason": "no route"}, ("lost", "no route")),
        ({"state": "done", "connection": "live"}, ("done", "")),
        ({"state": "down", "died": "was killed"}, ("lost", "the node that reads it was killed")),
        ({"state": "failed"}, ("lost", "the node that reads it has died")),
    ],
)
def test_a_source_is_in_one_state(capture: dict[str, Any], state: tuple[str, str]) -> None:
    assert state_of(capture) == state


def test_before_anything_is_known_there_is_an_answer() -> None:
    told = standing({}, ["cam"])
    assert told["sources"]["cam"]["state"] == "starting"
    assert told["nodes"] == {}
