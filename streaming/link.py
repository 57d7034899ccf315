"""A link carries messages from one producer to one consumer, at the pace of the consumer.

The consumer sends a credit when it is ready, and the producer answers each credit with one message, so
nothing waits in between where it would grow old (measured with a slow consumer: 14 ms of age on arrival,
against 15 s behind default queues).

The credit names the last message that was handled, and the last that is safe: what came of it has been
handled by the next one in the line. Until it is safe the sender keeps a message, and sends it again when its
consumer died and another came, so nothing is lost with a consumer. Receivers drop what they have handled;
what was handled by one that died since comes twice, and whoever is next in the line knows it. Only a message
that several consumers in a row had in hand when they died is left out: it may be what they died of.

    consumer to sender    [verb, consumer id, sender id, number of the last handled, of the last that is safe]
    sender to consumer    [sender id, number, frames of the message ...] or [notice]
"""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, NamedTuple

import zmq

from streaming.clock import Clock
from streaming.messages import End, Message, decode, encode
from streaming.schema import MAX_PART_BYTES, Buffer, MessageError
from streaming.security import Security, Sockets

WANT = b"want"  # the last message is handled, send one
DONE = b"done"  # the last message is handled
BYE = b"bye"  # the consumer leaves; what it has not handled is for its successor
PROBE = b"probe"  # only there to learn whether the consumer's connection still stands
BUSY = b"busy"  # another consumer is being served

ID_BYTES = 8
NOBODY = bytes(ID_BYTES)
MAX_VERB_BYTES = 64
POLL_S = 1.0
REPEAT_S = 1.0  # a credit is repeated, for a sender that was restarted
RETRY_S = 0.1  # and sooner while there is no connection to send it on
LINGER_MS = 500  # a last credit may take so long to leave
NEVER_NS = 2**63
MOST_KEPT = 32  # messages that are not safe yet; more are not handed out
DEADLY = 3  # a message that so many consumers had in hand when they died is not given to another
TURN = 1000  # what is read from a socket in one go

log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    """What waits in a sender's slot."""

    may_go: bool  # a newer message replaces it
    message: Message
    frames: Sequence[Buffer]


