"""A link keeps the order, loses what it may and counts it, and outlives either end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from streaming import link
from streaming.clock import Clock
from streaming.errors import UserError
from streaming.link import Receiver, Sender
from streaming.messages import End, Message, Snippet, decode
from streaming.schema import MessageError
from tests.streaming.test_messages import damage

clock = Clock()
ENOUGH_S = 20.0
ROOT = Path(__file__).parents[2]


def snippet(seq: int, source: str = "cam", **changes: Any) -> Snippet:
    fields: dict[str, Any] = {
        "source": source,
        "generation": 0,
        "seq": seq,
        "t_ns": 0,
        "emitted_ns": 0,
        "frame": np.full((40, 60, 3), seq % 256, np.uint8),
        "audio": np.zeros(16_000, np.float32),
        "frame_t_ns": 0,
        "has_audio": True,
    }
    return Snippet(**{**fields, **changes})


def end(seq: int) -> End:
    return End(source="cam", generation=0, seq=seq, t_ns=0, emitted_ns=0, reason="end of file")


@pytest.fixture(params=["ipc", "tcp"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/link" if request.param == "ipc" else "tcp://127.0.0.1:*"


@pytest.fixture
def ends() -> Iterator[Callable[..., Any]]:
    """Makes senders and receivers that are closed after the test."""
    made: list[Sender | Receiver] = []

    def make(kind: type, *args: Any, **kwargs: Any) -> Any:
        made.append(kind(*args, clock=clock, **kwargs))
        return made[-1]

    yield make
    for one in made:
        one.close()


@contextmanager
def working(work: Callable[[], None]) -> Iterator[None]:
    """Runs `work` in a thread beside the test, and passes on its exception."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(ENOUGH_S)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def eventually(truth: Callable[[], bool]) -> None:
    """Waits for something that another thread is about to do."""
    deadline = time.monotonic() + ENOUGH_S
    while not truth():
        assert time.monotonic() < deadline, "it has not come true"
        time.sleep(0.005)


def take(receiver: Receiver) -> Message:
    message = receiver.receive(ENOUGH_S)
    assert message is not None
    return message


def test_block_keeps_order_and_loses_nothing(address: str, ends: Callable[..., Any]) -> None:
    sender = ends(Sender, address, overflow="block")
    receiver = ends(Receiver, sender.address)
    sent = [snippet(i) for i in range(100)]

    def produce() -> None:
        for message in [*sent, end(100)]:
            assert sender.send(message, ENOUGH_S)
        assert sender.end(ENOUGH_S)

    with working(produce):
        received = [take(receiver) for _ in range(101)]
        receiver.acknowledge()
    assert received == [*sent, end(100)]
    assert (sender.sent, sender.dropped, sender.refused, receiver.refused) == (101, 0, 0, 0)


def test_block_lets_the_producer_be_two_messages_ahead(address: str, ends: Callable[..., Any]) -> None:
    sender = ends(Sender, address, overflow="block")
    receiver = ends(Receiver, sender.address)
    assert sender.send(snippet(0), 0)
    assert take(receiver).seq == 0
    for handled in range(5):  # while message `handled` is in the consumer's hands
        assert sender.send(snippet(handled + 1), ENOUGH_S)
        assert not sender.send(snippet(99), 0.02)
        assert take(receiver).seq == handled + 1
    assert (sender.sent, sender.dropped) == (6, 0)


def test_nothing_is_sent_that_was_not_asked_for(address: str, ends: Callable[..., Any]) -> None:
    sender = ends(Sender, address, overflow="block")
    receiver = ends(Receiver, sender.address)
    assert receiver.receive(0) is None
    assert sender.send(snippet(0), ENOUGH_S)
    assert take(receiver).seq == 0
    assert sender.send(snippet(1), ENOUGH_S)
    receiver.acknowledge()
    assert not sender.end(0.1)
    assert sender.sent == 1
    assert take(receiver).seq == 1


