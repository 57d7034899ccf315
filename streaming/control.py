"""The conversation beside the stream: nodes report, and anyone may ask for something to be done.

Every node, and every command line, holds a `ControlClient`; the supervisor holds the `ControlServer`. A node
tells who it is, that it is ready, how it gets on and how it ended; nothing that it says makes it wait, so a
dead supervisor blocks no node. A request has an id and a deadline, and always gets an answer: from the one
who was asked, or when the deadline is over. One message is one bounded msgpack map, checked like those of the
stream.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import zmq

from streaming.clock import Clock
from streaming.errors import UserError
from streaming.messages import VERSION
from streaming.schema import (
    Maybe,
    MessageError,
    Plain,
    Real,
    Table,
    Text,
    Whole,
    build,
    checked,
    pack_map,
    unpack_map,
)
from streaming.security import Security, Sockets

MAX_BYTES = 1 << 20
MAX_ERROR_CHARS = 4096
LINGER_MS = 500  # what a closing end has said may take so long to leave
GRACE_S = 1.0  # a client waits so much longer than the server, whose answer says more than its own
UNSENT = 100  # what a node keeps for a supervisor that is not there
TURN = 1000  # what is read in one go

Name = Annotated[str, Text(80, r"[A-Za-z0-9_.-]+")]
Tree = Annotated[dict[str, Any], Table(Plain())]
Error = Annotated[str, Text(MAX_ERROR_CHARS)]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a node tells the supervisor."""

    node: Name


@dataclass(frozen=True, kw_only=True)
class Hello(Report):
    """The node's process is there."""

    pid: Annotated[int, Whole()]


@dataclass(frozen=True, kw_only=True)
class Ready(Report):
    """The node has all that it needs, and takes messages."""


@dataclass(frozen=True, kw_only=True)
class Status(Report):
    """Progress, about once a second."""

    counters: Tree


@dataclass(frozen=True, kw_only=True)
class Failed(Report):
    """The node gives up; `error` is one line for the user."""

    error: Error


@dataclass(frozen=True, kw_only=True)
class Done(Report):
    """The node has come to the end of its work."""

    stats: Tree


