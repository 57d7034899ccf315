"""What every node does around its object: answer the supervisor, take a message, pass on what came of it.

The object (a `Stage`) knows nothing of sockets and can be tested without any; the loop knows nothing of
sound or pictures.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from streaming.clock import Clock
from streaming.control import ControlClient, Request
from streaming.errors import UserError
from streaming.link import Mark, Receiver, Sender
from streaming.messages import End, Message

POLL_S = 0.25
READY_S = 0.004  # what its sender has ready takes so long to be asked for and to come
STATUS_NS = 1_000_000_000
END_S = 600.0
LOST_NS = 60_000_000_000
START_POLL_NS = 20_000_000
# Read as early as can be: a supervisor that dies while a node still loads its weights must be missed too.
PARENT = os.getppid()


class Stage(Protocol):
    """What a node does with its messages."""

    def process(self, message: Message) -> Iterable[Message]:
        """What comes of a message, in order. `End` is passed on by the loop after this."""
        ...

    def forget(self, source: str) -> None:
        """A new generation of `source` begins: nothing of the old one may live on."""
        ...

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        """Answer a request of the supervisor; raises `UserError` or `ModelError` in one line."""
        ...

    def stats(self) -> dict[str, Any]:
        """Counters, for the status and the summary."""
        ...


@runtime_checkable
class SeveralStage(Stage, Protocol):
    """One that is given what is ready of several sources at once."""

    most_at_once: int

    def process_together(self, messages: Sequence[Message]) -> Iterable[Message]:
        """What comes of messages of as many sources, in their order."""
        ...


class Gate:
    """Which messages are new: older generations and numbers already handled are not.

    Links deliver at least once, so that nothing is lost with a consumer; this is where once is restored.
    Each link is judged by itself: the moving picture is in the next generation while the results of the last
    one are still on their way.
    """

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str, type], tuple[int, int]] = {}  # generation, number
        self._generation: dict[tuple[str, str], int] = {}
        self.reached: dict[str, tuple[int, int, int]] = {}  # source -> generation, number, t_ns of the newest
        self.turned_away = 0

    def admits(self, message: Message, link: str = "") -> bool:
        """Whether this is news, among what came over `link`."""
        place = (message.generation, message.seq)
        key = (link, message.source, type(message))
        generation = self._generation.get((link, message.source), 0)
        if place <= self._newest.get(key, (-1, -1)) or message.generation < generation:
            self.turned_away += 1
            return False
        self._newest[key] = place
        if not isinstance(message, End):
            self.reached[message.source] = (*place, message.t_ns)
        return True

    def begins_generation(self, message: Message, link: str = "") -> bool:
        """Whether this is the first message of a generation that is not the source's first on `link`."""
        before = self._generation.get((link, message.source))
        self._generation[link, message.source] = message.generation
        return before is not None and message.generation > before


class Orphaned(Exception):
    """The supervisor is gone; a node does not outlive it."""


class Lifeline:
    """Whether to go on: until the supervisor says stop, or is gone.

    When it says `finish`, nothing more will come in: what is in hand is seen home.

    A node that the supervisor has started ends when its parent process changes. One that somebody started on
    another machine (`parent` is None) ends when the supervisor, once heard, has been silent for a minute.

    counters: gives what a status tells besides the stage's own figures.
    reason: why it is to finish, where that was said.
    """

    def __init__(self, control: ControlClient, stage: Stage, clock: Clock, parent: int | None = None) -> None:
        self.control, self.stage, self.clock = control, stage, clock
        self.started = self.stopping = self.finishing = self.late = False
        self.reason = ""
        self.counters: Callable[[], dict[str, Any]] = dict
        self._parent = parent
        self._heard_ns: int | None = None
        self._told_ns = 0

    def pulse(self) -> bool:
        """Answer what was asked and tell how it goes; True while the node should go on."""
        for request in self.control.poll():
            self._heard_ns = self.clock.monotonic_ns()
            self._answer(request)
        if self._is_orphan():
            raise Orphaned
        if self.late:
            raise UserError(
                "it was too late that the supervisor could be heard, so this node does not know how far the "
                "one before it had come; start it again"
            )
        if self.clock.monotonic_ns() - self._told_ns >= STATUS_NS:
            self._told_ns = self.clock.monotonic_ns()
            self.control.status({**self.stage.stats(), **self.counters()})
        return not self.stopping

    def wait_for_start(self) -> bool:
        """Wait until every node is ready; False when told to stop before."""
        while not self.started:
            if not self.pulse():
                return False
            self.clock.wait_until(self.clock.monotonic_ns() + START_POLL_NS)
        return True

    def _answer(self, request: Request) -> None:
        try:
            match request.name:
                case "start":
                    self.started, value = True, None
                case "stop":
                    self.stopping, value = True, None
                case "finish":
                    self.finishing, self.reason, value = True, str(request.args.get("reason", "")), None
                case "ping":
                    value = None
                case "welcome":
                    self.late, value = request.args.get("incarnation", 1) > 1, None
                case _:
                    value = self.stage.request(request.name, request.args)
            self.control.reply(request, value)
        except Exception as error:  # whatever it is, whoever asked gets the answer and the node lives on
            self.control.reply(request, error=str(error) or type(error).__name__)

    def _is_orphan(self) -> bool:
        if self._parent is not None:
            return os.getppid() != self._parent
        return self._heard_ns is not None and self.clock.monotonic_ns() - self._heard_ns > LOST_NS


