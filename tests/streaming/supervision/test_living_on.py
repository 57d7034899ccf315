"""Nodes that die are started again, and a run goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import pytest

from streaming import node_process, supervisor
from streaming.control import ControlClient
from streaming.errors import UserError
from streaming.node_process import Node
from streaming.supervisor import NodeFailure
from tests.streaming.supervision.runs import ENOUGH_S, Run, clock, once


@pytest.mark.usefixtures("soon")
def test_a_node_that_dies_is_started_again_and_the_run_goes_on(run_of: Callable[..., Run]) -> None:
    run = run_of(capture="dies_once")
    told = run.to_the_end()["capture"]
    assert told.pop("memory")["incarnation"] == 2
    assert told == {
        "snippets": 7,
        "results": 4,
        "restarts": 1,
    }  # what both have counted; what the last one knows
    assert run.said == [
        "the capture node was killed by SIGKILL; starting it again in 0 s",
        "the capture node is back",
    ]
    states = [seen["capture"] for seen in run.seen]
    assert states.index("ready") < states.index("down") < len(states) - 1 - states[::-1].index("ready")


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("kind", "story"),
    [
        ("segfaults", "was killed by SIGSEGV"),
        ("leaves", "ended early with exit code 0"),
        ("dies_always", "ended early with exit code 3; its last words: KeyError: 'cheese'"),
    ],
)
def test_a_node_that_dies_over_and_over_ends_a_run_over_a_recording(
    run_of: Callable[..., Run], kind: str, story: str
) -> None:
    run = run_of("supervision.deaths=3", capture="waits", model=kind)
    with pytest.raises(NodeFailure) as caught:
        run.to_the_end()
    # Dying at once, it may not even have been there when everything else was.
    assert str(caught.value) in (
        f"the model node died 3 times; at last it {story}",
        f"the model node {story}",
    )


@pytest.mark.usefixtures("soon")
def test_a_live_run_goes_on_without_a_node_that_dies_over_and_over_and_says_so(
    run_of: Callable[..., Run],
) -> None:
    run = run_of("source.uri=webcam:0", "supervision.deaths=3", capture="waits", model="dies_always")
    run.on_watch = once(lambda nodes: nodes["model"].restarts == 6, run.supervisor.stop)
    run.to_the_end()
    degraded = [line for line in run.said if "the run goes on" in line]
    assert degraded[0] == (
        "the model node ended early with exit code 3; its last words: KeyError: 'cheese'; it died 3 times in "
        "300 s, is tried every 0 s, and the run goes on without it"
    )


@pytest.mark.usefixtures("soon")
def test_a_full_disk_ends_a_run_over_a_recording_but_not_a_live_one(run_of: Callable[..., Run]) -> None:
    with pytest.raises(UserError, match=r"^results.jsonl: No space left on device$"):
        run_of(capture="waits", recorder="fills_the_disk").to_the_end()
    live = run_of("source.uri=rtsp://camera/1", capture="waits", recorder="fills_the_disk")
    live.on_watch = once(lambda nodes: nodes["recorder"].restarts == 2, live.supervisor.stop)
    live.to_the_end()
    assert (
        "the recorder node gave up: results.jsonl: No space left on device; starting it again in 0 s"
        in live.said
    )


@pytest.mark.usefixtures("soon")
def test_a_node_that_says_nothing_any_more_is_killed_and_started_again(run_of: Callable[..., Run]) -> None:
    """And told when nothing more comes to it: the end of the stream went to the one before it."""
    run = run_of("supervision.hung_s=2", capture="begins", feature="hangs_once")
    assert run.to_the_end()["feature"] == {"snippets": 3, "restarts": 1}
    assert run.said[0] == ("the feature node said nothing for 2 s and was killed; starting it again in 0 s")


@pytest.mark.usefixtures("soon")
def test_a_node_that_dies_when_all_of_it_has_been_taken_has_no_successor(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "UNHEEDED_S", ENOUGH_S)
    run = run_of("supervision.hung_s=2", capture="hangs_once", feature="finishes", recorder="finishes")
    counters = run.to_the_end()
    died, ended = run.said
    assert died.startswith("the capture node said nothing for 2 s and was killed; starting it again in ")
    assert ended == "the capture node is needed no more: all that came of it has been taken"
    assert counters["capture"] == {"snippets": 1}


def test_nodes_whose_takers_ended_before_they_could_say_that_they_have_all_are_not_waited_for(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "UNHEEDED_S", 0.5)
    run = run_of(capture="extracts", feature="extracts", model="finishes", recorder="finishes")
    run.to_the_end()
    assert run.said == [
        f"the {name} node is needed no more: all that came of it has been taken"
        for name in ("feature", "capture")
    ]


def test_a_source_goes_on_behind_what_has_become_features(run_of: Callable[..., Run]) -> None:
    run = run_of(capture="dies_once", feature="extracts")
    memory = run.to_the_end()["capture"]["memory"]
    assert memory["reached"] == (0, 6, 6_000_000_000) or memory["reached"] == [0, 6, 6_000_000_000]
    assert 0 < (clock.wall_ns() - memory["begun_wall_ns"]) / 1e9 < 10 * ENOUGH_S


@pytest.mark.usefixtures("soon")
def test_a_vocabulary_outlives_the_node_that_knew_it(run_of: Callable[..., Run]) -> None:
    words = [f"a phrase of some length, number {i}" for i in range(9000)]  # more than a command line holds
    run = run_of(capture="waits", classification="names")

    def ask() -> None:
        client = ControlClient(str(run.supervisor.config.links.control), clock=clock)
        client.call("vocabulary.set", {"words": words})
        with pytest.raises(UserError, match="has not answered in time"):
            client.call("vocabulary.get", deadline_s=0.5)
        client.close()

    asking = threading.Thread(target=ask)

    def watch(nodes: Mapping[str, Node]) -> None:
        if all(node.state == "ready" for node in nodes.values()) and not asking.ident:
            asking.start()
        if nodes["classification"].restarts and nodes["classification"].counters.get("vocabulary"):
            run.supervisor.stop()
            run.supervisor.stop()

    run.on_watch = watch
    told = run.to_the_end()["classification"]
    asking.join(ENOUGH_S)
    assert told["vocabulary"] == {"revision": 2, "words": words}


@pytest.mark.usefixtures("soon")
def test_one_of_several_recordings_that_cannot_go_on_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, run_of: Callable[..., Run]
) -> None:
    sources = "sources=[{id: a, uri: a.mp4}, {id: b, uri: b.mp4}]"
    run = run_of(
        sources,
        "supervision.deaths=2",
        **{"capture-a": "dies_always", "capture-b": "begins", "feature": "extracts"},
    )
    with pytest.raises(NodeFailure, match="the capture-a node died 2 times; at last it ended early"):
        run.to_the_end()
    assert run.seen[-1] == {"capture-a": "failed", "capture-b": "done", "feature": "done"}


@pytest.mark.usefixtures("soon")
def test_a_stop_does_not_wait_for_a_node_that_is_dead(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_process, "RETRY_S", (60.0, 60.0))
    monkeypatch.setattr(supervisor, "DRAIN_S", 60.0)
    run = run_of(capture="waits", model="dies_always")
    run.on_watch = once(lambda nodes: nodes["model"].state == "down", run.supervisor.stop)
    run.to_the_end()
    assert run.seen[-1]["model"] == "down"