@dataclass(frozen=True, kw_only=True)
class Request:
    """Somebody asks for `name` to be done within `deadline_s`."""

    id: Annotated[int, Whole()]
    name: Name
    args: Tree
    deadline_s: Annotated[float, Real(0, 3600)]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The answer to the request of that id; `error` is None when it was done."""

    id: Annotated[int, Whole()]
    value: Annotated[Any, Plain()]
    error: Annotated[str | None, Maybe(Text(MAX_ERROR_CHARS))]


@dataclass(frozen=True, kw_only=True)
class ClientRequest(Request):
    """A request as the server hears it, with the connection that awaits the reply."""

    client: bytes


@dataclass(frozen=True, kw_only=True)
class Answer(Reply):
    """A reply as the server hears it, to the request that it made of `node`."""

    node: str
    name: str


Event = Hello | Ready | Status | Failed | Done | ClientRequest | Answer
KINDS: dict[str, type] = {
    kind.__name__: kind for kind in (Hello, Ready, Status, Failed, Done, Request, Reply)
}


def pack(record: Report | Request | Reply) -> bytes:
    """A record as it travels. Raises `MessageError` if it breaks its schema."""
    return pack_map({"v": VERSION, "kind": type(record).__name__, **checked(record)}, MAX_BYTES)


def unpack(packed: bytes) -> Any:
    """The record that travelled: a report, a request or a reply. Raises `MessageError`, and nothing else."""
    values = unpack_map(packed, MAX_BYTES)
    version, kind = values.pop("v", None), values.pop("kind", None)
    if version != VERSION or not isinstance(kind, str) or kind not in KINDS:
        raise MessageError(f"control: found no known kind of message of version {VERSION}")
    return build(KINDS[kind], values)


class _End:
    """What both ends share: one socket that carries records and is never waited for without a time-out."""

    def __init__(self, clock: Clock, security: Security | None) -> None:
        self.refused = 0  # messages that were damaged, of another version, or not to be expected
        self._clock = clock
        self._sockets = Sockets(security)
        self._socket: zmq.Socket

    def close(self) -> None:
        """Hang up; what was said last may take half a second to leave."""
        self._sockets.close()

    def _send(self, record: Report | Request | Reply, *route: bytes) -> bool:
        """Whether the record could be handed on at once."""
        packed = pack(record)
        try:
            self._socket.send_multipart([*route, packed], zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return False
        return True

    def _receive(self, timeout_s: float) -> Iterator[tuple[bytes, Any]]:
        """The records that have come, each with its route (empty at a client); waits for the first one."""
        self._socket.poll(max(0, math.ceil(timeout_s * 1000)))
        for _ in range(TURN):
            try:
                *route, packed = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                record = unpack(packed)
            except MessageError as error:
                self._refuse(str(error))
                continue
            yield b"".join(route), record

    def _refuse(self, reason: str) -> None:
        self.refused += 1
        if self.refused <= 10 or self.refused % 1000 == 0:  # a flood must not fill the disk
            log.warning("control: refused %d so far: %s", self.refused, reason)


@dataclass(frozen=True)
class _Asked:
    """A request that waits for its answer."""

    node: str
    name: str
    deadline_ns: int
    client: ClientRequest | None


class ControlServer(_End):
    """The supervisor's end. For use by one thread."""

    def __init__(self, address: str, *, clock: Clock, security: Security | None = None) -> None:
        """Listens at once. Raises `UserError` for an address that is taken, malformed or not allowed."""
        super().__init__(clock, security)
        self._socket = self._sockets.listen(
            zmq.ROUTER, address, max_bytes=MAX_BYTES, linger=LINGER_MS, router_mandatory=1
        )
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._routes: dict[str, bytes] = {}
        self._asked: dict[int, _Asked] = {}
        self._ids = itertools.count(1)
        self._events: list[Event] = []

    def poll(self, timeout_s: float) -> list[Event]:
        """What has happened: waits at most `timeout_s` for the first event."""
        now_ns = self._clock.monotonic_ns()
        waits_s = [timeout_s, *((asked.deadline_ns - now_ns) / 1e9 for asked in self._asked.values())]
        for route, record in self._receive(0.0 if self._events else min(waits_s)):
            self._hear(route, record)
        now_ns = self._clock.monotonic_ns()
        for id, asked in list(self._asked.items()):
            if asked.deadline_ns <= now_ns:
                self._answer(id, None, f"{asked.node} has not answered in time; it may still do {asked.name}")
        events, self._events = self._events, []
        return events

    def request(
        self, node: str, name: str, args: dict[str, Any] | None = None, deadline_s: float = 5.0
    ) -> int:
        """Ask a node to do something. An `Answer` with the returned id comes from `poll`, by the deadline."""
        return self._ask(node, name, args or {}, deadline_s, None)

    def awaits(self, node: str) -> bool:
        """Whether an answer of that node's is still due."""
        return any(asked.node == node for asked in self._asked.values())

    def relay(self, request: ClientRequest, node: str) -> None:
        """Ask a node what a client has asked; the client gets the answer; `poll` gives it, too, if it
        is no error."""
        self._ask(node, request.name, request.args, request.deadline_s, request)

    def reply(self, request: ClientRequest, value: Any = None, error: str | None = None) -> None:
        """Answer a client's request: with a value, or with an error, one line for the user. A value that
        cannot be sent is such an error, too."""
        try:
            sent = self._send(Reply(id=request.id, value=value, error=_tidy(error)), request.client)
        except MessageError as why:
            log.warning("control: the answer to %s cannot be sent: %s", request.name, why)
            refused = Reply(id=request.id, value=None, error=_tidy(f"the answer cannot be sent: {why}"))
            sent = self._send(refused, request.client)
        if not sent:
            log.info("control: the client that asked for %s has gone", request.name)

    def _ask(
        self, node: str, name: str, args: dict[str, Any], deadline_s: float, client: ClientRequest | None
    ) -> int:
        request = Request(id=next(self._ids), name=name, args=args, deadline_s=deadline_s)
        deadline_ns = self._clock.monotonic_ns() + int(deadline_s * 1e9)
        self._asked[request.id] = _Asked(node, name, deadline_ns, client)
        if node not in self._routes or not self._send(request, self._routes[node]):
            self._answer(request.id, None, f"{node} is not there")
        return request.id

    def _hear(self, route: bytes, record: Any) -> None:
        if isinstance(record, Report):
            self._routes[record.node] = route
            self._events.append(record)  # type: ignore[arg-type]
        elif isinstance(record, Request):
            self._events.append(ClientRequest(**vars(record), client=route))
        elif record.id in self._asked and self._routes.get(self._asked[record.id].node) == route:
            self._answer(record.id, record.value, record.error)
        else:
            self._refuse(f"a reply that is late or to nobody's question ({record.id})")

    def _answer(self, id: int, value: Any, error: str | None) -> None:
        asked = self._asked.pop(id)
        if asked.client is not None:
            self.reply(asked.client, value, error)
        if asked.client is None or error is None:
            self._events.append(Answer(id=id, node=asked.node, name=asked.name, value=value, error=error))


