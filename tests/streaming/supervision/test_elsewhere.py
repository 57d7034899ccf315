"""Nodes on other machines are watched by what they say."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from streaming import supervisor
from streaming.control import ControlClient, Hello
from streaming.node_process import Node
from streaming.supervisor import NodeFailure
from tests.pipeline import wait_for
from tests.streaming.supervision.runs import ENOUGH_S, Elsewhere, Run, clock, once

HERE = tuple(f"nodes.{name}.here=false" for name in ("model", "recorder"))


def test_a_node_elsewhere_is_waited_for_and_counts(run_of: Callable[..., Run]) -> None:
    run = run_of(*HERE, capture="begins", model="")

    def work(control: ControlClient) -> None:
        control.hello()
        control.ready()
        control.done({"snippets": 3})

    model = Elsewhere(run, "model", work)
    assert run.to_the_end() == {"capture": {"told": "to start"}, "model": {"snippets": 3}}
    model.close()


def test_a_node_that_was_there_before_is_ready_when_it_tells_how_it_is(run_of: Callable[..., Run]) -> None:
    run = run_of(*HERE, capture="waits", model="")

    def work(control: ControlClient) -> None:
        control.status({"snippets": 0})

    run.on_watch = once(lambda nodes: nodes["model"].state == "ready", run.supervisor.stop)
    model = Elsewhere(run, "model", work)
    assert run.to_the_end()["model"] == {"snippets": 0}
    assert run.seen[-1]["model"] == "ready"
    model.close()


def test_nodes_elsewhere_are_pinged_and_told_to_stop_when_a_run_breaks_off(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "PING_S", 0.05)
    run = run_of(*HERE, "supervision.deaths=1", capture="waits", model="")

    def watch(nodes: Mapping[str, Node]) -> None:
        process = nodes["capture"].process
        if model.asked.count("ping") >= 2 and process is not None:
            process.kill()

    run.on_watch = watch
    model = Elsewhere(run, "model", lambda control: control.ready())
    with pytest.raises(NodeFailure, match=r"the capture node (died once; at last it )?was killed by SIGKILL"):
        run.to_the_end()
    assert wait_for(lambda: model.asked[-1] == "stop", ENOUGH_S)
    model.close()


def test_a_node_elsewhere_that_falls_silent_ends_the_run(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LOST_S", 0.5)
    run = run_of(*HERE, model="")
    model = Elsewhere(run, "model", lambda control: control.ready())
    with pytest.raises(NodeFailure, match=r"the model node on another machine has been silent for 0 s"):
        run.to_the_end()
    model.close()


def test_a_node_elsewhere_that_is_started_again_is_told_what_it_has_to_know(
    run_of: Callable[..., Run],
) -> None:
    run = run_of(*HERE, capture="waits", model="")
    welcomes: list[dict[str, Any]] = []

    def greet(control: ControlClient, pid: int) -> None:
        control._report(Hello(node="model", pid=pid))
        while not welcomes or welcomes[-1]["incarnation"] != pid - 100:
            for request in control.poll(0.05):
                control.reply(request)
                if request.name == "welcome":
                    welcomes.append(request.args)
        control.ready()

    def work(control: ControlClient) -> None:
        greet(control, 101)
        assert wait_for(lambda: run.supervisor.nodes["capture"].state == "ready", ENOUGH_S)
        time.sleep(0.5)
        greet(control, 102)
        control.done({"snippets": 3})

    run.on_watch = once(lambda nodes: nodes["model"].state == "done", run.supervisor.stop)
    model = Elsewhere(run, "model", work)
    assert run.to_the_end()["model"] == {"snippets": 3, "restarts": 1}
    model.close()
    assert [welcome["incarnation"] for welcome in welcomes] == [1, 2]
    assert welcomes[0]["begun_wall_ns"] is None
    assert 0 < (clock.wall_ns() - welcomes[1]["begun_wall_ns"]) / 1e9 < 10 * ENOUGH_S


def test_a_node_elsewhere_that_never_comes_is_told_with_what_to_look_at(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "START_S", 0.3)
    run = run_of(*HERE, model="")
    with pytest.raises(NodeFailure, match=r"not ready after 0 s: model \(started on another machine\? same"):
        run.to_the_end()


def test_a_report_of_a_node_that_does_not_belong_here_changes_nothing(
    run_of: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    run = run_of(capture="waits")
    run.on_watch = once(
        lambda nodes: bool(caplog.messages) and nodes["capture"].state == "ready", run.supervisor.stop
    )
    stranger = Elsewhere(run, "stranger", lambda control: control.failed("nonsense"))
    with caplog.at_level(logging.WARNING):
        assert run.to_the_end().keys() == {"capture"}
    stranger.close()
    assert caplog.messages == ["a node called stranger reported, but none of that name belongs here"]