def test_latest_keeps_the_newest_and_counts_every_drop(address: str, ends: Callable[..., Any]) -> None:
    replaced: list[Message] = []
    sender = ends(Sender, address, overflow="latest", on_drop=replaced.append)
    receiver = ends(Receiver, sender.address)
    offered, taken = 0, []
    for _ in range(20):
        for _ in range(10):
            assert sender.send(snippet(offered))
            offered += 1
        message = take(receiver)
        while message.seq < offered - 1:  # the one that was on its way when the newest came
            taken.append(message.seq)
            message = take(receiver)
        taken.append(message.seq)
    assert sender.send(end(offered), ENOUGH_S)
    assert isinstance(take(receiver), End)
    receiver.acknowledge()
    assert sender.end(ENOUGH_S)
    assert sender.sent + sender.dropped == offered + 1
    assert sender.dropped > 100
    assert sorted([*taken, *(message.seq for message in replaced)]) == list(range(offered))


def test_latest_neither_drops_the_end_nor_drops_for_it(address: str, ends: Callable[..., Any]) -> None:
    sender = ends(Sender, address, overflow="latest")
    assert sender.send(snippet(0))
    assert not sender.send(end(1), 0.02)
    receiver = ends(Receiver, sender.address)
    assert take(receiver).seq == 0
    assert sender.send(end(1), ENOUGH_S)
    assert not sender.send(snippet(2), 0.02)
    assert isinstance(take(receiver), End)
    assert sender.dropped == 0


def test_end_is_true_only_once_all_is_handled(address: str, ends: Callable[..., Any]) -> None:
    sender = ends(Sender, address, overflow="block")
    assert sender.end(0)
    assert sender.send(end(0), ENOUGH_S)
    assert not sender.end(0.02)
    receiver = ends(Receiver, sender.address)
    assert isinstance(take(receiver), End)
    assert not sender.end(0.02)
    receiver.acknowledge()
    receiver.close()  # at once: what it has acknowledged must arrive all the same
    assert sender.end(ENOUGH_S)


def test_a_credit_is_answered_while_the_producer_is_busy(address: str, ends: Callable[..., Any]) -> None:
    """The consumer asks only after the producer has returned from `send` and does nothing but wait for it."""
    sender = ends(Sender, address, overflow="block")
    assert sender.send(snippet(0), 0)
    receiver = ends(Receiver, sender.address)
    assert take(receiver).seq == 0


def test_waits_end_when_their_time_is_over_or_the_sender_is_closed(
    address: str, ends: Callable[..., Any]
) -> None:
    sender = ends(Sender, address, overflow="block")
    receiver = ends(Receiver, "tcp://127.0.0.1:9")
    assert receiver.receive(0.02) is None
    assert sender.send(snippet(0), 0)
    assert not sender.send(snippet(1), 0.02)
    assert not sender.end(0.02)
    outcomes: list[bool] = []
    with working(lambda: outcomes.append(sender.send(snippet(1)))):
        time.sleep(0.05)
        sender.close()
    assert outcomes == [False]
    assert not sender.send(snippet(2))
    assert not sender.end(0)


def test_a_message_that_breaks_the_schema_is_not_taken_by_send(
    address: str, ends: Callable[..., Any]
) -> None:
    sender = ends(Sender, address, overflow="block")
    with pytest.raises(MessageError, match="NaN"):
        sender.send(snippet(0, audio=np.full(16_000, np.nan, np.float32)))
    assert sender.send(snippet(1), 0)


CONSUMER = """
import sys, time
from streaming.clock import Clock
from streaming.link import Receiver
receiver = Receiver(sys.argv[1], clock=Clock())
for _ in range(int(sys.argv[2])):
    print(receiver.receive(20).seq, flush=True)
time.sleep(60)
"""


def test_a_consumer_killed_over_a_message_leaves_it_to_the_next(
    address: str, ends: Callable[..., Any]
) -> None:
    sender = ends(Sender, address, overflow="block")
    command = [sys.executable, "-c", CONSUMER, sender.address, "3"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        for i in range(4):
            assert sender.send(snippet(i), ENOUGH_S)
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)] == ["0\n", "1\n", "2\n"]
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    receiver = ends(Receiver, sender.address)
    assert [take(receiver).seq for _ in range(2)] == [2, 3]
    assert sender.sent == 4


