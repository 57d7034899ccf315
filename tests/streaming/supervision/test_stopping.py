"""A run can be stopped at any time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from streaming import supervisor
from streaming.control import ControlClient
from streaming.node_process import Node
from tests.pipeline import wait_for
from tests.streaming.supervision.runs import ENOUGH_S, Elsewhere, Run, once


def test_a_stop_asks_the_source_to_end_and_waits(run_of: Callable[..., Run]) -> None:
    run = run_of(capture="waits", recorder="finishes")

    run.on_watch = once(
        lambda nodes: all(node.state != "starting" for node in nodes.values()), run.supervisor.stop
    )
    assert run.to_the_end()["capture"] == {"told": "to stop"}


def test_a_stop_while_nodes_start_is_obeyed_at_once(run_of: Callable[..., Run]) -> None:
    run = run_of(capture="waits", model="hangs")
    stops: list[int] = []

    def watch(nodes: Mapping[str, Node]) -> None:
        if nodes["capture"].state == "ready" and not stops:
            stops.append(len(run.seen))
            run.supervisor.stop()

    run.on_watch = watch
    assert run.to_the_end() == {"capture": {}, "model": {}}
    assert stops == [len(run.seen)]  # it was not looked at again


def test_a_stop_when_the_source_has_ended_waits_for_the_others(
    run_of: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    run = run_of("nodes.recorder.here=false", capture="begins", recorder="")

    def finish(control: ControlClient) -> None:
        control.ready()
        assert wait_for(lambda: run.supervisor._stop.is_set(), ENOUGH_S)
        control.done({"results": 7})

    run.on_watch = once(lambda nodes: nodes["capture"].state == "done", run.supervisor.stop)
    recorder = Elsewhere(run, "recorder", finish)
    assert run.to_the_end() == {"capture": {"told": "to start"}, "recorder": {"results": 7}}
    recorder.close()
    assert caplog.messages == []


def test_a_second_stop_does_not_wait(run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "DRAIN_S", ENOUGH_S)
    run = run_of(capture="ignores")
    stops: list[int] = []

    def watch(nodes: Mapping[str, Node]) -> None:
        if nodes["capture"].state == "ready" and (not stops or len(run.seen) == stops[0] + 5):
            stops.append(len(run.seen))
            run.supervisor.stop()

    run.on_watch = watch
    monkeypatch.setattr(supervisor, "TERMINATE_S", 0.1)
    assert run.to_the_end() == {"capture": {}}
    assert stops == [len(run.seen) - 5, len(run.seen)]  # the first alone has not ended it


def test_a_stop_before_the_run_ends_it_too(run_of: Callable[..., Run]) -> None:
    run = run_of(capture="waits")
    run.supervisor.stop()
    assert run.to_the_end().keys() == {"capture"}
