"""The loop around every node: what it lets through, whom it answers, when it ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import zmq

from nodes import runtime
from nodes.runtime import (
    END_S,
    LOST_NS,
    STATUS_NS,
    Gate,
    Held,
    Lifeline,
    Orphaned,
    deliver,
    hand_over,
    run_stage,
)
from streaming.clock import Clock, FakeClock
from streaming.control import Answer, ControlClient, ControlServer, Event, Hello, Request, Status
from streaming.errors import UserError
from streaming.link import ID_BYTES, Mark, Receiver, Sender
from streaming.messages import End, Features, Message, Snippet, encode
from tests.nodes.samples import NS, end, features, preview, result, snippet

clock = Clock()
ENOUGH_S = 20.0


# What is let through --------------------------------------------------------------------------------------


def test_a_message_is_let_through_once() -> None:
    gate = Gate()
    assert gate.admits(snippet(0))
    assert gate.admits(snippet(1))
    assert not gate.admits(snippet(1))
    assert not gate.admits(snippet(0))
    assert gate.admits(snippet(5))  # what was dropped under load leaves a gap in the numbers
    assert gate.turned_away == 2


def test_each_source_kind_and_link_counts_for_itself() -> None:
    gate = Gate()
    assert all(
        gate.admits(message, link)
        for message, link in [
            (snippet(3), "a"),
            (snippet(3, source="other"), "a"),
            (end(3), "a"),
            (snippet(3), "b"),
            (end(3), "b"),
        ]
    )
    assert gate.turned_away == 0


def test_what_belongs_to_an_older_generation_is_turned_away() -> None:
    gate = Gate()
    seen = []
    for generation, seq in [(0, 0), (0, 1), (2, 2), (1, 3), (0, 9), (2, 3)]:
        message = snippet(seq, generation=generation)
        if gate.admits(message):
            seen.append((generation, seq, gate.begins_generation(message)))
    assert seen == [(0, 0, False), (0, 1, False), (2, 2, True), (2, 3, False)]
    assert gate.turned_away == 2
    late_end = end(4, generation=1)
    assert not gate.admits(late_end)


def test_a_generation_that_another_link_has_begun_ends_none_here() -> None:
    """The moving picture runs ahead: results of the scene before still come, and none of them may be lost."""
    gate = Gate()
    pictures = [preview(0, [b"j"]), preview(1, [b"j"], generation=1)]
    results = [result(0), result(1, generation=1)]
    for picture in pictures:
        assert gate.admits(picture, "previews")
        gate.begins_generation(picture, "previews")
    begun = []
    for one in results:
        assert gate.admits(one, "results")
        begun.append(gate.begins_generation(one, "results"))
    assert begun == [False, True]


# Whom a node answers, and when it ends --------------------------------------------------------------------


class Desk:
    """Stands in for the supervisor's end of the conversation: requests to hand out, and what was said."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.replies: list[tuple[str, Any, str | None]] = []
        self.statuses: list[dict[str, Any]] = []

    def ask(self, name: str, **args: Any) -> None:
        self.asked.append(Request(id=1, name=name, args=args, deadline_s=5.0))

    def poll(self) -> list[Request]:
        asked, self.asked = self.asked, []
        return asked

    def reply(self, request: Request, value: Any = None, error: str | None = None) -> None:
        self.replies.append((request.name, value, error))

    def status(self, counters: dict[str, Any]) -> None:
        self.statuses.append(counters)


