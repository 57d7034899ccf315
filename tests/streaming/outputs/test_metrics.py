"""Figures as Prometheus reads them."""

from __future__ import annotations

import re
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse

from streaming.errors import UserError
from streaming.outputs.metrics import STATES, Metrics
from streaming.status import LOST
from tests.pipeline import free_port

TOLD: dict[str, dict[str, Any]] = {
    "capture-front": {
        "state": "ready", "connection": "live", "source": "front", "fps": 24.9, "has_audio": True,
        "audio_dbfs": -31.4, "generation": 2, "dropped": 7, "gaps": 1, "memory_mib": 81.5, "queue": 1,
        "frames": 1000, "snippets": 40, "reason": "",
    },
    "capture-yard": {
        "state": "ready", "connection": "lost", "reason": "no route", "source": "yard", "fps": 0.0,
        "has_audio": False, "audio_dbfs": -120.0, "generation": 0, "memory_mib": 80.0, "restarts": 3,
    },
    "capture-new": {"state": "starting"},
    "model": {"state": "ready", "queue": 2, "memory_mib": 512.0, "restarts": 1},
    "recorder": {
        "state": "ready", "memory_mib": 99.9, "results": 40, "objects": 5,
        "sources": {
            "front": {"results": 40, "objects": 5, "latency_p50_ms": 80.0, "latency_p95_ms": 120.0},
            "yard": {"results": 0, "objects": 0, "latency_p50_ms": 0.0, "latency_p95_ms": 0.0},
        },
        "outputs": {
            "publish": {"sent": 40, "dropped": 0},
            "mqtt": {"sent": 12, "dropped": 3, "queue": 2, "connected": False},
        },
    },
}  # fmt: skip

DOC = Path(__file__).parents[3] / "docs" / "outputs.md"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def metrics(port: int) -> Iterator[Metrics]:
    metrics = Metrics(port, {"capture-new": "new"})
    yield metrics
    metrics.close()


def asked(port: int, accept: str = "text/plain") -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def samples(text: str) -> Samples:
    found: Samples = {}
    for family in parse(text):
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, "each figure once"
            found[key] = sample.value
    return found


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, tuple(sorted(labels.items()))))


def test_sources_have_figures(metrics: Metrics, port: int) -> None:
    metrics.update(TOLD)
    found = samples(asked(port))
    front = {
        "ovavss_source_up": 1.0,
        "ovavss_source_frames_per_second": 24.9,
        "ovavss_source_frames_total": 1000.0,
        "ovavss_source_snippets_total": 40.0,
        "ovavss_source_audio_dbfs": -31.4,
        "ovavss_source_generation": 2.0,
        "ovavss_results_total": 40.0,
        "ovavss_objects_total": 5.0,
        "ovavss_latency_seconds_count": 40.0,
    }
    assert {name: value(found, name, source="front") for name in front} == front
    assert value(found, "ovavss_latency_seconds", source="front", quantile="0.5") == 0.08
    assert value(found, "ovavss_latency_seconds", source="front", quantile="0.95") == 0.12
    lost = {why: value(found, "ovavss_source_lost_total", source="front", reason=why) for why in LOST}
    assert lost == {**dict.fromkeys(LOST, 0.0), "dropped": 7.0, "gaps": 1.0}
    up = {name: value(found, "ovavss_source_up", source=name) for name in ("front", "yard", "new")}
    assert up == {"front": 1.0, "yard": 0.0, "new": 0.0}
    for name, state in {"front": "live", "yard": "lost", "new": "starting"}.items():
        told = {one: value(found, "ovavss_source_state", source=name, state=one) for one in STATES}
        assert told == {one: float(one == state) for one in STATES}
    assert value(found, "ovavss_source_audio_dbfs", source="yard") is None
    assert value(found, "ovavss_latency_seconds", source="yard", quantile="0.5") is None


