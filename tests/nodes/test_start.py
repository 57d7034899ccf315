"""However a node ends, the supervisor and whoever started it learn of it, in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from model.errors import ModelError
from nodes import start as starting
from nodes.runtime import Orphaned
from nodes.start import Tools, start
from streaming import supervisor
from streaming.clock import Clock
from streaming.config import Config, load, setting
from streaming.control import ControlServer, Done, Event, Failed, Hello, Ready
from streaming.errors import UserError
from streaming.link import Sender
from streaming.memory import Memory
from streaming.messages import End
from streaming.node_process import PROGRAM, environment
from streaming.schema import MessageError
from streaming.security import SOCKET_DIR_PREFIX, make_keys
from streaming.sources.base import Place
from tests.nodes.samples import end, result

ROOT = Path(__file__).parents[2]
clock = Clock()
ENOUGH_S = 20.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A private directory of sockets, as the supervisor makes one."""
    folder = tmp_path / f"{SOCKET_DIR_PREFIX}x"
    folder.mkdir()
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[ControlServer]:
    server = ControlServer(f"ipc://{folder}/control", clock=clock)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """A node catches SIGTERM; the tests do not want to."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def node_that(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Tools], Any]], None]:
    """Makes the model node do something else."""
    return lambda work: monkeypatch.setitem(starting.NODES, "model", work)


def config_of(folder: Path, *more: str) -> Config:
    links = ("snippets", "features", "masks", "results", "previews", "control")
    texts = (*(f"links.{link}=ipc://{folder}/{link}" for link in links), *more)
    return load(settings=[setting(text) for text in texts])


def started(config: Config) -> int:
    """The exit status of a model node that a supervisor has started."""
    return start("model", config, os.getppid(), Memory())


def raising(error: BaseException) -> Callable[[Tools], Any]:
    def work(tools: Tools) -> Any:
        raise error

    return work


def heard(server: ControlServer, count: int) -> list[Event]:
    events: list[Event] = []
    while len(events) < count:
        before = len(events)
        events += server.poll(ENOUGH_S)
        assert len(events) > before, events
    return events


def test_there_is_a_node_for_every_place_in_the_line_and_beside_it() -> None:
    assert tuple(starting.NODES) == supervisor.NODES + supervisor.BESIDE


def test_a_node_that_comes_to_its_end_says_so(server: ControlServer, folder: Path, node_that: Any) -> None:
    node_that(lambda tools: {"snippets": 3})
    assert started(config_of(folder)) == 0
    assert heard(server, 2) == [
        Hello(node="model", pid=os.getpid()),
        Done(node="model", stats={"snippets": 3}),
    ]


@pytest.mark.parametrize("error", [UserError("x.pth: no such file"), ModelError("x.pth: no such file")])
def test_a_mistake_of_the_users_is_told_to_the_supervisor(
    server: ControlServer, folder: Path, node_that: Any, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    node_that(raising(error))
    assert started(config_of(folder)) == 2
    assert heard(server, 2)[1] == Failed(node="model", error="x.pth: no such file")
    assert caplog.messages == []


def by_hand(
    server: ControlServer, config: Config, welcome: Memory | None, until: type = Failed
) -> list[Event]:
    """What a node started by hand says, to a supervisor that answers its greeting so."""
    events: list[Event] = []

    def supervise() -> None:
        while not any(isinstance(event, until) for event in events):
            new = server.poll(0.1)
            events.extend(new)
            if welcome is not None and any(isinstance(event, Hello) for event in new):
                server.request("model", "welcome", welcome.model_dump())

    supervising = threading.Thread(target=supervise)
    supervising.start()
    start("model", config)
    supervising.join(ENOUGH_S)
    return events


@pytest.mark.parametrize("welcome", [None, Memory(incarnation=2, begun_wall_ns=35, reached=Place(1, 4, 2))])
def test_a_node_started_by_hand_asks_for_its_memory_and_tells_its_own_screen_too(
    server: ControlServer,
    folder: Path,
    node_that: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    welcome: Memory | None,
) -> None:
    monkeypatch.setattr(starting, "WELCOME_S", 0.3 if welcome is None else ENOUGH_S)
    memories: list[Memory] = []

    def work(tools: Tools) -> Any:
        memories.append(tools.memory)
        raise UserError("x.pth: no such file")

    node_that(work)
    by_hand(server, config_of(folder), welcome)
    assert memories == [welcome or Memory()]
    assert caplog.messages == ["error: x.pth: no such file"]


def test_a_bug_leaves_its_whole_story(
    folder: Path, node_that: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    node_that(raising(ZeroDivisionError("out of cheese")))
    assert started(config_of(folder)) == 1
    told = capsys.readouterr().err
    assert told.startswith("Traceback")
    assert told.endswith("ZeroDivisionError: out of cheese\n")


def test_a_message_of_its_own_that_is_wrong_is_told(
    folder: Path, node_that: Any, caplog: pytest.LogCaptureFixture
) -> None:
    node_that(raising(MessageError("Features.image: found float64, expected uint8")))
    assert started(config_of(folder)) == 1
    assert caplog.messages == [
        "a message that breaks its own schema: Features.image: found float64, expected uint8"
    ]


def test_an_orphan_removes_what_only_its_supervisor_would_have_removed(
    server: ControlServer, folder: Path, node_that: Any, caplog: pytest.LogCaptureFixture
) -> None:
    node_that(raising(Orphaned()))
    assert started(config_of(folder)) == 1
    assert not folder.exists()
    assert caplog.messages == ["the supervisor is gone, so this node ends too"]


@pytest.mark.parametrize("control", ["ipc://{folder}/control", "tcp://127.0.0.1:9"])
def test_an_orphan_leaves_every_other_directory_alone(tmp_path: Path, node_that: Any, control: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    node_that(raising(Orphaned()))
    config = config_of(folder, f"links.control={control.format(folder=folder)}")
    assert started(config) == 1
    assert (folder / "thesis.txt").exists()


def test_links_are_made_at_their_addresses(server: ControlServer, folder: Path, node_that: Any) -> None:
    def work(tools: Tools) -> dict[str, Any]:
        sender, receiver = tools.sender("masks"), tools.receiver("masks")
        other = tools.sender("results", "latest")
        try:
            assert sender.send(end(0), ENOUGH_S)
            assert isinstance(receiver.receive(ENOUGH_S), End)
            assert other.send(end(0), ENOUGH_S)
            return {"listening": sorted(path.name for path in folder.iterdir())}
        finally:
            for one in (sender, receiver, other):
                one.close()

    node_that(work)
    assert started(config_of(folder)) == 0
    assert heard(server, 2)[1] == Done(node="model", stats={"listening": ["control", "masks", "results"]})


def test_a_place_for_a_link_that_is_not_there_is_told(
    server: ControlServer, folder: Path, node_that: Any
) -> None:
    node_that(lambda tools: tools.sender("masks"))
    config = config_of(folder, f"links.masks=ipc://{folder}/nowhere/masks")
    assert started(config) == 2
    failed = heard(server, 2)[1]
    assert isinstance(failed, Failed)
    assert failed.error.startswith(f"ipc://{folder}/nowhere/masks: cannot listen at this address")


def test_the_recorder_closes_its_files_before_it_says_that_it_is_done(
    server: ControlServer, folder: Path, tmp_path: Path
) -> None:
    """Its results come from this test; the file is looked at the moment the recorder says so."""
    config = config_of(folder, f"output.dir={tmp_path}", "output.annotated=false")
    sender = Sender(str(config.links.results), overflow="block", clock=clock)
    settings = folder / "config.json"
    settings.write_text(config.model_dump_json())
    process = process_of("recorder", settings)
    try:
        sender.send(result(0))
        sender.send(end(1))
        events = heard(server, 2)
        while not isinstance(events[-1], Done):
            events += heard(server, 1)
        assert [type(event) for event in events[:2]] == [Hello, Ready]
        assert json.loads((tmp_path / "results.jsonl").read_text())["seq"] == 0
        assert process.wait(ENOUGH_S) == 0
    finally:
        sender.close()
        process.kill()
        process.communicate()


def process_of(name: str, settings: Path) -> subprocess.Popen[str]:
    memory = settings.with_name("memory.json")
    memory.write_text(Memory().model_dump_json())
    return subprocess.Popen(
        [*PROGRAM, name, str(settings), str(memory)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment(1)},
    )


def test_a_node_that_cannot_reach_its_supervisor_says_why(folder: Path, tmp_path: Path) -> None:
    """There is nobody to tell but the standard error, which the supervisor reads."""
    keys = make_keys(tmp_path / "keys")
    (keys / "client.key_secret").unlink()
    config = config_of(folder, f"links.keys={keys}", "links.control=tcp://127.0.0.1:9")
    settings = folder / "config.json"
    settings.write_text(config.model_dump_json())
    process = process_of("recorder", settings)
    _, told = process.communicate(timeout=ENOUGH_S)
    assert process.returncode != 0
    assert "client.key_secret: cannot read this key" in told
    assert len(told.splitlines()) == 1


def test_a_terminated_node_goes_at_once_and_quietly(
    server: ControlServer, folder: Path, tmp_path: Path
) -> None:
    settings = folder / "config.json"
    settings.write_text(
        config_of(folder, f"output.dir={tmp_path}", "output.annotated=false").model_dump_json()
    )
    process = process_of("recorder", settings)
    try:
        while not any(isinstance(event, Ready) for event in heard(server, 1)):
            pass
        process.terminate()
        _, told = process.communicate(timeout=ENOUGH_S)
        assert told == ""
    finally:
        process.kill()


def test_a_node_is_not_led_astray_by_the_folder_it_is_started_in(tmp_path: Path) -> None:
    for name in ("nodes", "model", "streaming"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')")
    done = subprocess.run(
        [*PROGRAM, "recorder", "missing.json", "missing.json"],
        cwd=tmp_path,
        env={**os.environ, **environment(1)},
        capture_output=True,
        text=True,
        timeout=ENOUGH_S,
        check=False,
    )
    assert "not this one" not in done.stderr
    assert "missing.json" in done.stderr