class ControlClient(_End):
    """The end of a node, which gives its name, or of a command line. For use by one thread."""

    def __init__(
        self, address: str, *, clock: Clock, node: str = "", security: Security | None = None
    ) -> None:
        """Connects, now or when the server appears. Raises `UserError` for an address that is not allowed."""
        super().__init__(clock, security)
        self.node = node
        self.unsaid = 0  # reports that found no room because nobody listens
        self._socket = self._sockets.connect(
            zmq.DEALER, address, max_bytes=MAX_BYTES, linger=LINGER_MS, sndhwm=UNSENT
        )
        self._address = address
        self._ids = itertools.count(1)

    def hello(self) -> None:
        """Say that this process is there."""
        self._report(Hello(node=self.node, pid=os.getpid()))

    def ready(self) -> None:
        """Say that messages may come."""
        self._report(Ready(node=self.node))

    def status(self, counters: dict[str, Any]) -> None:
        """Say how far the work has come. Raises `MessageError` for what is not plain, finite and bounded."""
        self._report(Status(node=self.node, counters=counters))

    def failed(self, error: str) -> None:
        """Say why this node gives up."""
        self._report(Failed(node=self.node, error=_tidy(error) or "no reason given"))

    def done(self, stats: dict[str, Any]) -> None:
        """Say that the work is done. Raises `MessageError` for what is not plain, finite and bounded."""
        self._report(Done(node=self.node, stats=stats))

    def poll(self, timeout_s: float = 0.0) -> list[Request]:
        """The requests that have come; waits at most `timeout_s` for the first."""
        requests = []
        for _, record in self._receive(timeout_s):
            if isinstance(record, Request):
                requests.append(record)
            else:
                self._refuse(f"{type(record).__name__} where a request was expected")
        return requests

    def reply(self, request: Request, value: Any = None, error: str | None = None) -> None:
        """Answer a request: with a value, or with an error, one line for the user."""
        self._report(Reply(id=request.id, value=value, error=_tidy(error)))

    def call(self, name: str, args: dict[str, Any] | None = None, deadline_s: float = 5.0) -> Any:
        """Ask the supervisor and wait. Raises `UserError` when the answer is an error, or none comes."""
        request = Request(id=next(self._ids), name=name, args=args or {}, deadline_s=deadline_s)
        self._report(request)
        deadline_ns = self._clock.monotonic_ns() + int((deadline_s + GRACE_S) * 1e9)
        while (remaining_ns := deadline_ns - self._clock.monotonic_ns()) > 0:
            for _, record in self._receive(remaining_ns / 1e9):
                if isinstance(record, Reply) and record.id == request.id:
                    if record.error is not None:
                        raise UserError(record.error)
                    return record.value
        raise UserError(f"no answer from {self._address} within {deadline_s:g} s: is the pipeline running?")

    def _report(self, record: Report | Request | Reply) -> None:
        self.unsaid += not self._send(record)


def _tidy(error: str | None) -> str | None:
    return None if error is None else tidy(error)


def tidy(text: str) -> str:
    """A text that can always be sent, whatever is in it."""
    return text.encode(errors="replace").decode()[:MAX_ERROR_CHARS]
