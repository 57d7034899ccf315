"""Reports arrive, requests are always answered, and a dead peer blocks nobody."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq

from streaming.clock import Clock
from streaming.control import (
    UNSENT,
    Answer,
    ClientRequest,
    ControlClient,
    ControlServer,
    Done,
    Event,
    Failed,
    Hello,
    Ready,
    Request,
    Status,
    pack,
    unpack,
)
from streaming.errors import UserError
from streaming.schema import MessageError

clock = Clock()
ENOUGH_S = 20.0


@pytest.fixture(params=["ipc", "tcp"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ControlServer]:
    address = f"ipc://{tmp_path}/control" if request.param == "ipc" else "tcp://127.0.0.1:*"
    server = ControlServer(address, clock=clock)
    yield server
    server.close()


@pytest.fixture
def client_of() -> Iterator[Callable[..., ControlClient]]:
    made: list[ControlClient] = []

    def make(address: str, node: str = "") -> ControlClient:
        made.append(ControlClient(address, clock=clock, node=node))
        return made[-1]

    yield make
    for one in made:
        one.close()


def events_of(server: ControlServer, n: int) -> list[Event]:
    """The next `n` events."""
    events: list[Event] = []
    deadline = time.monotonic() + ENOUGH_S
    while len(events) < n:
        assert time.monotonic() < deadline, events
        events += server.poll(0.05)
    return events


def greeted(server: ControlServer, client_of: Callable[..., ControlClient], node: str) -> ControlClient:
    """A node that the server knows."""
    client = client_of(server.address, node)
    client.hello()
    assert events_of(server, 1) == [Hello(node=node, pid=os.getpid())]
    return client


def test_a_node_tells_its_life(server: ControlServer, client_of: Callable[..., ControlClient]) -> None:
    node = client_of(server.address, "feature")
    node.hello()
    node.ready()
    node.status({"snippets": np.int64(3), "ms": {"feature": 1.5}, "state": None})
    node.failed("out of\ncheese \udc80" + "!" * 10_000)
    node.done({})
    hello, ready, status, failed, done = events_of(server, 5)
    assert hello == Hello(node="feature", pid=os.getpid())
    assert ready == Ready(node="feature")
    assert status == Status(node="feature", counters={"snippets": 3, "ms": {"feature": 1.5}, "state": None})
    assert isinstance(failed, Failed)
    assert failed.error.startswith("out of\ncheese ?!!!")
    assert done == Done(node="feature", stats={})


def test_a_request_goes_to_the_named_node_and_comes_back(
    server: ControlServer, client_of: Callable[..., ControlClient]
) -> None:
    model, feature = (greeted(server, client_of, name) for name in ("model", "feature"))
    id = server.request("model", "threshold.set", {"value": 0.5})
    (request,) = model.poll(ENOUGH_S)
    assert request == Request(id=id, name="threshold.set", args={"value": 0.5}, deadline_s=5.0)
    assert feature.poll(0) == []
    model.reply(request, {"was": 0.4})
    expected = Answer(id=id, node="model", name="threshold.set", value={"was": 0.4}, error=None)
    assert events_of(server, 1) == [expected]


def test_a_request_that_fails_says_why(
    server: ControlServer, client_of: Callable[..., ControlClient]
) -> None:
    model = greeted(server, client_of, "model")
    id = server.request("model", "threshold.set", {"value": 7})
    model.reply(model.poll(ENOUGH_S)[0], error="threshold: found 7, expected 0 to 1")
    (answer,) = events_of(server, 1)
    assert answer == Answer(
        id=id, node="model", name="threshold.set", value=None, error="threshold: found 7, expected 0 to 1"
    )


def test_a_request_to_a_silent_node_is_answered_at_its_deadline(
    server: ControlServer, client_of: Callable[..., ControlClient]
) -> None:
    model = greeted(server, client_of, "model")
    id = server.request("model", "vocabulary.set", deadline_s=0.05)
    (answer,) = events_of(server, 1)
    assert isinstance(answer, Answer)
    assert answer.id == id
    assert answer.error is not None
    assert "model has not answered in time" in answer.error
    model.reply(model.poll(ENOUGH_S)[0], "too late")
    deadline = time.monotonic() + ENOUGH_S
    while server.refused == 0:
        assert time.monotonic() < deadline
        assert server.poll(0.05) == []


def test_a_request_to_a_node_that_is_not_there_is_answered_at_once(
    server: ControlServer, client_of: Callable[..., ControlClient]
) -> None:
    id = server.request("model", "vocabulary.set")
    (never,) = server.poll(0)
    assert never == Answer(id=id, node="model", name="vocabulary.set", value=None, error="model is not there")
    greeted(server, client_of, "model").close()
    deadline = time.monotonic() + ENOUGH_S
    while True:  # until the server has noticed that the connection is gone
        assert time.monotonic() < deadline
        server.request("model", "vocabulary.set", deadline_s=0.01)
        (gone,) = events_of(server, 1)
        assert isinstance(gone, Answer)
        if gone.error == "model is not there":
            break


def test_a_node_that_was_restarted_gets_the_requests(
    server: ControlServer, client_of: Callable[..., ControlClient]
) -> None:
    old = greeted(server, client_of, "model")
    new = greeted(server, client_of, "model")
    server.request("model", "vocabulary.set")
    assert len(new.poll(ENOUGH_S)) == 1
    assert old.poll(0) == []


def test_another_node_cannot_answer_for_the_one_that_was_asked(
    server: ControlServer, client_of: Callable[..., ControlClient]
) -> None:
    model, other = (greeted(server, client_of, name) for name in ("model", "other"))
    id = server.request("model", "threshold.get")
    (request,) = model.poll(ENOUGH_S)
    other.reply(request, "forged")
    other.ready()
    assert events_of(server, 1) == [Ready(node="other")]
    model.reply(request, 0.4)
    (answer,) = events_of(server, 1)
    assert isinstance(answer, Answer)
    assert (answer.id, answer.value) == (id, 0.4)


def serve(
    server: ControlServer, act: Callable[[ClientRequest], None], until: threading.Event
) -> threading.Thread:
    """A supervisor in a thread: `act` on every client's request."""

    def run() -> None:
        while not until.is_set():
            for event in server.poll(0.02):
                if isinstance(event, ClientRequest):
                    act(event)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_command_line_calls_the_supervisor(
    server: ControlServer, client_of: Callable[..., ControlClient]
) -> None:
    def act(request: ClientRequest) -> None:
        if request.name == "status":
            server.reply(request, {"asked": request.args})
        else:
            server.reply(request, error=f"{request.name}: no such request")

    stop = threading.Event()
    thread = serve(server, act, stop)
    try:
        client = client_of(server.address)
        assert client.call("status", {"of": "all"}) == {"asked": {"of": "all"}}
        with pytest.raises(UserError, match=r"^stauts: no such request$"):
            client.call("stauts")
    finally:
        stop.set()
        thread.join()


