"""Whatever nodes do, a run ends: with one clear line, no process, no socket and no file left behind."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import socket
import stat
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from streaming import node_process, supervisor
from streaming.clock import Clock
from streaming.config import Config, load, setting
from streaming.control import ControlClient, Hello
from streaming.endings import death
from streaming.errors import UserError
from streaming.node_process import LAST_LINES, Node, environment, told
from streaming.security import SOCKET_DIR_PREFIX
from streaming.supervisor import NODES, NodeFailure, Supervisor, resolved_links
from tests.pipeline import free_port, wait_for

clock = Clock()
ENOUGH_S = 20.0
ZOO = (sys.executable, "-P", "-m", "tests.streaming.unruly")


class Run:
    """A supervisor of nodes from the zoo, and what was seen of it."""

    def __init__(self, *settings: str) -> None:
        self.said: list[str] = []
        self.seen: list[dict[str, str]] = []
        self.on_watch: Callable[[Mapping[str, Node]], None] = lambda nodes: None
        config = load(settings=[setting(text) for text in settings])
        self.supervisor = Supervisor(
            config, clock=clock, watch=self._watch, say=self.said.append, program=ZOO
        )
        self.folder = self.supervisor._directory

    def _watch(self, nodes: Mapping[str, Node]) -> None:
        self.seen.append({name: node.state for name, node in nodes.items()})
        self.on_watch(nodes)

    def to_the_end(self) -> dict[str, dict[str, Any]]:
        try:
            return self.supervisor.run()
        finally:
            processes = [node.process for node in self.supervisor.nodes.values() if node.process is not None]
            assert all(process.returncode is not None for process in processes)
            assert not self.folder.exists()


def once(
    true: Callable[[Mapping[str, Node]], bool], act: Callable[[], None]
) -> Callable[[Mapping[str, Node]], None]:
    """A watch that acts the first time that something is true of the nodes."""
    acted: list[bool] = []

    def watch(nodes: Mapping[str, Node]) -> None:
        if not acted and true(nodes):
            acted.append(True)
            act()

    return watch


@pytest.fixture
def run_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Makes a run of nodes by name, each of a kind of the zoo."""

    def make(*settings: str, **kinds: str) -> Run:
        monkeypatch.setenv("ZOO", json.dumps(kinds))
        monkeypatch.setattr(supervisor, "used_nodes", lambda config: tuple(kinds))
        return Run(*settings)

    return make


# Nodes as they should be ----------------------------------------------------------------------------------


def test_a_run_ends_when_every_node_is_done_and_gives_their_last_counters(run_of: Callable[..., Run]) -> None:
    run = run_of(capture="begins", recorder="finishes")
    assert run.to_the_end() == {"capture": {"told": "to start"}, "recorder": {"results": 2}}
    assert run.seen[0]["capture"] == "starting"
    assert run.said == []


def test_the_source_begins_when_every_node_is_ready(run_of: Callable[..., Run]) -> None:
    run = run_of(capture="begins", model="hangs")

    run.on_watch = once(
        lambda nodes: nodes["capture"].state == "ready" and len(run.seen) > 5, run.supervisor.stop
    )
    run.to_the_end()
    assert run.seen[-1] == {"capture": "ready", "model": "starting"}


def test_sockets_and_settings_are_private(run_of: Callable[..., Run]) -> None:
    modes: dict[str, int] = {}

    def watch(nodes: Mapping[str, Node]) -> None:
        modes["."] = stat.S_IMODE(run.folder.stat().st_mode)
        for path in run.folder.iterdir():
            modes[path.name] = stat.S_IMODE(path.stat().st_mode)

    run = run_of(capture="begins")
    run.on_watch = watch
    run.to_the_end()
    assert modes == {".": 0o700, "control": 0o700, "config.json": 0o600, "memory-capture.json": 0o600}


def test_a_supervisor_that_is_never_run_leaves_nothing(run_of: Callable[..., Run]) -> None:
    run = run_of(capture="finishes")
    folder = run.folder
    assert folder.is_dir()
    del run
    gc.collect()
    assert not folder.exists()


def test_links_get_addresses_unless_they_have_one(tmp_path: Path) -> None:
    links = load(settings=[setting("links.masks=tcp://127.0.0.1:7103")]).links
    found = resolved_links(links, tmp_path).model_dump(exclude={"keys"})
    assert found.pop("masks") == "tcp://127.0.0.1:7103"
    assert found == {
        name: f"ipc://{tmp_path}/{name}"
        for name in ("snippets", "features", "results", "previews", "broadcast", "control")
    }


def test_what_nodes_write_is_told_with_their_name_however_much_it_is(run_of: Callable[..., Run]) -> None:
    run = run_of(recorder="floods")
    run.to_the_end()
    assert run.said == [
        f"recorder: line {i} \N{REPLACEMENT CHARACTER} of many, and no short one either" for i in range(5000)
    ]
    assert len(run.supervisor.nodes["recorder"].last_lines) == LAST_LINES


# Nodes that fail ------------------------------------------------------------------------------------------


def test_a_node_that_dies_before_the_run_has_begun_ends_it_with_one_line(run_of: Callable[..., Run]) -> None:
    run = run_of(capture="waits", model="crashes")
    with pytest.raises(NodeFailure) as caught:
        run.to_the_end()
    assert (
        str(caught.value) == "the model node ended early with exit code 3; its last words: KeyError: 'cheese'"
    )