def test_nodes_and_outputs_have_figures(metrics: Metrics, port: int) -> None:
    metrics.update(TOLD)
    found = samples(asked(port))
    model = {
        "ovavss_node_up": 1.0,
        "ovavss_node_restarts_total": 1.0,
        "ovavss_node_queue_length": 2.0,
        "ovavss_node_resident_memory_bytes": 512.0 * 2**20,
    }
    assert {name: value(found, name, node="model") for name in model} == model
    assert value(found, "ovavss_node_up", node="capture-new") == 0.0
    assert value(found, "ovavss_node_restarts_total", node="capture-yard") == 3.0
    assert value(found, "ovavss_node_resident_memory_bytes", node="capture-new") is None
    assert value(found, "ovavss_output_sent_total", output="publish") == 40.0
    assert value(found, "ovavss_output_dropped_total", output="mqtt") == 3.0
    assert value(found, "ovavss_output_queue_length", output="mqtt") == 2.0
    assert value(found, "ovavss_output_connected", output="mqtt") == 0.0
    assert value(found, "ovavss_output_connected", output="publish") is None
    assert [labels for name, labels in found if name == "ovavss_build_info"]


def test_a_recorder_of_one_source_tells_of_it_as_of_itself(metrics: Metrics, port: int) -> None:
    metrics.update(
        {
            "capture": {"state": "done", "connection": "live", "source": "clip", "has_audio": True},
            "recorder": {"state": "ready", "results": 2, "objects": 1, "latency_p50_ms": 50.0},
        }
    )
    found = samples(asked(port))
    assert value(found, "ovavss_results_total", source="clip") == 2.0
    assert value(found, "ovavss_latency_seconds", source="clip", quantile="0.5") == 0.05
    assert value(found, "ovavss_source_up", source="clip") == 0.0
    assert value(found, "ovavss_source_state", source="clip", state="done") == 1.0


def test_a_state_that_is_new_is_told_as_well(metrics: Metrics, port: int) -> None:
    metrics.update({"capture": {"state": "restarting", "source": 'a "b"\\\n'}, "model": {}})
    found = samples(asked(port))
    assert value(found, "ovavss_source_state", source='a "b"\\\n', state="restarting") == 1.0
    assert value(found, "ovavss_source_state", source='a "b"\\\n', state="ready") == 0.0
    assert value(found, "ovavss_node_up", node="model") == 0.0


def test_before_anything_is_known_there_is_an_answer(metrics: Metrics, port: int) -> None:
    assert {name for name, _ in samples(asked(port))} == {"ovavss_build_info"}


def test_the_format_of_open_metrics_is_spoken_too(metrics: Metrics, port: int) -> None:
    metrics.update(TOLD)
    text = asked(port, "application/openmetrics-text; version=1.0.0")
    names = {family.name for family in parse_open_metrics(text)}
    assert {"ovavss_build", "ovavss_latency_seconds", "ovavss_source_lost"} <= names
    kinds = {family.name: family.type for family in parse_open_metrics(text)}
    assert kinds["ovavss_latency_seconds"] == "summary"
    assert kinds["ovavss_results"] == "counter"


def test_many_may_ask_while_figures_change(metrics: Metrics, port: int) -> None:
    answers: list[float | None] = []

    def ask() -> None:
        for _ in range(20):
            answers.append(value(samples(asked(port)), "ovavss_node_queue_length", node="model"))

    metrics.update(TOLD)
    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    for queue in range(2000):
        metrics.update({**TOLD, "model": {"queue": queue}})
    for thread in asking:
        thread.join(60)
    assert len(answers) == 80
    assert None not in answers


def test_only_this_machine_can_ask(metrics: Metrics, port: int) -> None:
    assert metrics._server.server_address == ("127.0.0.1", port)


def test_a_port_that_is_taken_is_told(metrics: Metrics, port: int) -> None:
    with pytest.raises(UserError) as caught:
        Metrics(port, {})
    assert str(caught.value) == (
        f"output.metrics: port {port} of 127.0.0.1 cannot be used: Address already in use; choose another"
    )


def test_a_port_is_free_when_a_run_has_ended(port: int) -> None:
    first = Metrics(port, {})
    asked(port)
    first.close()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    Metrics(port, {}).close()


def test_the_text_lists_every_figure(metrics: Metrics, port: int) -> None:
    metrics.update(TOLD)
    listed = set(re.findall(r"`(ovavss_\w+)`", DOC.read_text(encoding="utf-8")))
    assert listed == {name for name, _ in samples(asked(port))} - {"ovavss_latency_seconds_count"}
    states = re.search(r"\| `ovavss_source_state` .*", DOC.read_text(encoding="utf-8"))
    assert states
    assert set(STATES) <= set(re.findall(r"`(\w+)`", states[0]))
