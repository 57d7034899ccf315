"""Who looks on is waited for a little, and holds up nobody."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from streaming import supervisor
from streaming.control import ControlClient
from streaming.errors import UserError
from streaming.supervisor import NodeFailure
from tests.streaming.supervision.runs import Run, clock, once


def test_who_looks_on_is_waited_for_and_told_when_all_else_is_over(run_of: Callable[..., Run]) -> None:
    run = run_of(capture="begins", recorder="finishes", viewer="looks_on")
    told = run.to_the_end()
    assert told["viewer"] == {"told": "to finish", "why": "every source has ended", "port": 8000}
    assert "ready" in {seen["viewer"] for seen in run.seen if seen["capture"] == "done"}
    assert run.said == []


def test_who_looks_on_hears_why_a_run_ended(run_of: Callable[..., Run]) -> None:
    stopped = run_of(capture="waits", viewer="looks_on")
    stopped.on_watch = once(lambda nodes: nodes["viewer"].state == "ready", stopped.supervisor.stop)
    assert stopped.to_the_end()["viewer"]["why"] == "it was stopped"
    failed = run_of("supervision.deaths=1", capture="waits", model="dies_always", viewer="looks_on")
    with pytest.raises(NodeFailure) as caught:
        failed.to_the_end()
    assert failed.supervisor.nodes["viewer"].counters["why"] == str(caught.value)


@pytest.mark.usefixtures("soon")
def test_who_looks_on_may_die_and_comes_back_where_it_was(run_of: Callable[..., Run]) -> None:
    run = run_of(capture="waits", viewer="looks_on")

    def kill() -> None:
        process = run.supervisor.nodes["viewer"].process
        assert process is not None
        process.kill()

    dies = once(lambda nodes: bool(nodes["viewer"].counters), kill)
    ends = once(
        lambda nodes: nodes["viewer"].restarts == 1 and nodes["viewer"].state == "ready", run.supervisor.stop
    )
    run.on_watch = lambda nodes: (dies(nodes), ends(nodes))[0]
    told = run.to_the_end()["viewer"]
    assert (told["restarts"], told["port"]) == (1, 8001)  # the first had 8000, and its successor heard of it
    assert run.said == [
        "the viewer node was killed by SIGKILL; starting it again in 0 s", "the viewer node is back",
    ]  # fmt: skip


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("kind", ["dies_always", "fills_the_disk", "crashes", "segfaults"])
def test_who_looks_on_and_always_dies_is_given_up_and_the_run_goes_on(
    run_of: Callable[..., Run], kind: str
) -> None:
    run = run_of("supervision.deaths=2", capture="waits", recorder="finishes", viewer=kind)
    run.on_watch = once(
        lambda nodes: (
            nodes["viewer"].state == "failed" and all(node.state != "starting" for node in nodes.values())
        ),
        run.supervisor.stop,
    )
    assert run.to_the_end()["capture"] == {"told": "to stop"}
    assert run.said[-1].startswith("the viewer node died 2 times; at last it ")
    assert run.said[-1].endswith("; the run goes on without it")


def test_a_mistake_that_who_looks_on_finds_at_the_start_is_the_users_to_mend(
    run_of: Callable[..., Run],
) -> None:
    run = run_of(capture="waits", viewer="gives_up")
    with pytest.raises(UserError, match=r"^clip.mp4: no such file$"):
        run.to_the_end()


def test_what_came_of_a_run_is_told_before_the_page_lingers(run_of: Callable[..., Run]) -> None:
    run = run_of("viewer.linger_s=7", capture="begins", recorder="finishes", viewer="lingers")
    told: list[dict[str, Any]] = []
    run.supervisor._lingers = told.append
    assert run.to_the_end()["viewer"] == {"told": "to linger"}
    assert told == [{"capture": {"told": "to start"}, "recorder": {"results": 2}, "viewer": {}}]
    assert run.said == [
        "the run is over; the page plays its end again until Ctrl-C, or until nobody has watched for 7 s"
    ]


def test_a_page_that_lingers_goes_when_it_is_stopped(run_of: Callable[..., Run]) -> None:
    """Meanwhile the run can be asked how it was, and takes no other words."""
    run = run_of("viewer.linger_s=3600", capture="begins", recorder="finishes", viewer="stays")
    answers: list[Any] = []

    def ask(counters: object) -> None:
        def ask_and_stop() -> None:
            client = ControlClient(str(run.supervisor.config.links.control), clock=clock)
            answers.append(client.call("status")["recorder"]["state"])
            with pytest.raises(UserError, match=r"^the run is over$"):
                client.call("vocabulary.set", {"words": ["owl"]})
            client.close()
            while "linger" not in run.supervisor.nodes["viewer"].counters.get("heard", []):
                time.sleep(0.01)
            run.supervisor.stop()

        threading.Thread(target=ask_and_stop).start()

    run.supervisor._lingers = ask
    assert run.to_the_end()["viewer"]["heard"] == ["linger", "finish"]
    assert answers == ["done"]


@pytest.mark.parametrize("kinds", [{"capture": "waits"}, {"capture": "begins", "model": "dies_always"}])
def test_a_run_that_is_stopped_or_fails_leaves_no_page(run_of: Callable[..., Run], kinds: dict) -> None:
    run = run_of("viewer.linger_s=3600", "supervision.deaths=1", **kinds, viewer="looks_on")
    if "model" in kinds:
        with pytest.raises(NodeFailure):
            run.to_the_end()
    else:
        run.on_watch = once(lambda nodes: nodes["viewer"].state == "ready", run.supervisor.stop)
        run.to_the_end()
    assert run.supervisor.nodes["viewer"].counters["told"] == "to finish"


def test_a_page_that_does_not_answer_is_not_waited_for(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a signal nor a moment more: nothing of the run is lost with it."""
    monkeypatch.setattr(supervisor, "TERMINATE_S", 3600.0)
    run = run_of(capture="begins", recorder="finishes", viewer="freezes")
    run.to_the_end()
    process = run.supervisor.nodes["viewer"].process
    assert process is not None
    assert process.returncode == -signal.SIGKILL
    assert supervisor.FAREWELL_S < 2


def test_a_run_does_not_wait_for_ever_for_who_looks_on(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LATE_S", 0.5)
    monkeypatch.setattr(supervisor, "FAREWELL_S", 0.2)
    monkeypatch.setattr(supervisor, "TERMINATE_S", 0.2)
    assert run_of(capture="begins", viewer="hangs").to_the_end()["capture"] == {"told": "to start"}
    assert run_of(capture="begins", viewer="ignores").to_the_end()["capture"] == {"told": "to start"}