def deliver(sender: Sender, message: Message, lifeline: Lifeline) -> bool:
    """Send, and go on answering the supervisor while the consumer is busy; False when stopped instead."""
    while not sender.send(message, timeout_s=POLL_S):
        if not lifeline.pulse():
            return False
    return True


def hand_over(sender: Sender, lifeline: Lifeline) -> None:
    """Wait until the consumer has handled everything, `End` included."""
    deadline_ns = lifeline.clock.monotonic_ns() + int(END_S * 1e9)
    while not sender.end(timeout_s=POLL_S) and lifeline.clock.monotonic_ns() < deadline_ns:
        lifeline.pulse()


class Held:
    """What a node has handled, until the next one in the line has handled what came of it.

    So long it is kept by whoever sent it: should this node die, its successor is given it again.
    """

    def __init__(self, receiver: Receiver, sender: Sender | None) -> None:
        self._receiver, self._sender = receiver, sender
        self._marks: deque[tuple[Mark, int]] = deque()  # and how many messages had been sent on by then

    def add(self, mark: Mark) -> None:
        """A message, of which all that comes is on its way."""
        self._marks.append((mark, self._sender.accepted if self._sender else 0))

    def let_go(self) -> None:
        """Tell of what is safe now."""
        handled = self._sender.handled if self._sender else 0
        while self._marks and self._marks[0][1] <= handled:
            self._receiver.release(self._marks.popleft()[0])


class Taken(NamedTuple):
    """A message, where it came from, and how its sender is told what became of it."""

    message: Message
    origin: str
    mark: Mark


def take(receiver: Receiver, most: int) -> list[list[Taken]]:
    """The next message, with what else is ready of other sources, up to so many together: each group has one
    message of a source at most."""
    groups: list[list[Taken]] = [[]]
    while len(groups) == 1 and len(groups[0]) < most:
        message = receiver.receive(timeout_s=READY_S if groups[0] else POLL_S)
        if message is None:
            break
        if any(one.message.source == message.source for one in groups[0]):
            groups.append([])
        groups[-1].append(Taken(message, receiver.origin, receiver.mark))
    return groups


def outcome(stage: Stage, messages: Sequence[Message]) -> Iterable[Message]:
    """What comes of a message, or of several together."""
    if len(messages) > 1:
        assert isinstance(stage, SeveralStage), "others are given one at a time"
        return stage.process_together(messages)
    return stage.process(messages[0]) if messages else ()


def run_stage(
    stage: Stage, receiver: Receiver, sender: Sender | None, lifeline: Lifeline, ends: int = 1
) -> dict[str, Any]:
    """The loop of a node, until `ends` streams have ended or it is told to stop; its last counters."""
    gate, held = Gate(), Held(receiver, sender)

    def counters() -> dict[str, Any]:
        waiting = (
            {} if sender is None else {"queue": sender.accepted - sender.handled, "given_up": sender.given_up}
        )
        reached = {source: list(place) for source, place in gate.reached.items()}
        return {"refused": receiver.refused, "repeated": gate.turned_away, "reached": reached, **waiting}

    lifeline.counters = counters
    most = stage.most_at_once if isinstance(stage, SeveralStage) else 1
    while ends and lifeline.pulse() and not lifeline.finishing:
        held.let_go()
        for taken in take(receiver, most):
            news = []
            for message, origin, _ in taken:
                if gate.admits(message, origin):
                    if gate.begins_generation(message, origin):
                        stage.forget(message.source)
                    news.append(message)
            for outgoing in outcome(stage, news):
                if sender is not None:
                    deliver(sender, outgoing, lifeline)
            for message in news:
                if isinstance(message, End):
                    ends -= 1
                    if sender is not None:
                        deliver(sender, message, lifeline)
            for _, _, mark in taken:
                held.add(mark)
    if sender is not None and not lifeline.stopping:
        hand_over(sender, lifeline)
    held.let_go()
    receiver.acknowledge()
    return {**stage.stats(), **counters()}
