"""The source is opened as configured, flows at the pipeline's pace, and always ends in order."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from nodes.capture import CaptureStage, open_source, open_tape, run_capture
from nodes.runtime import Lifeline
from streaming.clock import Clock, FakeClock
from streaming.config import load, setting
from streaming.control import Answer, ControlClient, ControlServer, Hello, Status
from streaming.errors import UserError
from streaming.link import Receiver, Sender
from streaming.memory import Memory
from streaming.messages import End, Message, Preview, Snippet
from streaming.sources.base import Overflow, Place, Source
from streaming.sources.live import LiveSource
from streaming.sources.network_connection import NetworkConnection
from streaming.sources.tape import TapeSource
from streaming.tape import TapeReader, TapeWriter
from tests.media import make_clip
from tests.nodes.samples import NS, end, preview, snippet

clock = Clock()
ENOUGH_S = 20.0


# Opening --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", duration_s=3.0)


def opened(*texts: str) -> Source:
    return open_source(load(settings=[setting(text) for text in texts]), clock)


def test_a_source_is_opened_as_configured(clip: Path) -> None:
    source = opened(f"source.uri={clip}", "source.id=cam-1", "source.hop_s=0.5", "source.start_s=1")
    messages = list(source)
    snippets = [message for message in messages if isinstance(message, Snippet)]
    assert source.source_id == "cam-1"
    assert {message.source for message in messages} == {"cam-1"}
    assert [one.t_ns / 1e9 for one in snippets] == [1.0, 1.5, 2.0]
    assert isinstance(messages[-1], End)


def test_previews_are_made_for_the_annotated_video_and_the_page_alone(clip: Path) -> None:
    bare = (f"source.uri={clip}", "output.annotated=false")
    assert not any(isinstance(message, Preview) for message in opened(*bare))
    assert any(isinstance(message, Preview) for message in opened(*bare, "viewer.enabled=true"))
    texts = (f"source.uri={clip}", "output.preview_fps=5", "output.preview_side=80")
    jpegs = [jpeg for message in opened(*texts) if isinstance(message, Preview) for jpeg in message.jpegs]
    assert len(jpegs) == 16
    picture = cv2.imdecode(np.frombuffer(jpegs[0], np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    assert picture.shape == (48, 80, 3)


def test_a_network_address_is_a_camera_with_its_password_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", "hunter2")
    address = "source.uri=rtsp://me:${CAMERA_PASSWORD}@127.0.0.1:9/camera"
    source = open_source(load(settings=[setting(text) for text in (address, "source.id=front")]), clock)
    assert isinstance(source, LiveSource)
    assert (source.live, source.overflow, source.source_id) == (True, "latest", "front")
    assert source.shown == "rtsp://***@127.0.0.1:9/camera"
    connection = source._connect()
    connection.close()
    assert isinstance(connection, NetworkConnection)
    assert connection._uri == "rtsp://me:hunter2@127.0.0.1:9/camera"


def test_every_kind_of_source_goes_on_where_an_earlier_node_was(clip: Path, tmp_path: Path) -> None:
    memory = Memory(incarnation=2, begun_wall_ns=clock.wall_ns() - 20 * NS, reached=Place(1, 0, 0))

    def going_on(*texts: str) -> Any:
        return open_source(load(settings=[setting(text) for text in texts]), clock, memory)

    recorded = [message for message in going_on(f"source.uri={clip}") if isinstance(message, Snippet)]
    assert [(message.generation, message.seq, message.t_ns) for message in recorded] == [
        (1, 1, NS), (1, 2, 2 * NS)
    ]  # fmt: skip
    for uri in ("webcam:0", "rtsp://127.0.0.1:9/"):
        live = going_on(f"source.uri={uri}", "source.microphone=none")
        assert live._options.after == memory.reached
        assert (clock.monotonic_ns() - live._options.begun_ns) / 1e9 == pytest.approx(20.0, abs=5.0)
    tape = TapeWriter(tmp_path / "tape.mcap", pictures="lossless", live=True, hop_s=1.0)
    for seq in range(3):
        tape.write(snippet(seq, generation=1))
    tape.close()
    played = [message for message in going_on(f"source.uri={tape.path}") if isinstance(message, Snippet)]
    assert [message.seq for message in played] == [1, 2]


def test_what_an_earlier_node_has_kept_is_not_written_over(clip: Path, tmp_path: Path) -> None:
    config = load(settings=[setting(f"source.uri={clip}"), setting(f"output.tape={tmp_path}/kept.mcap")])
    for incarnation, name in ((1, "kept.mcap"), (2, "kept-2.mcap")):
        tape = open_tape(config, open_source(config, clock), Memory(incarnation=incarnation))
        assert tape is not None
        assert tape.path.name == name
        tape.close()


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ([], "source.uri: nothing to open; give --source FILE"),
        (["source.uri=nowhere.mp4"], "nowhere.mp4: cannot be read: No such file or directory"),
        (["source.uri={clip}", "source.audio_stream=7"], "audio_stream: found 7, expected one of"),
        (["source.uri=rtsp://me:${{NOBODY_HAS_SET_THIS}}@host/"], "NOBODY_HAS_SET_THIS.* is not set"),
        (["source.uri={clip}", "source.start_s=99"], "start_s: found 99.0, expected 0 to below 3.0"),
    ],
)
def test_a_source_that_cannot_be_opened_is_told_in_one_line(clip: Path, texts: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        opened(*(text.format(clip=clip) for text in texts))
    assert "\n" not in str(caught.value)


# Running --------------------------------------------------------------------------------------------------


class Drawn:
    """A source of messages made beforehand; `before` is called with the number of each before it is given."""

    source_id = "cam"
    live = False
    overflow: Overflow = "block"

    def __init__(self, messages: list[Message], before: Callable[[int], None] = lambda number: None) -> None:
        self.messages, self.before = messages, before
        self.counters = {"gaps": 0, "seconds": 0.0}
        self.duration_s: float | None = None
        self.closed = False

    def __iter__(self) -> Iterator[Any]:
        for number, message in enumerate(self.messages):
            self.before(number)
            self.counters["seconds"] = float(message.seq)
            yield message

    def close(self) -> None:
        self.closed = True


def film(seconds: int, **changes: Any) -> list[Message]:
    return [
        message
        for seq in range(seconds)
        for message in (preview(seq, [b"j"], **changes), snippet(seq, **changes))
    ]


class Rig:
    """A capture node in a thread; its consumers and its supervisor are in the test's hands."""

    def __init__(
        self,
        folder: Path,
        source: Drawn,
        *,
        previews: bool = True,
        overflow: Overflow = "block",
        tape: TapeWriter | None = None,
    ):
        self.tape = tape
        self.addresses = [f"ipc://{folder}/{link}" for link in ("snippets", "previews")][: 1 + previews]
        self.supervisor = ControlServer(f"ipc://{folder}/control", clock=clock)
        self.control = ControlClient(f"ipc://{folder}/control", clock=clock, node="capture")
        self.senders = [
            Sender(address, overflow=overflow, clock=clock, on_drop=tape.dropped if tape else None)
            for address in self.addresses
        ]
        self.receivers: list[Receiver] = []
        self.stage = CaptureStage(source)
        self.outcome: dict[str, Any] = {}
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        self.control_is_there()

    def _run(self) -> None:
        self.control.hello()
        lifeline = Lifeline(self.control, self.stage, clock, os.getppid())
        try:
            self.outcome = run_capture(
                self.stage, self.senders[0], (*self.senders, None)[1], lifeline, self.tape
            )
        except BaseException as error:
            self.failure = error

    def control_is_there(self) -> None:
        while not any(isinstance(event, Hello) for event in self.supervisor.poll(ENOUGH_S)):
            pass

    def start(self) -> None:
        self.supervisor.request("capture", "start")

    def stop(self) -> None:
        self.supervisor.request("capture", "stop")

    def stop_now(self) -> None:
        """For the source, in the node's own thread: it will hear of the stop when it next listens."""
        for sender in self.senders:
            assert sender.end(ENOUGH_S)  # there is room for one more message
        self.stop()
        assert self.control._socket.poll(int(1000 * ENOUGH_S))

    def consumer(self, link: int) -> Receiver:
        self.receivers.append(Receiver(self.addresses[link], clock=clock))
        return self.receivers[-1]

    def consume(self) -> list[list[Message]]:
        """Everything that comes over each link, to its end."""
        taken: list[list[Message]] = []
        threads = []
        for link in range(len(self.addresses)):
            taken.append([])
            receiver = self.consumer(link)

            def work(receiver: Receiver = receiver, into: list[Message] = taken[-1]) -> None:
                while self.thread.is_alive() and not (into and isinstance(into[-1], End)):
                    if (message := receiver.receive(0.1)) is not None:
                        into.append(message)
                receiver.acknowledge()

            threads.append(threading.Thread(target=work))
            threads[-1].start()
        for thread in threads:
            thread.join()
        return taken

    def counters(self) -> dict[str, Any]:
        self.thread.join(ENOUGH_S)
        assert not self.thread.is_alive()
        assert self.failure is None
        return self.outcome

    def close(self) -> None:
        if self.thread.is_alive():
            self.stop()
            while self.receivers:
                self.receivers.pop().close()
            self.consume()
            self.thread.join(ENOUGH_S)
        for one in (*self.receivers, *self.senders, self.control, self.supervisor):
            one.close()


