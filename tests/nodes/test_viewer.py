"""The viewer node: shows what is broadcast, asks as a command line does, and goes when all else is over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from nodes.runtime import Lifeline
from nodes.viewer import ViewerStage, known_as, open_viewer, run_viewer
from streaming.clock import Clock
from streaming.config import Config, SourceConfig, load, setting
from streaming.control import ClientRequest, ControlClient, ControlServer, Done, Event, Status
from streaming.errors import UserError
from streaming.memory import Memory
from streaming.outputs.broadcast import Broadcast
from streaming.results import ResultsWriter
from streaming.viewer.feed import Feed
from tests.nodes.samples import preview, result
from tests.pipeline import free_port, wait_for
from tests.viewers import ENOUGH_S, joins, played

clock = Clock()


def config_of(folder: Path, *more: str) -> Config:
    texts = [
        f"links.control=ipc://{folder}/control", f"links.broadcast=ipc://{folder}/broadcast",
        "source.id=cam", "viewer.enabled=true", "viewer.port=0", "vocabulary.words=dog, cat", *more,
    ]  # fmt: skip
    return load(settings=map(setting, texts))


class Rig:
    """The node in a thread, with a supervisor that answers, and the recorder's broadcast."""

    def __init__(self, folder: Path, *more: str) -> None:
        config = config_of(folder, *more)
        self.supervisor = ControlServer(str(config.links.control), clock=clock)
        self.broadcast = Broadcast(str(config.links.broadcast))
        self.events: list[Event] = []
        self.told: dict[str, dict[str, Any]] = {"classification": {"vocabulary_revision": 1}}
        self.stage = open_viewer(config, clock)
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._node, args=(config,)),
            threading.Thread(target=self._answer),
        ]
        for thread in self._threads:
            thread.start()

    def _node(self, config: Config) -> None:
        control = ControlClient(str(config.links.control), clock=clock, node="viewer")
        feed = Feed(str(config.links.broadcast))
        control.hello()
        control.done(run_viewer(self.stage, feed, Lifeline(control, self.stage, clock)))
        feed.close()
        control.close()

    def _answer(self) -> None:
        while not self._over.is_set():
            for event in self.supervisor.poll(0.05):
                self.events.append(event)
                if isinstance(event, ClientRequest) and event.name == "vocabulary.set":
                    self.supervisor.reply(event, {"revision": 2, **event.args})
                elif isinstance(event, ClientRequest):
                    self.supervisor.reply(event, self.told)

    def finish(self, reason: str) -> None:
        self.supervisor.request("viewer", "finish", {"reason": reason})
        self._threads[0].join(ENOUGH_S)

    def wait(self) -> None:
        """Until the node has ended by itself."""
        self._threads[0].join(ENOUGH_S)

    def close(self) -> None:
        self.finish("the test is over")
        self._over.set()
        self._threads[1].join(ENOUGH_S)
        self.broadcast.close()
        self.supervisor.close()


@pytest.fixture
def rig_of(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(*more: str) -> Rig:
        made.append(Rig(tmp_path, *more))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


def test_what_is_broadcast_is_shown_and_what_is_asked_is_answered(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of()

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            page = await joins(session, rig.stage.server.address)
            hello = await page.hears("hello")
            assert hello["vocabulary"] == {"revision": 1, "words": ["dog", "cat"]}
            assert {one["name"] for one in hello["presets"]} >= {"avsbench-ov", "audioset"}
            heard = asyncio.create_task(page.hears("result"))
            seq = 0
            while not heard.done():  # until the feed has found the broadcast
                rig.broadcast.add(result(seq := seq + 1, [1]), 0)
                await asyncio.sleep(0.05)
            rig.broadcast.show(preview(4, [b"jpeg"]))
            assert (await page.hears("picture"))["data"] == b"jpeg"
            assert (await page.hears("mel"))["columns"] == 32
            await page.says(type="vocabulary.set", id=1, words=["owl"])
            assert (await page.hears("answer"))["error"] is None
            assert (await page.hears("vocabulary", revision=2))["words"] == ["owl"]
            rig.told = {"capture": {"state": "ready"}}
            while (await page.hears("status"))["sources"]["cam"]["state"] != "ready":
                pass
            ending = asyncio.get_running_loop().run_in_executor(None, rig.finish, "the clip is over")
            assert (await page.hears("ended"))["reason"] == "the clip is over"
            await ending

    played(story())
    statuses = [event for event in rig.events if isinstance(event, Status)]
    assert statuses[0].counters["address"] == rig.stage.server.address
    assert wait_for(lambda: isinstance(rig.events[-1], Done), ENOUGH_S)
    (done,) = [event for event in rig.events if isinstance(event, Done)]
    assert done.stats["shown"] >= 2
    assert done.stats["port"] == rig.stage.server.port


def test_a_page_that_is_served_no_longer_is_not_looked_at_as_if_it_were(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    stage = open_viewer(config, clock)
    control = ControlClient(str(config.links.control), clock=clock, node="viewer")
    feed = Feed(str(config.links.broadcast))
    stage.close()
    stage.close()
    with pytest.raises(RuntimeError, match="the page is served no longer"):
        run_viewer(stage, feed, Lifeline(control, stage, clock))
    feed.close()
    control.close()


def test_its_successor_is_where_it_was_and_knows_what_was_found(tmp_path: Path) -> None:
    """From the file, as far as that goes; what is broadcast meanwhile is not told twice."""
    port = free_port()
    writer = ResultsWriter(tmp_path / "out" / "results.jsonl")
    for seq in range(3):
        writer.write(result(seq, [1]), wall_ns=clock.wall_ns())
    writer.close()
    config = config_of(tmp_path, f"output.dir={tmp_path}/out")
    fresh = open_viewer(config, clock)
    assert not fresh.server.hub.kept["cam"].hops
    fresh.close()
    stage = open_viewer(
        config, clock, Memory(incarnation=2, port=port, begun_wall_ns=clock.wall_ns() - 60_000_000_000)
    )
    assert stage.stats()["address"] == f"http://127.0.0.1:{port}/"
    for seq in (1, 2, 3):
        stage.process(result(seq))
    kept = stage.server.hub.kept["cam"]
    assert [hop["seq"] for hop in kept.hops] == [0, 1, 2, 3]
    assert kept.hops[0]["tracks"] == [{"id": 1, "label": "dog", "sounding": 0.8}]
    assert stage.server.hub.seen == {"dog": 3}
    stage.close()


@pytest.mark.parametrize("content", [None, b"no line", b'{"v": 1}\n'])
def test_results_that_cannot_be_read_are_not_remembered(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "results.jsonl").write_bytes(content)
    config = config_of(tmp_path, f"output.dir={tmp_path}")
    stage = open_viewer(config, clock, Memory(incarnation=2, begun_wall_ns=clock.wall_ns() - 60_000_000_000))
    assert not stage.server.hub.kept["cam"].hops
    stage.close()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["viewer.token=${ABSENT}"], r"^viewer.token: \${ABSENT} is not set in the environment; export it"),
        (["viewer.certificate=missing.pem"], r"^viewer.certificate: missing.pem: cannot be read \(No such"),
        (["viewer.port=1", "viewer.host=localhost.invalid"], "^viewer.port: port 1 of localhost.invalid"),
    ],
)
def test_a_mistake_of_the_users_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: list[str], told: str
) -> None:
    monkeypatch.delenv("ABSENT", raising=False)
    more = ["viewer.plain=true", "viewer.token=0123456789abcdef", *settings]
    with pytest.raises(UserError, match=told) as caught:
        open_viewer(config_of(tmp_path, *more), clock)
    assert "\n" not in str(caught.value)