def test_an_answer_that_cannot_be_sent_is_one_that_says_so(
    server: ControlServer, client_of: Callable[..., ControlClient]
) -> None:
    """The status of several sources is deep, and can be sent; whatever cannot be is nobody's end."""
    story = {"named": [["dog", {"spans": [[0.0, 1.0]], "more": 0, "total_s": 1.0}]]}
    status = {"recorder": {"sources": {"front": {"story": story}}}}
    answers: list[Any] = []

    def ask() -> None:
        client = client_of(server.address)
        answers.append(client.call("status"))
        for _ in range(2):
            try:
                client.call("status")
            except UserError as error:
                answers.append(str(error))

    asking = threading.Thread(target=ask)
    asking.start()
    for value in (status, {"p": float("nan")}, {"b": b"bytes"}):
        (request,) = events_of(server, 1)
        assert isinstance(request, ClientRequest)
        server.reply(request, value)
    asking.join(ENOUGH_S)
    assert answers[0] == status
    assert answers[1].startswith("the answer cannot be sent: Reply.value.p: found nan")
    assert answers[2].startswith("the answer cannot be sent: Reply.value.b: found")


def test_a_command_line_reaches_a_node_through_the_supervisor(
    server: ControlServer, client_of: Callable[..., ControlClient]
) -> None:
    node = greeted(server, client_of, "classification")
    stop = threading.Event()
    thread = serve(server, lambda request: server.relay(request, "classification"), stop)
    outcome: list[Any] = []
    caller = client_of(server.address)
    words = [f"word {i}" for i in range(5000)]
    call = threading.Thread(target=lambda: outcome.append(caller.call("vocabulary.set", {"words": words})))
    try:
        call.start()
        (request,) = node.poll(ENOUGH_S)
        assert request.args == {"words": words}
        node.reply(request, {"revision": 2})
        call.join(ENOUGH_S)
        assert outcome == [{"revision": 2}]
        with pytest.raises(UserError, match="classification has not answered in time"):
            caller.call("vocabulary.set", {"words": []}, deadline_s=0.05)
    finally:
        stop.set()
        thread.join()