def test_a_node_that_gives_up_tells_the_user(run_of: Callable[..., Run]) -> None:
    run = run_of(capture="gives_up", model="waits")
    with pytest.raises(UserError, match=r"^clip.mp4: no such file$"):
        run.to_the_end()


def test_a_node_that_never_becomes_ready_is_not_waited_for_for_ever(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "START_S", 1.0)
    run = run_of(capture="waits", model="hangs", recorder="hangs")
    with pytest.raises(NodeFailure, match=r"^not ready after 1 s: (capture, )?model, recorder$"):
        run.to_the_end()


def test_a_node_that_ignores_everything_is_killed(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "DRAIN_S", 0.2)
    monkeypatch.setattr(supervisor, "TERMINATE_S", 0.2)
    run = run_of(capture="ignores")
    run.on_watch = once(lambda nodes: nodes["capture"].state == "ready", run.supervisor.stop)
    run.to_the_end()
    process = run.supervisor.nodes["capture"].process
    assert process is not None
    assert process.returncode == -signal.SIGKILL


def test_a_child_of_a_dead_node_that_holds_its_standard_error_holds_up_nobody(
    run_of: Callable[..., Run],
) -> None:
    run = run_of(model="orphans")
    try:
        with pytest.raises(NodeFailure, match="ended early with exit code 3"):
            run.to_the_end()
    finally:
        os.kill(int(run.said[0].removeprefix("model: ")), signal.SIGKILL)


def test_a_program_that_cannot_be_started_is_not_swallowed(
    run_of: Callable[..., Run], tmp_path: Path
) -> None:
    run = run_of(capture="waits")
    run.supervisor._program = [str(tmp_path / "missing")]
    with pytest.raises(FileNotFoundError, match="missing"):
        run.to_the_end()


def test_an_address_that_is_taken_is_told_before_any_process_starts(run_of: Callable[..., Run]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        run = run_of(f"links.control={address}", capture="waits")
        with pytest.raises(
            UserError, match=f"{address}: cannot listen at this address: Address already in use"
        ):
            run.to_the_end()
    assert run.supervisor.nodes == {}


def test_keys_that_are_not_there_are_told_before_any_process_starts(
    run_of: Callable[..., Run], tmp_path: Path
) -> None:
    run = run_of(f"links.keys={tmp_path}/keys", capture="waits")
    with pytest.raises(UserError, match="keys: no such directory of keys"):
        run.to_the_end()
    assert run.supervisor.nodes == {}


# Nodes that live on ---------------------------------------------------------------------------------------


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes are started again at once."""
    monkeypatch.setattr(node_process, "RETRY_S", (0.05, 0.1))


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


# Beside the line ------------------------------------------------------------------------------------------


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


# Stopping -------------------------------------------------------------------------------------------------


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


# Requests from outside ------------------------------------------------------------------------------------


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


# Nodes on other machines ----------------------------------------------------------------------------------


class Elsewhere:
    """A node that nobody here has started, in a thread."""

    def __init__(self, run: Run, name: str, work: Callable[[ControlClient], None]) -> None:
        self.control = ControlClient(str(run.supervisor.config.links.control), clock=clock, node=name)
        self.asked: list[str] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(work,))
        self.thread.start()

    def _run(self, work: Callable[[ControlClient], None]) -> None:
        work(self.control)
        while not self.over.is_set() and "stop" not in self.asked:
            for request in self.control.poll(0.05):
                self.asked.append(request.name)
                self.control.reply(request)

    def close(self) -> None:
        self.over.set()
        self.thread.join(ENOUGH_S)
        self.control.close()


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


# In words -------------------------------------------------------------------------------------------------


def test_the_line_has_five_nodes(tmp_path: Path) -> None:
    config: Config = load()
    assert tuple(supervisor.used_nodes(config)) == NODES
    watched = load(settings=[setting("viewer.enabled=true")])
    assert tuple(supervisor.used_nodes(watched)) == (*NODES, "viewer")
    assert all(getattr(config.nodes, name).here for name in NODES)
    made = Supervisor(config, clock=clock)
    assert made._directory.name.startswith(SOCKET_DIR_PREFIX)


@pytest.mark.parametrize(
    ("returncode", "words"),
    [
        (0, "ended early with exit code 0"),
        (2, "ended early with exit code 2"),
        (-9, "was killed by SIGKILL"),
        (-64, "was killed by SIGRTMAX"),
        (-63, "was killed by signal 63"),
    ],
)
def test_how_a_process_ended_is_told_in_words(returncode: int, words: str) -> None:
    assert death(returncode) == words


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ""),
        (["", "  "], ""),
        (["Traceback", "KeyError: 1", ""], "; its last words: KeyError: 1"),
    ],
)
def test_the_last_words_are_the_last_line_that_is_not_empty(lines: list[str], words: str) -> None:
    assert told(lines) == words


def test_a_node_finds_the_code_and_gets_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "mine")
    found = environment(3)
    root = str(Path(node_process.__file__).resolve().parent.parent)
    assert found["PYTHONPATH"] == os.pathsep.join([root, "mine"])
    assert {found[f"{library}_NUM_THREADS"] for library in ("OMP", "MKL", "OPENBLAS")} == {"3"}
    monkeypatch.delenv("PYTHONPATH")
    assert environment(1)["PYTHONPATH"] == root