class Sender:
    """The producer's end. It listens; a thread of its own answers credits while the producer is busy.

    One message may be on its way and one may wait in the slot, so a producer is at most two messages ahead of
    what its consumer has handled. When the slot is taken, `send` waits (`overflow="block"`) or replaces the
    waiting message and counts it as dropped (`"latest"`). What has been handed out is kept until it is safe.

    There is one consumer at a time. Another one that asks is refused, logged and told, for as long as the
    connection of the first stands; it goes on asking, and takes over when the first is gone.
    """

    def __init__(
        self,
        address: str,
        *,
        overflow: Literal["block", "latest"],
        clock: Clock,
        security: Security | None = None,
        name: str = "",
        on_drop: Callable[[Message], None] | None = None,
    ) -> None:
        """Listens at once. `on_drop` is given, by `send`, each message that another replaces.

        Raises `UserError` for an address that is taken, malformed or not allowed.
        """
        self.name = name or address
        self.sent = 0  # messages handed to a consumer, each counted once
        self.dropped = 0  # messages replaced in the slot
        self.refused = 0  # credits that were no credits, or came from a second consumer
        self.given_up = 0  # messages left out because consumers died of them
        self._overflow, self._on_drop = overflow, on_drop
        self._sockets = Sockets(security)
        self._router = self._sockets.listen(zmq.ROUTER, address, max_bytes=MAX_VERB_BYTES, router_mandatory=1)
        self.address = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._bell, self._ring = socket.socketpair()
        self._bell.setblocking(False)
        self._ring.setblocking(False)

        self._id = os.urandom(ID_BYTES)
        self._changed = threading.Condition()
        self._slot: _Waiting | None = None
        self._kept: deque[_Waiting] = deque()  # handed out and not safe, the last one number `sent`
        self._deaths: dict[int, int] = {}  # number of a message -> of how many consumers that had it in hand
        self._handled = 0  # number of the last message that any consumer has handled
        self._given = 0  # number of the last message given to this consumer, over this connection
        self._answered = True  # whether it has been handled
        self._route: bytes | None = None  # the connection of the consumer
        self._consumer = self._rival = NOBODY
        self._credit = False
        self._closed = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._serve, name=f"sender {self.name}", daemon=True)
        self._thread.start()

    def send(self, message: Message, timeout_s: float | None = None) -> bool:
        """Give a message to the link; from now on its arrays must not be written to.

        Returns False when no room came within `timeout_s` (None: as long as it takes) or the sender was
        closed. `End` always waits for room: it replaces no message and none replaces it. Raises
        `MessageError` for a message that breaks its schema.
        """
        frames = encode(message)
        replaces = self._overflow == "latest" and not isinstance(message, End)
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(replaces) or self._is_over(), timeout_s)
            if self._is_over() or not self._has_room(replaces):
                return False
            replaced, self._slot = self._slot, _Waiting(replaces, message, frames)
            self.dropped += replaced is not None
            self._wake()
        if replaced is not None and self._on_drop is not None:
            self._on_drop(replaced.message)
        return True

    @property
    def handled(self) -> int:
        """How many messages, of those that were not dropped, have been handled."""
        return self._handled

    @property
    def accepted(self) -> int:
        """How many messages were handed out, or wait in the slot."""
        with self._changed:
            return self.sent + (self._slot is not None)

    def end(self, timeout_s: float) -> bool:
        """Wait until all that was sent is safe; whether it is within `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._all_safe() or self._is_over(), timeout_s)
            return self._all_safe()

    def close(self) -> None:
        """Stop listening; what has not been handled is lost. A `send` or `end` that waits returns False."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
            self._wake()
        self._thread.join()
        self._sockets.close()
        self._bell.close()
        self._ring.close()

    def _has_room(self, replaces: bool) -> bool:
        return self._slot is None or (replaces and self._slot.may_go)

    def _all_safe(self) -> bool:
        return self._slot is None and not self._kept

    def _is_over(self) -> bool:
        if self._failure is not None:
            raise RuntimeError(f"link {self.name} has broken down") from self._failure
        return self._closed

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # full of rings that the thread has yet to hear
            self._ring.send(b"!")

    # What follows runs in the sender's own thread.

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._bell.fileno(), zmq.POLLIN)
        try:
            while not self._closed:
                if self._bell.fileno() in dict(poller.poll(int(POLL_S * 1000))):
                    self._bell.recv(4096)
                with self._changed:
                    self._hear()
                    self._advance()
        except Exception as error:
            log.exception("%s: the link has broken down", self.name)
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _hear(self) -> None:
        """Take the credits that have come; a flood of them is taken in turns with the rest of the work."""
        for _ in range(TURN):
            try:
                route, *frames = self._router.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if [len(frame) for frame in frames[1:]] == [ID_BYTES] * 4 and frames[0] in (WANT, DONE, BYE):
                verb, consumer, sender, *numbers = frames
                handled, safe = map(int.from_bytes, numbers)
                if sender != self._id or not safe <= handled <= self.sent:
                    handled = safe = 0  # of a sender that was here before, or made up
                self._on_credit(route, verb, consumer, handled, safe)
            else:
                self.refused += 1
                if _worth_a_line(self.refused):
                    log.warning("%s: refused %d so far: not a credit", self.name, self.refused)

    def _on_credit(self, route: bytes, verb: bytes, consumer: bytes, handled: int, safe: int) -> None:
        """`handled` and `safe`: numbers of this sender's messages, 0 from a consumer that knows none."""
        if route != self._route and (verb == BYE or not self._adopt(route, consumer, handled)):
            return
        self._handled = max(self._handled, handled)
        while self._kept and self.sent - len(self._kept) < safe:
            self._kept.popleft()
            self._deaths.pop(self.sent - len(self._kept), None)
        self._changed.notify_all()
        self._answered = self._answered or handled >= self._given
        if verb == BYE:
            self._route, self._answered = None, True
        # A credit that crossed with the message it asks for is a repeated one: the message is not sent twice.
        self._credit = verb == WANT and self._answered

    def _adopt(self, route: bytes, consumer: bytes, handled: int) -> bool:
        """Whether a connection becomes the consumer's: it does unless another consumer's still stands.

        What is not safe is given to it again, less what it has itself handled.
        """
        if self._route is None or consumer == self._consumer or self._tell(self._route, PROBE) == "gone":
            if consumer != self._consumer and not self._answered:
                self._mourn(self._given)
            self._route, self._consumer = route, consumer
            self._given, self._answered = max(handled, self.sent - len(self._kept)), True
            return True
        self.refused += 1
        if consumer != self._rival:
            self._rival = consumer
            log.error("%s: refused a second consumer while the first one is there", self.name)
        self._tell(route, BUSY)
        return False

    def _mourn(self, number: int) -> None:
        """A consumer has died with this message in hand."""
        message = self._kept[number - self.sent - 1].message
        self._deaths[number] = self._deaths.get(number, 0) + 1
        if self._deaths[number] == DEADLY and not isinstance(message, End):
            self.given_up += 1
            told = f"{self.name}: number {message.seq} of {message.source} (at {message.t_ns / 1e9:.1f} s)"
            log.error("%s is left out: %d in a row died with it in hand", told, DEADLY)

    def _is_deadly(self, number: int) -> bool:
        message = self._kept[number - self.sent - 1].message
        return self._deaths.get(number, 0) >= DEADLY and not isinstance(message, End)

    def _advance(self) -> None:
        """Answer the credit, if there is one, with the message that is due, if there is one."""
        if not self._credit or self._route is None:
            return
        while self._given < self.sent and self._is_deadly(self._given + 1):
            self._given += 1
        if self._given == self.sent:
            if self._slot is None or len(self._kept) >= MOST_KEPT:
                return
            self._kept.append(self._slot)
            self._slot = None
            self.sent += 1
            self._changed.notify_all()
        number = self._given + 1
        self._credit = False
        outcome = self._tell(
            self._route, self._id, number.to_bytes(ID_BYTES), *self._kept[number - self.sent - 1].frames
        )
        if outcome == "sent":
            self._given, self._answered = number, False
        elif outcome == "gone":
            self._route = None

    def _tell(self, route: bytes, *frames: Buffer) -> Literal["sent", "full", "gone"]:
        """Send to a connection, if it still stands and has room."""
        try:
            self._router.send_multipart([route, *frames], zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return "full"
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return "gone"
        return "sent"


@dataclass(eq=False)
class _Line:
    """What a receiver knows of one of its senders."""

    address: str
    socket: zmq.Socket
    sender: bytes = NOBODY
    number: int = 0  # of the last message that came
    handled: int = 0  # of the last message that was handled
    safe: int = 0  # of the last message of which nothing can be lost any more
    ask_ns: int = 0  # when to send the next credit


class Mark(NamedTuple):
    """A message that a receiver has had in hand."""

    line: _Line
    sender: bytes
    number: int


class Receiver:
    """The consumer's end of one link, or of several, which are then served in turn. For use by one thread.

    With several senders each has a credit of its own, so that none waits for another; at most one message of
    each is waiting here.

    What is handled is also safe, unless it `holds`: then somebody has to say so (`release`).
    """

    def __init__(
        self,
        addresses: str | Sequence[str],
        *,
        clock: Clock,
        security: Security | None = None,
        name: str = "",
        holds: bool = False,
    ) -> None:
        """Connects, now or when the senders appear. Raises `UserError` for an address that is not allowed."""
        addresses = [addresses] if isinstance(addresses, str) else addresses
        self.name = name or ", ".join(addresses)
        self.refused = 0  # messages that were damaged, or of another schema
        self._clock, self._holds = clock, holds
        self._id = os.urandom(ID_BYTES)
        self._sockets = Sockets(security)
        self._poller = zmq.Poller()
        self._lines: list[_Line] = []  # the one that was served last comes last
        self._serving: _Line | None = None
        for address in addresses:
            # Without `immediate`, credits would pile up for a sender that is not there.
            dealer = self._sockets.connect(
                zmq.DEALER, address, max_bytes=MAX_PART_BYTES, linger=LINGER_MS, immediate=1
            )
            self._poller.register(dealer, zmq.POLLIN)
            self._lines.append(_Line(address, dealer))

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, or None when none came within `timeout_s`. The one before counts as handled.

        Damaged messages are counted in `refused`, logged and passed over.
        """
        self._finish()
        deadline_ns = self._clock.monotonic_ns() + int(timeout_s * 1e9)
        while True:
            now_ns = self._clock.monotonic_ns()
            for line in self._lines:
                if line.ask_ns <= now_ns:
                    asked = self._tell(line, WANT)
                    line.ask_ns = now_ns + int((REPEAT_S if asked else RETRY_S) * 1e9)
            wake_ns = min([deadline_ns, *(line.ask_ns for line in self._lines)])
            ready = dict(self._poller.poll(max(0, math.ceil((wake_ns - now_ns) / 1e6))))
            for line in self._lines:
                if line.socket in ready and (message := self._take(line)) is not None:
                    self._lines.remove(line)
                    self._lines.append(line)
                    return message
            if self._clock.monotonic_ns() >= deadline_ns:
                return None

    @property
    def origin(self) -> str:
        """The address that the last message came from."""
        return self._serving.address if self._serving is not None else ""

    @property
    def mark(self) -> Mark:
        """The message in hand, for `release`."""
        assert self._serving is not None, "no message is in hand"
        return Mark(self._serving, self._serving.sender, self._serving.number)

    def release(self, mark: Mark) -> None:
        """What came of a message, and of those before it, is safe; its sender hears of it with a credit."""
        if mark.line.sender == mark.sender:
            mark.line.safe = max(mark.line.safe, mark.number)

    def acknowledge(self) -> None:
        """Tell all senders what has been handled and is safe, without asking for more."""
        self._finish()
        for line in self._lines:
            self._tell(line, DONE)

    def close(self) -> None:
        """Leave. A message that has not been acknowledged is for the consumer that comes next."""
        for line in self._lines:
            self._tell(line, BYE)
        self._lines.clear()
        self._sockets.close()

    def _finish(self) -> None:
        """Note that the last message has been handled, and that its sender may be asked again."""
        line, self._serving = self._serving, None
        if line is not None:
            line.handled, line.ask_ns = line.number, 0
            if not self._holds:
                line.safe = line.handled

    def _tell(self, line: _Line, verb: bytes) -> bool:
        """Send a credit; whether there is a connection to send it on."""
        try:
            numbers = (number.to_bytes(ID_BYTES) for number in (line.handled, line.safe))
            line.socket.send_multipart([verb, self._id, line.sender, *numbers], zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _take(self, line: _Line) -> Message | None:
        """The message that has come on a line, if it is a good and new one."""
        for _ in range(TURN):
            try:
                frames = [frame.buffer for frame in line.socket.recv_multipart(zmq.NOBLOCK, copy=False)]
            except zmq.Again:
                return None
            if len(frames) == 1 and frames[0] in (PROBE, BUSY):
                if frames[0] == BUSY:
                    log.warning("%s: %s serves another consumer, waiting", self.name, line.address)
                continue
            if [len(frame) for frame in frames[:2]] != [ID_BYTES] * 2:
                self._refuse(line, "neither a message nor a notice")
                continue
            sender, number = bytes(frames[0]), int.from_bytes(frames[1])
            if sender != line.sender:
                line.sender, line.handled, line.safe = sender, 0, 0
            line.number, line.ask_ns = number, 0
            if number <= line.handled:
                continue
            try:
                message = decode(frames[2:])
            except MessageError as error:
                self._refuse(line, str(error))
                line.handled = number
                continue
            line.ask_ns = NEVER_NS
            self._serving = line
            return message
        return None

    def _refuse(self, line: _Line, reason: str) -> None:
        self.refused += 1
        if _worth_a_line(self.refused):
            log.warning("%s: refused %d so far, from %s: %s", self.name, self.refused, line.address, reason)


def _worth_a_line(count: int) -> bool:
    """Whether the `count`-th mishap of a kind is logged: a flood of them must not fill the disk."""
    return count <= 10 or count % 1000 == 0