class Echo:
    """A stage that makes features of a snippet, and remembers what it was told to do."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def process(self, message: Message) -> Iterable[Message]:
        self.log.append((type(message).__name__, message.generation, message.seq))
        self.may_go_on.wait(ENOUGH_S)
        if isinstance(message, Snippet):
            place = {
                name: value for name, value in message.carry(feature=1.0).items() if name != "emitted_ns"
            }
            yield replace(features(message.seq), **place)

    def forget(self, source: str) -> None:
        self.log.append(("forget", source))

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        if name == "bug":
            raise ZeroDivisionError
        if name != "double":
            raise UserError(f"no such request: {name}")
        return 2 * args["number"]

    def stats(self) -> dict[str, Any]:
        return {"seen": len(self.log)}


def lifeline_of(desk: Desk, fake: FakeClock, parent: int | None = os.getppid()) -> Lifeline:
    return Lifeline(cast(ControlClient, desk), Echo(), fake, parent)


def test_a_request_is_answered_by_the_stage_and_a_failing_one_with_its_reason() -> None:
    desk = Desk()
    lifeline = lifeline_of(desk, FakeClock())
    desk.ask("double", number=21)
    desk.ask("triple", number=21)
    desk.ask("bug")
    desk.ask("double")  # its argument is missing
    assert lifeline.pulse()
    assert desk.replies == [
        ("double", 42, None),
        ("triple", None, "no such request: triple"),
        ("bug", None, "ZeroDivisionError"),
        ("double", None, "'number'"),
    ]


def test_a_node_goes_on_until_it_is_told_to_stop() -> None:
    desk = Desk()
    lifeline = lifeline_of(desk, FakeClock())
    assert lifeline.pulse()
    desk.ask("stop")
    desk.ask("double", number=1)
    assert not lifeline.pulse()
    assert not lifeline.pulse()
    assert desk.replies == [("stop", None, None), ("double", 2, None)]


def test_a_node_that_would_go_on_but_hears_too_late_how_far_the_one_before_it_was_says_so() -> None:
    desk = Desk()
    lifeline = lifeline_of(desk, FakeClock())
    desk.ask("welcome", incarnation=1)
    assert lifeline.pulse()
    desk.ask("welcome", incarnation=2)
    with pytest.raises(UserError, match="start it again"):
        lifeline.pulse()


def test_the_status_is_told_once_a_second() -> None:
    desk, fake = Desk(), FakeClock(monotonic_ns=1000 * NS)
    lifeline = lifeline_of(desk, fake)
    lifeline.counters = lambda: {"refused": 3}
    told_at = []
    for tenth in range(31):
        lifeline.pulse()
        if len(desk.statuses) > len(told_at):
            told_at.append(tenth)
        fake.advance(STATUS_NS // 10)
    assert told_at == [0, 10, 20, 30]
    assert desk.statuses[-1] == {"seen": 0, "refused": 3}


def test_a_node_ends_when_its_parent_is_another_process_than_before() -> None:
    lifeline_of(Desk(), FakeClock()).pulse()
    with pytest.raises(Orphaned):
        lifeline_of(Desk(), FakeClock(), parent=os.getpid()).pulse()


def test_a_node_elsewhere_ends_when_the_supervisor_has_been_silent() -> None:
    desk, fake = Desk(), FakeClock()
    lifeline = lifeline_of(desk, fake, parent=None)
    fake.advance(1000 * LOST_NS)
    assert lifeline.pulse()  # a supervisor that is still to come is waited for
    for _ in range(5):
        desk.ask("ping")
        assert lifeline.pulse()
        fake.advance(LOST_NS)
    assert lifeline.pulse()
    fake.advance(1)
    with pytest.raises(Orphaned):
        lifeline.pulse()


def test_pings_that_came_while_a_node_was_busy_count_as_heard() -> None:
    desk, fake = Desk(), FakeClock()
    lifeline = lifeline_of(desk, fake, parent=None)
    desk.ask("ping")
    lifeline.pulse()
    desk.ask("ping")
    fake.advance(2 * LOST_NS)
    assert lifeline.pulse()


def test_the_start_is_waited_for_unless_the_stop_comes_first() -> None:
    class Later(FakeClock):
        """Asks for something when it has been waited for long enough."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def wait_until(self, monotonic_ns: int, stop: threading.Event | None = None) -> bool:
            if self.monotonic_ns() < 3 * STATUS_NS <= monotonic_ns:
                desk.ask(self.name)
            return super().wait_until(monotonic_ns, stop)

    for name, started in (("start", True), ("stop", False)):
        desk = Desk()
        assert lifeline_of(desk, Later(name)).wait_for_start() is started
        assert len(desk.statuses) >= 2  # it tells how it is while it waits