def test_a_source_is_known_by_the_id_in_its_messages(tmp_path: Path) -> None:
    from streaming.messages import End
    from streaming.tape import TapeWriter
    from tests.nodes.samples import end, snippet

    path = tmp_path / "tape.mcap"
    tape = TapeWriter(path, pictures="jpeg", live=False, hop_s=1.0)
    tape.write(snippet(0))
    last: End = end(1)
    tape.write(last)
    tape.close()
    assert known_as(SourceConfig(uri=str(path))) == "cam"
    assert known_as(SourceConfig(uri=str(path), id="front")) == "front"
    assert known_as(SourceConfig(uri=str(tmp_path / "missing.mcap"))) == "source"
    (tmp_path / "broken.mcap").write_bytes(b"\x89MCAP0\r\n")
    assert known_as(SourceConfig(uri=str(tmp_path / "broken.mcap"))) == "source"


def test_it_knows_no_requests(tmp_path: Path) -> None:
    stage: ViewerStage = open_viewer(config_of(tmp_path), clock)
    with pytest.raises(UserError, match="the viewer node knows no request 'dance'"):
        stage.request("dance", {})
    stage.forget("cam")
    stage.close()


def test_what_came_of_a_run_is_played_again_until_nobody_has_watched_for_a_while(
    rig_of: Callable[..., Rig],
) -> None:
    rig = rig_of("viewer.linger_s=1", "source.hop_s=1.0")

    async def story() -> None:
        async with aiohttp.ClientSession() as session:
            page = await joins(session, rig.stage.server.address)
            seen = asyncio.create_task(page.hears("result"))
            while not seen.done():  # until the feed has found the broadcast
                rig.broadcast.show(preview(0, [b"jpeg"]))
                rig.broadcast.add(result(0, [1]), 0)
                await asyncio.sleep(0.05)
            rig.supervisor.request("viewer", "linger", {"reason": "the clip is over"})
            again = await page.hears("again")
            assert again["reason"] == "the clip is over"
            assert again["seconds"] > 0
            assert (await page.hears("result", generation=1))["seq"] == 0
            assert (await page.hears("result", generation=2))["latency_ms"] < 60_000
            late = await joins(session, rig.stage.server.address)
            assert await late.hears("again") == again
            assert (await late.hears("picture"))["data"] == b"jpeg"
            assert rig.stage.server.hub.seen == {"dog": 1}  # once, however often it is shown

    played(story())
    rig.wait()
    assert wait_for(lambda: isinstance(rig.events[-1], Done), ENOUGH_S)


def test_a_node_that_dies_takes_no_leave(tmp_path: Path) -> None:
    """Whoever watches looks for its successor; only who is told that it is over does not."""
    for reason, told in ((None, False), ("it is over", True)):
        stage = open_viewer(config_of(tmp_path), clock)

        async def story(stage: ViewerStage = stage, reason: str | None = reason) -> list[str]:
            async with aiohttp.ClientSession() as session:
                page = await joins(session, stage.server.address)
                await page.hears("hello")
                closing = asyncio.get_running_loop().run_in_executor(None, stage.close, reason)
                heard = await page.until_it_hangs_up()
                await closing
                return heard

        assert ("ended" in played(story())) is told