@pytest.fixture
def rig_of(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(source: Drawn, **options: Any) -> Rig:
        made.append(Rig(tmp_path, source, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def places(messages: list[Message]) -> list[tuple[str, int, int]]:
    return [(type(message).__name__, message.generation, message.seq) for message in messages]


def test_snippets_and_previews_go_their_ways_and_both_end(rig_of: Callable[..., Rig]) -> None:
    source = Drawn([*film(3), end(3, counters={"gaps": 2, "seconds": 3.0})])
    rig = rig_of(source)
    rig.start()
    snippets, previews = rig.consume()
    assert places(snippets) == [("Snippet", 0, 0), ("Snippet", 0, 1), ("Snippet", 0, 2), ("End", 0, 3)]
    assert places(previews) == [("Preview", 0, 0), ("Preview", 0, 1), ("Preview", 0, 2), ("End", 0, 3)]
    assert snippets[-1] == previews[-1] == source.messages[-1]
    assert rig.counters() == {
        "snippets": 3,
        "duration_s": None,
        "given_up": 0,
        "gaps": 2,
        "seconds": 3.0,
        "source": "cam",
        "generation": 0,
        "has_audio": True,
        "audio_dbfs": -20.0,
        "fps": 0.0,
        "dropped": 0,
        "sent": 4,
        "queue": 0,
    }
    assert source.closed


def test_nothing_is_read_before_every_node_is_ready(rig_of: Callable[..., Rig]) -> None:
    begun: list[int] = []
    rig = rig_of(Drawn([*film(1), end(1)], begun.append), previews=False)
    rig.supervisor.request("capture", "ping")
    while not any(isinstance(event, Answer) for event in rig.supervisor.poll(ENOUGH_S)):
        pass
    assert begun == []
    rig.start()
    assert places(rig.consume()[0]) == [("Snippet", 0, 0), ("End", 0, 1)]


def test_a_stop_before_the_start_ends_what_never_began(rig_of: Callable[..., Rig]) -> None:
    source = Drawn([*film(1), end(1)])
    rig = rig_of(source)
    rig.stop()
    snippets, previews = rig.consume()
    assert places(snippets) == places(previews) == [("End", 0, 0)]
    assert rig.counters()["snippets"] == 0
    assert source.closed


@pytest.mark.parametrize(("number", "seconds"), [(6, 3), (7, 4)])
def test_a_stop_in_the_middle_ends_in_order_with_what_is_known(
    rig_of: Callable[..., Rig], number: int, seconds: int
) -> None:
    """Behind the preview of the fourth second, and behind its snippet."""
    source = Drawn(film(100), lambda given: rig.stop_now() if given == number else None)
    rig = rig_of(source)
    rig.start()
    snippets, previews = rig.consume()
    assert places(snippets) == [*(("Snippet", 0, seq) for seq in range(seconds)), ("End", 0, seconds)]
    assert places(previews) == [*(("Preview", 0, seq) for seq in range(4)), ("End", 0, seconds)]
    last = snippets[-1]
    assert isinstance(last, End)
    assert last == previews[-1]
    assert last.reason == "stopped"
    assert last.counters == source.counters
    assert rig.counters()["seconds"] == source.counters["seconds"] == 3
    assert source.closed


def test_a_stop_behind_the_first_picture_of_a_generation_ends_that_one(rig_of: Callable[..., Rig]) -> None:
    """Else the end would be an old one on the link of the previews, and be turned away there."""

    messages = [*film(2), preview(2, [b"j"], generation=1), *film(1)]
    rig = rig_of(Drawn(messages, lambda given: rig.stop_now() if given == 4 else None))
    rig.start()
    snippets, previews = rig.consume()
    assert places(previews) == [("Preview", 0, 0), ("Preview", 0, 1), ("Preview", 1, 2), ("End", 1, 2)]
    assert places(snippets) == [("Snippet", 0, 0), ("Snippet", 0, 1), ("End", 1, 2)]


class Waiting(Drawn):
    """A live source that has nothing more to give for now."""

    live = True
    overflow: Overflow = "latest"

    def __iter__(self) -> Iterator[Any]:
        yield from super().__iter__()
        while not self.closed:
            yield None


def test_a_camera_that_is_away_leaves_the_node_listening(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of(Waiting(film(2)), previews=False)
    rig.start()
    taken: list[Message] = []
    receiver = rig.consumer(0)
    while len(taken) < 2:
        if (message := receiver.receive(0.1)) is not None:
            taken.append(message)
    rig.supervisor.request("capture", "ping")
    while not any(
        isinstance(event, Answer) and event.name == "ping" for event in rig.supervisor.poll(ENOUGH_S)
    ):
        pass
    rig.stop()
    while not isinstance(taken[-1], End):
        if (message := receiver.receive(0.1)) is not None:
            taken.append(message)
    assert places(taken) == [("Snippet", 0, 0), ("Snippet", 0, 1), ("End", 0, 2)]
    receiver.acknowledge()
    assert rig.counters()["snippets"] == 2


def test_without_a_video_previews_go_nowhere(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of(Drawn([*film(2), end(2)]), previews=False)
    rig.start()
    assert places(rig.consume()[0]) == [("Snippet", 0, 0), ("Snippet", 0, 1), ("End", 0, 2)]
    assert rig.counters()["snippets"] == 2


def wait_until_given(given: list[int], count: int) -> None:
    """Until a source has been asked for so many messages, though nobody takes them."""
    deadline = time.monotonic() + ENOUGH_S
    while len(given) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_slow_consumer_makes_a_source_that_blocks_wait_and_one_that_does_not_drop(
    rig_of: Callable[..., Rig],
) -> None:
    given: list[int] = []
    seconds = [snippet(seq) for seq in range(50)]
    rig = rig_of(Drawn([*seconds, end(50)], given.append), previews=False, overflow="latest")
    rig.start()
    wait_until_given(given, 51)
    (taken,) = rig.consume()
    counters = rig.counters()
    assert places(taken)[-2:] == [("Snippet", 0, 49), ("End", 0, 50)]
    assert counters["dropped"] + len(taken) == 51
    assert counters["dropped"] > 40
    assert counters["sent"] == len(taken)


def test_a_recorded_run_is_given_again_just_what_it_was_given(
    rig_of: Callable[..., Rig], tmp_path: Path
) -> None:
    tape = TapeWriter(tmp_path / "tape.mcap", pictures="lossless", live=True, hop_s=1.0)
    given: list[int] = []
    seconds = [snippet(seq, emitted_ns=seq) for seq in range(50)]
    source = Drawn([*seconds, end(50, emitted_ns=50)], given.append)
    rig = rig_of(source, previews=False, overflow="latest", tape=tape)
    rig.start()
    wait_until_given(given, 51)
    (taken,) = rig.consume()
    rig.counters()
    again = list(TapeSource(tmp_path / "tape.mcap", clock=clock))
    assert places(again) == places(taken)
    assert len(again) < 12
    everything = list(TapeSource(tmp_path / "tape.mcap", clock=clock, everything=True))
    assert places(everything) == places([*seconds, end(50)])


def test_a_recording_that_cannot_go_on_does_not_stop_the_run(
    rig_of: Callable[..., Rig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(TapeWriter):
        def write(self, message: Any) -> None:
            if message.seq == 2:
                raise UserError("tape.mcap: cannot be written (No space left on device)")
            super().write(message)

    tape = Full(tmp_path / "tape.mcap", pictures="lossless", live=True, hop_s=1.0)
    rig = rig_of(Drawn([*film(4), end(4)]), previews=False, tape=tape)
    rig.start()
    assert places(rig.consume()[0]) == [*(("Snippet", 0, seq) for seq in range(4)), ("End", 0, 4)]
    rig.counters()
    assert caplog.text.count("nothing more is kept, the run goes on") == 1
    assert [one.message.seq for one in TapeReader(tmp_path / "tape.mcap").play()] == [0, 0, 1, 1]


def test_a_recording_is_not_made_over_what_is_being_played(tmp_path: Path) -> None:
    config = load(
        settings=[setting(f"source.uri={tmp_path}/a.mcap"), setting(f"output.tape={tmp_path}/./a.mcap")]
    )
    with pytest.raises(UserError, match="is what is being played; choose another file"):
        open_tape(config, Drawn([]))


def test_a_source_that_blocks_is_read_only_as_far_as_it_is_taken(rig_of: Callable[..., Rig]) -> None:
    given: list[int] = []
    rig = rig_of(Drawn([*(snippet(seq) for seq in range(50)), end(50)], given.append), previews=False)
    rig.start()
    receiver = rig.consumer(0)
    for handled in range(3):
        assert receiver.receive(ENOUGH_S) is not None
        assert len(given) <= handled + 4
    rig.stop()
    while not isinstance(receiver.receive(ENOUGH_S), End):
        pass
    receiver.acknowledge()
    assert rig.counters()["dropped"] == 0
    assert len(given) < 50


def test_a_source_that_fails_is_not_swallowed(rig_of: Callable[..., Rig]) -> None:
    def before(number: int) -> None:
        if number == 2:
            raise UserError("clip.mp4: the disk is gone")

    rig = rig_of(Drawn(film(5), before), previews=False)
    rig.start()
    rig.consumer(0).receive(ENOUGH_S)
    rig.thread.join(ENOUGH_S)
    assert isinstance(rig.failure, UserError)


def test_the_status_tells_how_far_the_source_is(rig_of: Callable[..., Rig]) -> None:
    source = Drawn([snippet(0), snippet(1), end(2)])
    source.duration_s = 7.5
    rig = rig_of(source, previews=False)
    rig.start()
    expected = {"snippets": 1, "duration_s": 7.5, "gaps": 0, "seconds": 1.0, "sent": 0, "queue": 1}
    deadline = time.monotonic() + ENOUGH_S
    while not any(
        isinstance(event, Status) and expected.items() <= event.counters.items()
        for event in rig.supervisor.poll(0.05)
    ):
        assert time.monotonic() < deadline  # nobody takes the first, so the second has to wait


def test_the_rate_of_pictures_is_that_of_late() -> None:
    fake, source = FakeClock(), Drawn([])
    stage = CaptureStage(source, fake)
    stage.passed_on(snippet(0))
    told = []
    for pictures in (0, 10, 30, 30, 30):
        source.counters["frames"] = pictures
        told.append(stage.stats()["fps"])
        fake.advance(1_000_000_000)
    assert told == [0.0, 10.0, 20.0, 0.0, 0.0]


def test_capture_takes_neither_messages_nor_requests() -> None:
    stage = CaptureStage(Drawn([]))
    with pytest.raises(TypeError, match="takes no messages, got Snippet"):
        stage.process(snippet(0))
    with pytest.raises(UserError, match="capture node knows no request 'dance'"):
        stage.request("dance", {})