def test_a_consumer_that_leaves_in_order_leaves_its_message_to_the_next(
    address: str, ends: Callable[..., Any]
) -> None:
    sender = ends(Sender, address, overflow="block")
    first = ends(Receiver, sender.address)
    assert sender.send(snippet(0), ENOUGH_S)
    assert take(first).seq == 0
    first.close()
    second = ends(Receiver, sender.address)
    assert take(second).seq == 0
    assert sender.send(snippet(1), ENOUGH_S)
    assert take(second).seq == 1
    assert (sender.sent, sender.refused) == (2, 0)


def test_a_producer_is_restarted(tmp_path: Path, ends: Callable[..., Any]) -> None:
    address = f"ipc://{tmp_path}/link"
    receiver = ends(Receiver, address)
    for start in (0, 10, 20):
        sender = ends(Sender, address, overflow="block")
        for i in range(3):
            assert sender.send(snippet(start + i), ENOUGH_S)
            assert take(receiver).seq == start + i
        sender.close()
    assert receiver.receive(0.05) is None


def test_a_second_consumer_waits_until_the_first_has_gone(
    address: str, ends: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    sender = ends(Sender, address, overflow="block")
    first, second = ends(Receiver, sender.address), ends(Receiver, sender.address)
    assert sender.send(snippet(0), ENOUGH_S)
    assert take(first).seq == 0
    assert sender.send(snippet(1), ENOUGH_S)
    assert second.receive(0.2) is None
    eventually(lambda: sender.refused > 0)
    assert "refused a second consumer" in caplog.text
    assert take(first).seq == 1
    first.acknowledge()
    first.close()
    assert sender.send(snippet(2), ENOUGH_S)
    assert take(second).seq == 2


def test_several_senders_are_served_in_turn(tmp_path: Path, ends: Callable[..., Any]) -> None:
    senders = [ends(Sender, f"ipc://{tmp_path}/{i}", overflow="block") for i in range(3)]
    receiver = ends(Receiver, [*(sender.address for sender in senders), f"ipc://{tmp_path}/absent"])

    def produce() -> None:
        for seq in range(30):
            for i, sender in enumerate(senders):
                assert sender.send(snippet(seq, source=f"cam{i}"), ENOUGH_S)

    with working(produce):
        served = [take(receiver) for _ in range(90)]
    for i in range(3):
        assert [message.seq for message in served if message.source == f"cam{i}"] == list(range(30))
    assert receiver.receive(0) is None


@pytest.fixture
def raw() -> Iterator[Callable[[int], zmq.Socket]]:
    """Plain sockets, for what a link's own end would never send."""
    context = zmq.Context()
    sockets: list[zmq.Socket] = []

    def make(kind: int) -> zmq.Socket:
        sockets.append(context.socket(kind))
        sockets[-1].linger = 0
        sockets[-1].rcvtimeo = int(ENOUGH_S * 1000)
        return sockets[-1]

    yield make
    for one in sockets:
        one.close()
    context.term()


def test_no_sender_is_served_twice_while_another_waits(
    tmp_path: Path, ends: Callable[..., Any], raw: Callable[[int], zmq.Socket]
) -> None:
    """The senders are plain sockets that send without being asked, so both always have something there."""
    routers = [raw(zmq.ROUTER) for _ in range(2)]
    for i, router in enumerate(routers):
        router.bind(f"ipc://{tmp_path}/{i}")
    receiver = ends(Receiver, [f"ipc://{tmp_path}/{i}" for i in range(2)])
    assert receiver.receive(0.3) is None
    for i, router in enumerate(routers):
        route = router.recv_multipart()[0]
        for number in range(1, 6):
            frames = map(bytes, link.encode(snippet(number, source=f"cam{i}")))
            router.send_multipart([route, b"sender %d" % i, number.to_bytes(8), *frames])
    served = []
    for _ in range(5):
        eventually(lambda: all(line.socket.poll(0) for line in receiver._lines))
        served.append(take(receiver).source)
    assert served in (["cam0", "cam1"] * 2 + ["cam0"], ["cam1", "cam0"] * 2 + ["cam1"])


def test_damaged_messages_are_counted_and_passed_over(
    address: str, ends: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender's codec is damaged, so that every part of the link but the contents is the real one."""
    chance = np.random.default_rng(3)
    whole = link.encode

    def damaging(message: Message) -> Any:
        frames = [bytes(frame) for frame in whole(message)]
        return frames if message.seq % 10 == 9 else [*frames[:-1], chance.bytes(chance.integers(0, 900))]

    monkeypatch.setattr(link, "encode", damaging)
    sender = ends(Sender, address, overflow="block")
    receiver = ends(Receiver, sender.address)

    def produce() -> None:
        for i in range(100):
            assert sender.send(snippet(i), ENOUGH_S)

    with working(produce):
        assert [take(receiver).seq for _ in range(10)] == list(range(9, 100, 10))
    receiver.acknowledge()
    assert sender.end(ENOUGH_S)
    assert (receiver.refused, sender.sent) == (90, 100)


def test_a_receiver_survives_frames_that_no_sender_sends(
    tmp_path: Path, ends: Callable[..., Any], raw: Callable[[int], zmq.Socket]
) -> None:
    router = raw(zmq.ROUTER)
    router.bind(f"ipc://{tmp_path}/link")
    receiver = ends(Receiver, f"ipc://{tmp_path}/link")
    assert receiver.receive(0.3) is None
    route, verb, *_ = router.recv_multipart()
    assert verb == b"want"
    garbage = [[b""], [b"x"], [b"x" * 5000], [b"x" * 8], [b"x" * 8, b"y"], [b""] * 9, [os.urandom(8)] * 2]
    for frames in garbage:
        router.send_multipart([route, *frames])
    router.send_multipart([route, b"sender 1", (1).to_bytes(8), *map(bytes, link.encode(snippet(7)))])
    assert take(receiver).seq == 7
    assert receiver.refused == len(garbage)


def test_ten_thousand_damaged_messages_at_a_receiver_cost_nothing_but_themselves(
    tmp_path: Path, ends: Callable[..., Any], raw: Callable[[int], zmq.Socket]
) -> None:
    """Random bytes, cut short, wrong shapes, sizes that lie: with a good message after each thousand."""
    chance = random.Random(4)
    router = raw(zmq.ROUTER)
    router.bind(f"ipc://{tmp_path}/link")
    receiver = ends(Receiver, f"ipc://{tmp_path}/link")
    assert receiver.receive(0.3) is None
    route = router.recv_multipart()[0]
    whole = [[bytes(frame) for frame in link.encode(message)] for message in (snippet(0), end(1))]

    def produce() -> None:
        number = 0
        for thousand in range(10):
            for _ in range(1000):
                number += 1
                frames = damaged(whole, chance)
                router.send_multipart([route, b"sender 1", number.to_bytes(8), *frames])
            number += 1
            router.send_multipart([route, b"sender 1", number.to_bytes(8), *link.encode(snippet(thousand))])

    with working(produce):
        assert [take(receiver).seq for _ in range(10)] == list(range(10))
    assert receiver.refused == 10_000


def damaged(whole: list[list[bytes]], chance: random.Random) -> list[bytes]:
    """The frames of one of the messages, damaged so that they are none."""
    while True:
        frames = damage(chance.choice(whole), chance)
        try:
            decode(frames)
        except MessageError:
            return frames


def test_a_receiver_drops_what_it_has_handled(
    tmp_path: Path, ends: Callable[..., Any], raw: Callable[[int], zmq.Socket]
) -> None:
    router = raw(zmq.ROUTER)
    router.bind(f"ipc://{tmp_path}/link")
    receiver = ends(Receiver, f"ipc://{tmp_path}/link")
    assert receiver.receive(0.3) is None
    route = router.recv_multipart()[0]
    for sender, number, seq in [
        (b"sender 1", 5, 0),
        (b"sender 1", 5, 0),
        (b"sender 1", 6, 1),
        (b"sender 2", 1, 2),
    ]:
        router.send_multipart([route, sender, number.to_bytes(8), *map(bytes, link.encode(snippet(seq)))])
    assert [take(receiver).seq for _ in range(3)] == [0, 1, 2]
    assert receiver.receive(0.05) is None
    assert receiver.refused == 0


def test_a_consumer_on_a_new_connection_gets_its_message_again_at_once(
    address: str, ends: Callable[..., Any], raw: Callable[[int], zmq.Socket]
) -> None:
    """As after a network that broke in between: the sender still takes the old connection for alive."""
    sender = ends(Sender, address, overflow="block")
    assert sender.send(snippet(0), 0)
    connections = [raw(zmq.DEALER) for _ in range(2)]
    credit = [b"want", b"consumer", bytes(8), bytes(8), bytes(8)]
    received = []
    for connection in connections:
        connection.connect(sender.address)
        connection.send_multipart(credit)
        connection.send_multipart(credit)  # repeated: not a wish for a second copy
        received.append(connection.recv_multipart())
    assert received[0] == received[1]
    assert not any(connection.poll(50) for connection in connections)
    id, number = received[1][:2]
    connections[1].send_multipart([b"done", b"consumer", id, number, number])
    assert sender.end(ENOUGH_S)
    assert (sender.sent, sender.refused) == (1, 0)


def test_a_credit_for_another_sender_acknowledges_nothing(
    address: str, ends: Callable[..., Any], raw: Callable[[int], zmq.Socket]
) -> None:
    sender = ends(Sender, address, overflow="block")
    assert sender.send(snippet(0), 0)
    connection = raw(zmq.DEALER)
    connection.connect(sender.address)
    connection.send_multipart([b"want", b"consumer", b"sender 0", (1).to_bytes(8), (1).to_bytes(8)])
    id, number = connection.recv_multipart()[:2]
    connection.send_multipart([b"done", b"consumer", b"sender 0", number, number])
    connection.send_multipart([b"done", b"consumer", id, (7).to_bytes(8), (7).to_bytes(8)])
    connection.send_multipart([b"done", b"consumer", id, number, (7).to_bytes(8)])
    assert not sender.end(0.1)
    assert sender.handled == 0
    connection.send_multipart([b"done", b"consumer", id, number, bytes(8)])
    eventually(lambda: sender.handled == 1)
    assert not sender.end(0.1)  # handled, and yet not safe
    connection.send_multipart([b"done", b"consumer", id, number, number])
    assert sender.end(ENOUGH_S)


def test_what_is_not_safe_is_given_to_the_next_consumer_again(address: str, ends: Callable[..., Any]) -> None:
    """Five are handled, of which two are safe, when the consumer dies with the sixth in hand."""
    sender = ends(Sender, address, overflow="block")
    first = ends(Receiver, sender.address, holds=True)
    marks = []
    for seq in range(6):
        assert sender.send(snippet(seq), ENOUGH_S)
        assert take(first).seq == seq
        marks.append(first.mark)
        if seq == 3:
            first.release(marks[1])
    eventually(lambda: sender.handled == 5)
    die(first)
    second = ends(Receiver, sender.address)
    assert [take(second).seq for _ in range(4)] == [2, 3, 4, 5]
    assert sender.send(snippet(6), ENOUGH_S)
    assert take(second).seq == 6
    second.acknowledge()
    assert sender.end(ENOUGH_S)
    assert (sender.sent, sender.handled, sender.accepted) == (7, 7, 7)


def die(receiver: Receiver) -> None:
    """As a process that is killed: without a word."""
    receiver._lines.clear()
    receiver._sockets.close()


def test_a_message_that_consumers_die_of_is_left_out_and_told(
    address: str, ends: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    sender = ends(Sender, address, overflow="block")
    assert sender.send(snippet(0), ENOUGH_S)
    for death in range(link.DEADLY):
        receiver = ends(Receiver, sender.address, holds=True)
        if death == 0:
            assert take(receiver).seq == 0
            assert sender.send(snippet(1), ENOUGH_S)
        else:  # what is not safe yet is not what it died of
            assert take(receiver).seq == 0
        assert take(receiver).seq == 1
        if death == 0:
            assert sender.send(snippet(2), ENOUGH_S)
        die(receiver)
    last = ends(Receiver, sender.address)
    assert [take(last).seq for _ in range(2)] == [0, 2]
    assert sender.send(end(3), ENOUGH_S)
    assert take(last).seq == 3
    last.acknowledge()
    assert sender.end(ENOUGH_S)
    assert (sender.given_up, sender.handled) == (1, 4)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        f"{sender.name}: number 1 of cam (at 0.0 s) is left out: 3 in a row died with it in hand"
    ]


def test_an_end_is_never_left_out(address: str, ends: Callable[..., Any]) -> None:
    sender = ends(Sender, address, overflow="block")
    assert sender.send(end(0), ENOUGH_S)
    for _ in range(link.DEADLY + 2):
        receiver = ends(Receiver, sender.address)
        assert isinstance(take(receiver), End)
        die(receiver)
    assert sender.given_up == 0


def test_what_is_released_is_told_in_time_though_nothing_else_happens(
    address: str, ends: Callable[..., Any]
) -> None:
    sender = ends(Sender, address, overflow="block")
    receiver = ends(Receiver, sender.address, holds=True)
    assert sender.send(snippet(0), ENOUGH_S)
    take(receiver)
    mark = receiver.mark
    assert receiver.receive(0.05) is None
    assert not sender.end(0.05)
    receiver.release(mark)
    with working(lambda: receiver.receive(3.0)):
        assert sender.end(ENOUGH_S)


def test_no_more_is_handed_out_than_can_be_kept(address: str, ends: Callable[..., Any]) -> None:
    sender = ends(Sender, address, overflow="block")
    receiver = ends(Receiver, sender.address, holds=True)
    for seq in range(link.MOST_KEPT):
        assert sender.send(snippet(seq), ENOUGH_S)
        take(receiver)
    mark = receiver.mark
    assert sender.send(snippet(99), ENOUGH_S)
    assert receiver.receive(0.1) is None
    receiver.release(mark)
    assert take(receiver).seq == 99


def test_a_sender_survives_ten_thousand_messages_that_are_no_credits(
    address: str, ends: Callable[..., Any], raw: Callable[[int], zmq.Socket], caplog: pytest.LogCaptureFixture
) -> None:
    sender = ends(Sender, address, overflow="block")
    receiver = ends(Receiver, sender.address)
    assert receiver.receive(0.1) is None  # the true consumer is known before the noise begins
    chance = np.random.default_rng(5)
    dealer = raw(zmq.DEALER)
    dealer.sndhwm = 20_000
    dealer.connect(sender.address)
    for _ in range(10_000):
        frames = [chance.bytes(chance.integers(0, 20)) for _ in range(chance.integers(1, 6))]
        dealer.send_multipart([chance.choice([b"want", b"done", b"bye", b""]), *frames])
    oversized = raw(zmq.DEALER)
    oversized.connect(sender.address)
    oversized.send(bytes(1 << 20))

    def produce() -> None:
        for i in range(20):
            assert sender.send(snippet(i), ENOUGH_S)

    with working(produce):
        assert [take(receiver).seq for _ in range(20)] == list(range(20))
    eventually(lambda: sender.refused == 10_000)
    assert len(caplog.records) < 50


def test_closing_leaves_no_thread_and_no_file(tmp_path: Path) -> None:
    def threads() -> int:
        return len(os.listdir("/proc/self/task")) if sys.platform == "linux" else threading.active_count()

    def run() -> None:
        sender = Sender(f"ipc://{tmp_path}/link", overflow="latest", clock=clock)
        receiver = Receiver(sender.address, clock=clock)
        for i in range(5):
            sender.send(snippet(i))
            take(receiver)
        sender.send(snippet(6))
        receiver.close()
        sender.close()
        sender.close()

    run()  # zero-copy sending starts a thread of the library, once
    before = threads()
    for _ in range(3):
        run()
    assert threads() == before
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_a_successor_has_bound_is_left_to_it(tmp_path: Path, ends: Callable[..., Any]) -> None:
    old = ends(Sender, f"ipc://{tmp_path}/link", overflow="block")
    new = ends(Sender, f"ipc://{tmp_path}/link", overflow="block")
    old.close()
    receiver = ends(Receiver, new.address)
    assert new.send(snippet(3), ENOUGH_S)
    assert take(receiver).seq == 3


def test_an_address_in_use_is_a_mistake_told_in_one_line(ends: Callable[..., Any]) -> None:
    sender = ends(Sender, "tcp://127.0.0.1:*", overflow="block")
    with pytest.raises(UserError, match="cannot listen at this address: Address already in use"):
        Sender(sender.address, overflow="block", clock=clock)
    with pytest.raises(UserError, match="needs keys"):
        Receiver([sender.address, "tcp://192.0.2.1:5555"], clock=clock)
