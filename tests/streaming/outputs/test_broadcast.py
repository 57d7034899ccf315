"""All that comes to the recorder, for the page: whole messages, and nobody is waited for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from streaming.errors import UserError
from streaming.messages import Message
from streaming.outputs.broadcast import QUEUE, Broadcast
from streaming.viewer.feed import Feed
from tests.nodes.samples import preview, result

ENOUGH_S = 60.0


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/broadcast"


def joined(broadcast: Broadcast, address: str) -> Feed:
    """A feed that hears: greetings are sent until one arrives."""
    feed = Feed(address)
    deadline = time.monotonic() + ENOUGH_S
    while time.monotonic() < deadline:
        broadcast.add(result(1_000_000), 0)
        if feed.receive(0.02) is not None:
            while feed.receive(0.05) is not None:
                pass
            return feed
    raise AssertionError("nothing came")


def next_of(feed: Feed) -> Message | None:
    return feed.receive(ENOUGH_S)


def test_what_is_sent_arrives_whole(address: str) -> None:
    broadcast = Broadcast(address)
    feed = joined(broadcast, address)
    shown, found = preview(3, [b"first", b"second"]), result(3, [1, 2])
    broadcast.show(shown)
    broadcast.add(found, 0)
    assert next_of(feed) == shown
    assert next_of(feed) == found
    assert feed.receive(0.0) is None
    feed.close()
    broadcast.close()
    assert not Path(address.removeprefix("ipc://")).exists()


def test_nobody_is_waited_for(address: str) -> None:
    """Not where there is nobody, and not where somebody takes nothing: this would never return."""
    broadcast = Broadcast(address)
    large = preview(0, [bytes(100_000)])
    for _ in range(10 * QUEUE):
        broadcast.show(large)
    feed = joined(broadcast, address)
    for _ in range(10 * QUEUE):
        broadcast.show(large)
    got = 0
    while feed.receive(0.5) is not None:
        got += 1
    assert 0 < got < 10 * QUEUE
    feed.close()
    broadcast.close()


def test_a_feed_stays_when_the_recorder_is_started_again(address: str) -> None:
    first = Broadcast(address)
    feed = joined(first, address)
    first.close()
    second = Broadcast(address)
    deadline = time.monotonic() + ENOUGH_S
    heard = None
    while heard is None and time.monotonic() < deadline:
        second.add(result(7), 0)
        heard = feed.receive(0.02)
    assert heard == result(7)
    feed.close()
    second.close()


def test_a_message_that_is_damaged_is_counted_and_passed_over(address: str) -> None:
    broadcast = Broadcast(address)
    feed = joined(broadcast, address)
    broadcast._socket.send_multipart([b"cam", b"no header"])
    broadcast.add(result(1), 0)
    assert next_of(feed) is None
    assert next_of(feed) == result(1)
    assert feed.damaged == 1
    feed.close()
    broadcast.close()


def test_others_are_told_with_keys_only() -> None:
    with pytest.raises(UserError, match="others can reach this address, so it needs keys"):
        Broadcast("tcp://0.0.0.0:5560")
    with pytest.raises(UserError, match="others can reach this address, so it needs keys"):
        Feed("tcp://192.0.2.1:5560")