class Consumer:
    """A link whose consumer takes a message, or has handled everything, at the nth time of asking."""

    def __init__(self, nth: float, fake: FakeClock | None = None) -> None:
        self.nth, self.fake = nth, fake or FakeClock()
        self.asked = 0

    def send(self, message: Message, timeout_s: float) -> bool:
        self.asked += 1
        self.fake.advance(int(timeout_s * NS))
        return self.asked >= self.nth

    def end(self, timeout_s: float) -> bool:
        return self.send(end(0), timeout_s)


def test_a_node_answers_while_its_consumer_is_busy() -> None:
    desk, fake = Desk(), FakeClock()
    lifeline = lifeline_of(desk, fake)
    desk.ask("double", number=4)
    assert deliver(cast(Sender, Consumer(40, fake)), snippet(0), lifeline)
    assert desk.replies == [("double", 8, None)]
    assert len(desk.statuses) == 9  # of ten seconds' waiting, the first second and every one after

    hand_over(cast(Sender, Consumer(40, fake)), lifeline)
    assert len(desk.statuses) == 19


def test_a_stop_ends_the_waiting_for_a_busy_consumer() -> None:
    desk = Desk()
    lifeline = lifeline_of(desk, FakeClock())
    desk.ask("stop")
    consumer = Consumer(float("inf"))
    assert not deliver(cast(Sender, consumer), snippet(0), lifeline)
    assert consumer.asked == 1


def test_a_consumer_that_never_finishes_is_not_waited_for_for_ever() -> None:
    fake = FakeClock()
    hand_over(cast(Sender, Consumer(float("inf"), fake)), lifeline_of(Desk(), fake))
    assert fake.monotonic_ns() == pytest.approx(END_S * NS, abs=NS)


# The loop, over real links --------------------------------------------------------------------------------


class Line:
    """A node's loop in a thread of its own; its neighbours and its supervisor are in the test's hands."""

    def __init__(
        self, folder: Path, stage: Echo, *, links: int = 1, passes_on: bool = True, ends: int = 0
    ) -> None:
        inlets = [f"ipc://{folder}/in{i}" for i in range(links)]
        self.supervisor = ControlServer(f"ipc://{folder}/control", clock=clock)
        self.upstream = [Sender(inlet, overflow="block", clock=clock) for inlet in inlets]
        self.downstream = Receiver(f"ipc://{folder}/out", clock=clock) if passes_on else None
        self.stage = stage
        self.receiver = Receiver(inlets, clock=clock, holds=passes_on)
        self.sender = Sender(f"ipc://{folder}/out", overflow="block", clock=clock) if passes_on else None
        self.control = ControlClient(f"ipc://{folder}/control", clock=clock, node="node")
        self.control.hello()
        self.outcome: dict[str, Any] | BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(ends or links,))

    def _run(self, links: int) -> None:
        lifeline = Lifeline(self.control, self.stage, clock, os.getppid())
        try:
            self.outcome = run_stage(self.stage, self.receiver, self.sender, lifeline, ends=links)
        except BaseException as error:
            self.outcome = error

    def send(self, *messages: Message, link: int = 0) -> None:
        for message in messages:
            assert self.upstream[link].send(message, ENOUGH_S)

    def take(self) -> Message:
        assert self.downstream is not None
        message = self.downstream.receive(ENOUGH_S)
        assert message is not None
        return message

    def counters(self) -> dict[str, Any]:
        """The last counters, when the loop has ended."""
        self.thread.join(ENOUGH_S)
        assert isinstance(self.outcome, dict), self.outcome
        return self.outcome

    def hear(self, wanted: Callable[[Event], bool]) -> Event:
        """The next thing of a kind that the supervisor hears."""
        deadline = time.monotonic() + ENOUGH_S
        while time.monotonic() < deadline:
            for event in self.supervisor.poll(0.05):
                if wanted(event):
                    return event
        raise AssertionError("the supervisor has not heard it")

    def close(self) -> None:
        self.stage.may_go_on.set()
        if self.thread.ident and self.thread.is_alive():
            self.supervisor.request("node", "stop")
            self.thread.join(ENOUGH_S)
        for one in (
            *self.upstream,
            self.downstream,
            self.receiver,
            self.sender,
            self.control,
            self.supervisor,
        ):
            if one is not None:
                one.close()