def test_a_call_without_a_supervisor_ends_in_one_line(
    tmp_path: Path, client_of: Callable[..., ControlClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming.control.GRACE_S", 0.01)
    with pytest.raises(UserError, match=r"no answer from ipc://.* within 0.02 s: is the pipeline running\?"):
        client_of(f"ipc://{tmp_path}/absent").call("status", deadline_s=0.02)


def test_a_supervisor_that_died_blocks_no_node(
    server: ControlServer, client_of: Callable[..., ControlClient]
) -> None:
    node = greeted(server, client_of, "model")
    server.close()
    for i in range(50 * UNSENT):
        node.status({"snippets": i})
        assert node.poll() == []
    assert node.unsaid > 0


def test_damaged_messages_are_counted_at_both_ends(
    server: ControlServer, client_of: Callable[..., ControlClient], caplog: pytest.LogCaptureFixture
) -> None:
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.set(zmq.LINGER, 0)
    dealer.set(zmq.SNDHWM, 20_000)
    dealer.connect(server.address)
    chance = np.random.default_rng(9)
    whole = pack(Status(node="model", counters={"snippets": 3}))
    for _ in range(10_000):
        damaged = bytearray(whole)
        damaged[chance.integers(0, 8)] = 0xC1  # a byte that msgpack never uses, before the first value
        dealer.send_multipart([bytes(damaged), chance.bytes(3)][: chance.integers(1, 3)])
    dealer.send(b"")
    node = client_of(server.address, "feature")
    try:
        node.hello()
        heard: list[Event] = []
        deadline = time.monotonic() + ENOUGH_S
        while server.refused < 10_001 or not heard:
            assert time.monotonic() < deadline
            heard += server.poll(0.05)
        assert heard == [Hello(node="feature", pid=os.getpid())]
        assert server.refused == 10_001
        server._socket.send_multipart([server._routes["feature"], b"noise"])
        server.request("feature", "status")
        requests: list[Request] = []
        while not requests:
            assert time.monotonic() < deadline
            requests += node.poll(0.05)
        assert node.refused == 1
        assert len(caplog.records) < 50
    finally:
        dealer.close()
        context.term()


BAD = [
    {"v": 2, "kind": "Ready", "node": "model"},
    {"v": 1, "kind": "Steady", "node": "model"},
    {"v": 1, "kind": ["Ready"], "node": "model"},
    {"v": 1, "kind": "Ready"},
    {"v": 1, "kind": "Ready", "node": "mo del"},
    {"v": 1, "kind": "Ready", "node": "model", "pid": 3},
    {"v": 1, "kind": "Hello", "node": "model", "pid": -3},
    {"v": 1, "kind": "Status", "node": "model", "counters": [1]},
    {"v": 1, "kind": "Status", "node": "model", "counters": {"a": float("nan")}},
    {"v": 1, "kind": "Request", "id": 1, "name": "status", "args": {}, "deadline_s": -1},
    {"v": 1, "kind": "Request", "id": 1, "name": "status", "args": {}, "deadline_s": 1e308},
    {"v": 1, "kind": "Reply", "id": 1, "value": b"bytes", "error": None},
    [1],
]


@pytest.mark.parametrize("values", BAD, ids=str)
def test_what_breaks_the_schema_is_refused(values: Any) -> None:
    with pytest.raises(MessageError):
        unpack(msgpack.packb(values))


def test_what_breaks_the_schema_is_not_sent(client_of: Callable[..., ControlClient], tmp_path: Path) -> None:
    node = client_of(f"ipc://{tmp_path}/control", "model")
    with pytest.raises(MessageError, match=r"Status\.counters\.rate: found nan"):
        node.status({"rate": float("nan")})
    with pytest.raises(MessageError, match="a map of"):
        node.done({"text": "x" * (1 << 20)})
