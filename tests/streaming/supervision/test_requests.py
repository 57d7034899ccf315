"""What a run can be asked from outside."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from streaming.control import ControlClient
from streaming.errors import UserError
from streaming.node_process import Node
from tests.pipeline import free_port
from tests.streaming.supervision.runs import ENOUGH_S, Run, clock, once


def test_a_client_can_ask_and_stop(run_of: Callable[..., Run]) -> None:
    run = run_of(capture="waits", classification="waits")
    answers: list[Any] = []

    def ask() -> None:
        client = ControlClient(str(run.supervisor.config.links.control), clock=clock)
        try:
            answers.append(client.call("status"))
            answers.append(client.call("vocabulary.set", {"words": ["dog"]}))
            answers.append(client.call("vocabulary.get"))
            try:
                client.call("dance")
            except UserError as error:
                answers.append(str(error))
            answers.append(client.call("stop"))
        finally:
            client.close()
            run.supervisor.stop()
            run.supervisor.stop()

    asking = threading.Thread(target=ask)

    def watch(nodes: Mapping[str, Node]) -> None:
        if all(node.state == "ready" for node in nodes.values()) and not asking.ident:
            asking.start()

    run.on_watch = watch
    run.to_the_end()
    asking.join(ENOUGH_S)
    for node in answers[0].values():
        assert node.pop("pid") > 0
        assert 5 < node.pop("memory_mib") < 1000
    assert answers == [
        {name: {"state": "ready", "restarts": 0} for name in ("capture", "classification")},
        {"asked": "vocabulary.set", "words": ["dog"]},
        {"asked": "vocabulary.get"},
        "no such request: dance",
        None,
    ]


def test_figures_are_there_while_a_run_goes_on(run_of: Callable[..., Run]) -> None:
    port = free_port()
    run = run_of(f"output.metrics={port}", "source.id=clip", capture="waits", recorder="finishes")
    texts: list[str] = []

    def ask() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=ENOUGH_S) as answer:
            texts.append(answer.read().decode())
        run.supervisor.stop()

    # What is seen is told a moment later.
    run.on_watch = once(lambda nodes: [seen["capture"] for seen in run.seen[-3:]] == ["ready"] * 3, ask)
    run.to_the_end()
    (text,) = texts
    assert 'ovavss_node_up{node="capture"} 1.0' in text
    assert 'ovavss_source_up{source="clip"} 1.0' in text
    assert 'ovavss_node_resident_memory_bytes{node="capture"}' in text
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_port_for_figures_that_is_taken_is_told_before_any_process_starts(
    run_of: Callable[..., Run],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = run_of(f"output.metrics={port}", capture="waits")
        with pytest.raises(UserError, match=f"output.metrics: port {port} of 127.0.0.1 cannot be used"):
            run.to_the_end()
    assert run.supervisor.nodes == {}