@pytest.fixture
def line_of(tmp_path: Path) -> Iterator[Callable[..., Line]]:
    """Makes a line whose node runs, and ends it after the test."""
    made: list[Line] = []

    def make(stage: Echo | None = None, **options: Any) -> Line:
        line = Line(tmp_path, stage or Echo(), **options)
        made.append(line)
        line.thread.start()
        line.hear(lambda event: isinstance(event, Hello))
        return line

    yield make
    for line in made:
        line.close()


def test_messages_come_out_in_order_and_the_end_is_passed_on_and_seen_home(
    line_of: Callable[..., Line],
) -> None:
    line = line_of()
    taken: list[Message] = []

    def consume() -> None:
        while not taken or not isinstance(taken[-1], End):
            taken.append(line.take())

    consumer = threading.Thread(target=consume)
    consumer.start()
    line.send(*(snippet(seq) for seq in range(20)), end(20, counters={"gaps": 2}))
    consumer.join(ENOUGH_S)
    assert [(type(message), message.seq) for message in taken] == [
        *((Features, seq) for seq in range(20)),
        (End, 20),
    ]
    assert taken[-1] == end(20, counters={"gaps": 2})
    assert taken[3].stage_ms == {"capture": 1.0, "feature": 1.0}
    assert not line.upstream[0].end(0.2)
    assert line.thread.is_alive()  # until the consumer has handled the end, it is not delivered
    assert line.downstream is not None
    line.downstream.acknowledge()
    assert line.upstream[0].end(ENOUGH_S)
    told = line.counters()
    assert told.pop("reached") == {"cam": [0, 19, 19_000_000_000]}
    assert told == {"seen": 21, "refused": 0, "repeated": 0, "queue": 0, "given_up": 0}


@pytest.mark.parametrize("out_of_each", [0, 1, 2])
def test_what_a_node_has_handled_is_held_until_the_next_one_has_what_came_of_it(out_of_each: int) -> None:
    """Each message gives rise to none, one or two; those downstream handle one after the other."""
    receiver = SimpleNamespace(released=[], release=lambda mark: receiver.released.append(mark))
    sender = SimpleNamespace(accepted=0, handled=0)
    held = Held(receiver, sender)  # type: ignore[arg-type]
    for mark in (1, 2, 3):
        sender.accepted += out_of_each
        held.add(cast(Mark, mark))
    for sender.handled in range(3 * out_of_each + 1):
        held.let_go()
        done = 3 if not out_of_each else sender.handled // out_of_each
        assert receiver.released == [1, 2, 3][:done]


def test_at_the_end_of_the_line_what_is_handled_is_safe() -> None:
    receiver = SimpleNamespace(released=[], release=lambda mark: receiver.released.append(mark))
    held = Held(receiver, None)  # type: ignore[arg-type]
    held.add(cast(Mark, 1))
    held.let_go()
    assert receiver.released == [1]


class Company(Echo):
    """Takes messages of up to three sources at once."""

    most_at_once = 3

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[list[str]] = []

    def process(self, message: Message) -> Iterable[Message]:
        self.groups.append([f"{message.source}{message.seq}"])
        return super().process(message)

    def process_together(self, messages: Sequence[Message]) -> Iterable[Message]:
        self.groups.append([f"{message.source}{message.seq}" for message in messages])
        for message in messages:
            yield from super().process(message)


