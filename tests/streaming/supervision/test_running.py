"""Whatever nodes do, a run ends: with one clear line, no process, no socket and no file left behind."""

from __future__ import annotations

import gc
import os
import signal
import socket
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from streaming import supervisor
from streaming.config import load, setting
from streaming.errors import UserError
from streaming.node_process import LAST_LINES, Node
from streaming.supervisor import NodeFailure, resolved_links
from tests.streaming.supervision.runs import Run, once


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
