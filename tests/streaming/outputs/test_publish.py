"""Results as a stream: the lines of the file, to whoever is there, at nobody's expense."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import zmq
import zmq.auth

from streaming.errors import UserError
from streaming.messages import Result
from streaming.outputs import publish
from streaming.outputs.publish import QUEUE, Publisher
from streaming.results import result_line
from streaming.security import Security, make_keys
from tests.nodes.samples import result
from tests.pipeline import free_port

ENOUGH_S = 60.0
DOC = Path(__file__).parents[3] / "docs" / "outputs.md"
GREETING = 1_000_000  # the least number of a result that only tells whether a subscriber is there
WALL_NS = 1_700_000_000_000_000_000


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/results"


@pytest.fixture
def publisher(address: str) -> Iterator[Publisher]:
    publisher = Publisher(address)
    yield publisher
    publisher.close()


def of_length(seq: int, chars: int) -> Result:
    """A result with a mask of many pieces."""
    whole = result(seq, [1])
    whole.tracks[0]["mask"] = {"size": [48, 64], "counts": "0" * chars}
    return whole


class Subscriber:
    """A plain ZeroMQ subscriber, as others would write one; it is there when `joins` has returned."""

    def __init__(self, context: zmq.Context, address: str, topic: str = "", **options: int) -> None:
        self.socket = context.socket(zmq.SUB)
        self.socket.linger = 0
        self.socket.rcvtimeo = round(ENOUGH_S * 1000)
        for name, value in options.items():
            self.socket.set(getattr(zmq, name.upper()), value)
        self._address = address
        self._greeting = GREETING
        self.socket.subscribe(topic)

    def joins(self, publisher: Publisher) -> Subscriber:
        self.socket.connect(self._address)
        return self.hears(publisher)

    def hears(self, publisher: Publisher) -> Subscriber:
        """Connecting and subscribing take their time: greetings are published until one arrives."""
        self._greeting += 1
        while True:
            for source in ("cam", "front"):
                publisher.add(result(self._greeting, source=source), WALL_NS)
            while self.socket.poll(20):
                if json.loads(self.socket.recv_multipart()[-1])["seq"] == self._greeting:
                    return self

    def parts(self, count: int) -> list[list[bytes]]:
        """The next messages, greetings left out."""
        got: list[list[bytes]] = []
        while len(got) < count:
            message = self.socket.recv_multipart()
            got += [message] if json.loads(message[-1])["seq"] < GREETING else []
        return got

    def takes(self, count: int) -> list[tuple[str, dict]]:
        """The same, read."""
        return [(source.decode(), json.loads(line)) for source, line in self.parts(count)]


@pytest.fixture
def subscriber_to() -> Iterator[Callable[..., Subscriber]]:
    """Makes subscribers."""
    context = zmq.Context()
    yield partial(Subscriber, context)
    context.destroy(linger=0)


def test_a_message_is_the_source_and_the_line_of_the_file(
    publisher: Publisher, address: str, subscriber_to: Callable[..., Subscriber]
) -> None:
    subscriber = subscriber_to(address).joins(publisher)
    results = [result(seq, [1, 2]) for seq in range(3)]
    for one in results:
        publisher.add(one, WALL_NS)
    assert subscriber.parts(3) == [[b"cam", result_line(one, wall_ns=WALL_NS).encode()] for one in results]
    assert publisher.counters["dropped"] == 0


def test_a_subscription_may_be_for_one_source(
    publisher: Publisher, address: str, subscriber_to: Callable[..., Subscriber]
) -> None:
    subscriber = subscriber_to(address, "front").joins(publisher)
    for seq, source in enumerate(["back", "front", "cam", "front"]):
        publisher.add(result(seq, source=source), WALL_NS)
    assert [(source, line["seq"]) for source, line in subscriber.takes(2)] == [("front", 1), ("front", 3)]


def test_a_name_may_be_any_text(
    publisher: Publisher, address: str, subscriber_to: Callable[..., Subscriber]
) -> None:
    name = '"dog", \\ \N{DOG FACE} </script>\N{LINE SEPARATOR}\n'
    subscriber = subscriber_to(address).joins(publisher)
    one = result(0, [1])
    one.tracks[0]["label"] = name
    publisher.add(one, WALL_NS)
    ((_, line),) = subscriber.takes(1)
    assert line["tracks"][0]["label"] == name


def test_nobody_has_to_be_there(publisher: Publisher) -> None:
    for seq in range(1000):
        publisher.add(result(seq), WALL_NS)
    assert publisher.counters == {"sent": 1000, "dropped": 0}


def test_a_subscriber_that_is_slow_loses_lines_and_the_line_does_not_wait(
    publisher: Publisher, address: str, subscriber_to: Callable[..., Subscriber]
) -> None:
    """It takes nothing while far more comes than the sockets between hold; a quick one loses nothing."""
    slow = subscriber_to(address, rcvhwm=1, rcvbuf=4096).joins(publisher)
    quick = subscriber_to(address).joins(publisher)
    sent = 5 * QUEUE
    for seq in range(sent):
        publisher.add(of_length(seq, 100_000), WALL_NS)  # would never return if it waited for the slow one
        assert [line["seq"] for _, line in quick.takes(1)] == [seq]
    publisher.add(result(sent), WALL_NS)
    seqs = []
    while slow.socket.poll(500):
        seqs += [line["seq"] for _, line in slow.takes(1)]
    assert 0 < len(seqs) < sent
    assert seqs == sorted(set(seqs)), "in order, none twice, and the gap in seq tells what is missing"


def test_a_line_that_is_too_long_is_left_out_and_counted(
    publisher: Publisher,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    subscriber_to: Callable[..., Subscriber],
) -> None:
    subscriber = subscriber_to(address).joins(publisher)
    sent = publisher.sent
    monkeypatch.setattr(publish, "MAX_LINE_BYTES", len(result_line(result(0), wall_ns=WALL_NS)))
    for seq, ids in enumerate([[], [1], []]):
        publisher.add(result(seq, ids), WALL_NS)
    assert [line["seq"] for _, line in subscriber.takes(2)] == [0, 2]
    assert publisher.counters == {"sent": sent + 2, "dropped": 1}


def test_the_last_lines_leave_before_the_socket_closes(
    address: str, subscriber_to: Callable[..., Subscriber], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far more than the sockets hold, to somebody who takes his time; nobody else is as patient."""
    monkeypatch.setattr(publish, "LINGER_MS", round(ENOUGH_S * 1000))
    publisher = Publisher(address)
    subscriber = subscriber_to(address, rcvhwm=1, rcvbuf=4096).joins(publisher)
    for seq in range(20):
        publisher.add(of_length(seq, 200_000), WALL_NS)
    seqs: list[int] = []

    def take() -> None:
        for _ in range(20):
            time.sleep(0.005)
            seqs.extend(line["seq"] for _, line in subscriber.takes(1))

    taking = threading.Thread(target=take, daemon=True)
    taking.start()
    publisher.close()
    taking.join()
    assert seqs == list(range(20))
    assert not Path(address.removeprefix("ipc://")).exists()