def test_what_is_ready_of_several_sources_is_taken_together(
    line_of: Callable[..., Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message of each at most, as many as the stage can take; an end is passed on behind its source."""
    monkeypatch.setattr(runtime, "READY_S", 0.5)
    stage = Company()
    line = line_of(stage, ends=2)
    messages = [
        snippet(seq, source=source) for seq, source in [(0, "a"), (0, "b"), (0, "c"), (1, "a"), (1, "b")]
    ]
    messages += [snippet(2, source="a"), end(3, source="a"), end(2, source="b")]
    taken: list[Message] = []

    def consume() -> None:
        while sum(isinstance(message, End) for message in taken) < 2:
            taken.append(line.take())
        assert line.downstream is not None
        line.downstream.acknowledge()

    consumer = threading.Thread(target=consume)
    consumer.start()
    line.send(*messages)
    consumer.join(ENOUGH_S)
    assert stage.groups == [["a0", "b0", "c0"], ["a1", "b1"], ["a2"], ["a3", "b2"]]
    assert [(message.source, message.seq) for message in taken] == [(m.source, m.seq) for m in messages]
    assert line.counters()["queue"] == 0
    assert line.upstream[0].end(ENOUGH_S)


def test_a_new_generation_makes_the_stage_forget_before_it_sees_it(line_of: Callable[..., Line]) -> None:
    line = line_of(passes_on=False)
    line.send(
        snippet(0), snippet(1, generation=1), snippet(2), snippet(2, generation=1), end(3, generation=1)
    )
    counters = line.counters()
    assert line.stage.log == [
        ("Snippet", 0, 0),
        ("forget", "cam"),
        ("Snippet", 1, 1),
        ("Snippet", 1, 2),
        ("End", 1, 3),
    ]
    assert counters["repeated"] == 1


def test_a_message_that_comes_twice_is_handled_once(line_of: Callable[..., Line]) -> None:
    line = line_of(passes_on=False)
    line.send(snippet(0), snippet(0), snippet(1), snippet(1), end(2))
    counters = line.counters()
    assert [seq for _, _, seq in line.stage.log] == [0, 1, 2]
    assert counters["repeated"] == 2


def test_every_link_has_to_end(line_of: Callable[..., Line]) -> None:
    line = line_of(links=2, passes_on=False)
    line.send(preview(0, [b"j"]), end(0), link=1)
    assert line.upstream[1].end(ENOUGH_S)
    line.send(snippet(0), snippet(1))
    assert line.thread.is_alive()
    line.send(end(2))
    line.counters()
    assert sorted(name for name, *_ in line.stage.log) == ["End", "End", "Preview", "Snippet", "Snippet"]


def test_what_a_stage_raises_is_not_swallowed(line_of: Callable[..., Line]) -> None:
    class Broken(Echo):
        def process(self, message: Message) -> Iterable[Message]:
            raise ZeroDivisionError("out of cheese")

    line = line_of(Broken())
    line.send(snippet(0))
    line.thread.join(ENOUGH_S)
    assert isinstance(line.outcome, ZeroDivisionError)
    assert not line.upstream[0].end(0.0)  # so that it is not taken for handled


def test_a_node_in_the_middle_of_a_slow_message_answers_late_but_answers(
    line_of: Callable[..., Line],
) -> None:
    line = line_of(passes_on=False)
    line.stage.may_go_on.clear()
    line.send(snippet(0))
    deadline = time.monotonic() + ENOUGH_S
    while not line.stage.log:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    line.supervisor.request("node", "double", {"number": 5}, deadline_s=ENOUGH_S)
    assert not any(isinstance(event, Answer) for event in line.supervisor.poll(0.0))
    line.stage.may_go_on.set()
    answer = line.hear(lambda event: isinstance(event, Answer))
    assert isinstance(answer, Answer)
    assert answer.value == 10


def test_a_stop_ends_a_node_whose_consumer_never_came(line_of: Callable[..., Line]) -> None:
    line = line_of()
    assert line.downstream is not None
    line.downstream.close()
    line.send(snippet(0), snippet(1), snippet(2))
    line.supervisor.request("node", "stop")
    line.hear(lambda event: isinstance(event, Answer) and event.name == "stop")
    assert line.counters()["repeated"] == 0


def test_a_node_to_which_nothing_more_comes_sees_home_what_it_has(line_of: Callable[..., Line]) -> None:
    line = line_of(links=2)
    line.send(snippet(0), snippet(1))
    assert [line.take().seq for _ in range(2)] == [0, 1]
    line.supervisor.request("node", "finish")
    line.hear(lambda event: isinstance(event, Answer) and event.name == "finish")
    assert line.downstream is not None
    assert line.thread.is_alive()  # the last message is not handled
    line.downstream.acknowledge()
    assert line.counters()["seen"] == 2
    assert line.upstream[0].end(ENOUGH_S)


def test_the_status_tells_what_was_refused_and_repeated(line_of: Callable[..., Line]) -> None:
    line = line_of(passes_on=False)
    line.send(snippet(0), snippet(0))
    status = line.hear(lambda event: isinstance(event, Status) and event.counters.get("repeated") == 1)
    assert isinstance(status, Status)
    assert status.counters == {"seen": 1, "refused": 0, "repeated": 1, "reached": {"cam": [0, 0, 0]}}


GARBAGE: list[list[bytes]] = [
    [b""],
    [b"\x00" * 9],
    [b"want"],
    [b"a", b"b", b"c", b"d", b"e"],
    [os.urandom(40), os.urandom(4000)],
    [b"\xff" * ID_BYTES] * 3,
]


def test_garbage_at_every_door_is_counted_and_the_node_lives_on(tmp_path: Path) -> None:
    """From a producer, a consumer and a supervisor that all talk nonsense before they talk sense."""
    context = zmq.Context()
    producer, supervisor = context.socket(zmq.ROUTER), context.socket(zmq.ROUTER)
    consumer = context.socket(zmq.DEALER)
    for socket in (producer, supervisor, consumer):
        socket.linger = 0
        socket.rcvtimeo = int(ENOUGH_S * 1000)
    producer.bind(f"ipc://{tmp_path}/in")
    supervisor.bind(f"ipc://{tmp_path}/control")

    stage = Echo()
    receiver = Receiver(f"ipc://{tmp_path}/in", clock=clock)
    sender = Sender(f"ipc://{tmp_path}/out", overflow="block", clock=clock)
    control = ControlClient(f"ipc://{tmp_path}/control", clock=clock, node="node")
    outcome: list[dict[str, Any]] = []
    lifeline = Lifeline(control, stage, clock, os.getppid())
    node = threading.Thread(target=lambda: outcome.append(run_stage(stage, receiver, sender, lifeline)))
    node.start()
    proper = Receiver(f"ipc://{tmp_path}/out", clock=clock)
    try:
        route, *credit = producer.recv_multipart()
        assert credit[0] == b"want"
        for frames in GARBAGE:
            producer.send_multipart([route, *frames])
        number = 1
        header_lies = list(encode(snippet(0)))
        header_lies[2] = header_lies[2][:-1]  # one byte less than the header says
        for frames in (header_lies, encode(snippet(1)), encode(end(2))):
            producer.send_multipart([route, b"producer", number.to_bytes(ID_BYTES), *frames])
            number += 1

        client, _ = supervisor.recv_multipart()
        for frames in GARBAGE:
            supervisor.send_multipart([client, *frames])

        consumer.connect(f"ipc://{tmp_path}/out")
        for frames in GARBAGE:
            consumer.send_multipart(frames)

        first, last = proper.receive(ENOUGH_S), proper.receive(ENOUGH_S)
        proper.acknowledge()
        node.join(ENOUGH_S)
        assert isinstance(first, Features)
        assert first.seq == 1
        assert isinstance(last, End)
        (told,) = outcome
        assert told.pop("reached") == {"cam": [0, 1, 1_000_000_000]}
        assert told == {"seen": 2, "refused": receiver.refused, "repeated": 0, "queue": 0, "given_up": 0}
        assert receiver.refused == len(GARBAGE) + 1
        deadline = time.monotonic() + ENOUGH_S
        while (
            control.refused < len(GARBAGE) or sender.refused < len(GARBAGE) - 2
        ):  # a large one ends the line
            assert time.monotonic() < deadline
            control.poll(0.01)
    finally:
        for one in (proper, sender, receiver, control):
            one.close()
        for socket in (producer, supervisor, consumer):
            socket.close()
        context.term()


def test_previews_that_run_ahead_cost_no_result(line_of: Callable[..., Line]) -> None:
    """As at the recorder when the size of the picture changes in the middle of a file."""
    line = line_of(links=2, passes_on=False)
    line.send(preview(0, [b"j"]), preview(1, [b"j"], generation=1), link=1)
    line.send(end(2, generation=1), link=1)
    assert line.upstream[1].end(ENOUGH_S)
    line.send(snippet(0), snippet(1, generation=1), end(2, generation=1))
    counters = line.counters()
    assert [entry for entry in line.stage.log if entry[0] == "Snippet"] == [
        ("Snippet", 0, 0),
        ("Snippet", 1, 1),
    ]
    assert counters["repeated"] == 0