def test_a_subscriber_stays_when_the_stream_begins_again(
    address: str, subscriber_to: Callable[..., Subscriber]
) -> None:
    first = Publisher(address)
    subscriber = subscriber_to(address, reconnect_ivl=10).joins(first)
    first.close()
    second = Publisher(address)
    subscriber.hears(second)
    second.add(result(7), WALL_NS)
    assert [line["seq"] for _, line in subscriber.takes(1)] == [7]
    second.close()


def test_an_address_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match=f"{address}: cannot listen at this address: Address already in"):
            Publisher(address)


def test_others_are_told_with_keys_only(tmp_path: Path, subscriber_to: Callable[..., Subscriber]) -> None:
    with pytest.raises(UserError, match="others can reach this address, so it needs keys"):
        Publisher("tcp://0.0.0.0:5560")
    keys = make_keys(tmp_path / "keys")
    publisher = Publisher(f"tcp://127.0.0.1:{free_port()}", Security(keys))
    stranger = subscriber_to(publisher.address)
    stranger.socket.connect(publisher.address)
    guest = subscriber_to(publisher.address)
    block = next(text for text in code_blocks() if "curve_serverkey" in text)
    exec(block.replace('"keys/', f'"{keys}/'), {"zmq": zmq, "socket": guest.socket})
    guest.joins(publisher)
    publisher.add(result(3), WALL_NS)
    assert [line["seq"] for _, line in guest.takes(1)] == [3]
    assert not stranger.socket.poll(200)
    publisher.close()


def code_blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", DOC.read_text(encoding="utf-8"), re.M | re.S)


def test_the_example_in_the_text_works(tmp_path: Path) -> None:
    """As it stands there, but for the port."""
    example = code_blocks()[0]
    assert len(example.splitlines()) <= 10
    publisher = Publisher(f"tcp://127.0.0.1:{free_port()}")
    program = example.replace("tcp://127.0.0.1:5560", publisher.address)
    assert program != example
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        poller = zmq.Poller()
        poller.register(process.stdout, zmq.POLLIN)
        while not poller.poll(20):  # until it has subscribed
            publisher.add(result(5, [1, 2]), WALL_NS)
            assert process.poll() is None
        assert process.stdout.readline() == "cam 5.0 ['dog', 'dog']\n"
    finally:
        process.kill()
        process.communicate()
        publisher.close()
