"""The viewer node: looks on, and serves the page on which people watch (docs/viewer.md).

It stands beside the line. What it shows is broadcast by the recorder, what it asks for goes to the supervisor
as from any command line; so a run does not notice when it is slow, or gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from model.vocabulary import PRESETS, Vocabulary
from nodes.recorder import STAND_IN_NOTICE
from nodes.runtime import Lifeline
from streaming.clock import Clock
from streaming.config import Config, SourceConfig
from streaming.control import ControlClient
from streaming.errors import UserError
from streaming.memory import Memory
from streaming.messages import Message, Preview, Result
from streaming.results import read_results, result_of
from streaming.security import Security
from streaming.tape import TapeReader, is_tape
from streaming.viewer.again import Again
from streaming.viewer.asking import Asking
from streaming.viewer.feed import Feed
from streaming.viewer.guard import Guard, token_of
from streaming.viewer.hub import KEPT_S, About, Hub
from streaming.viewer.mel import Mel, MelSpectrogram
from streaming.viewer.place import Place, tls_of
from streaming.viewer.server import Server

POLL_S = 0.1
MOST_REREAD = 4 << 20  # bytes of results that a timeline of two minutes may have


class ViewerStage:
    """The page's server, and what it is shown.

    linger_s: how long the page stays when the run is over and nobody watches.
    again: what is played when the run is over; None before.
    """

    def __init__(
        self, server: Server, clock: Clock, asking: Iterable[Asking] = (), linger_s: float = 0.0
    ) -> None:
        self.server = server
        self.shown = 0
        self.again: Again | None = None
        self._clock, self._linger_s = clock, linger_s
        self._asking = list(asking)
        self._spectrograms: dict[str, MelSpectrogram] = {}
        server.start()

    def process(self, message: Message) -> Iterable[Message]:
        """Shows a message; nothing comes of it."""
        self.server.take(message, self._mel(message) if isinstance(message, Preview) else None)
        self.shown += 1
        return ()

    def _mel(self, preview: Preview) -> Mel | None:
        return self._spectrograms.setdefault(preview.source, MelSpectrogram()).columns(preview)

    def forget(self, source: str) -> None:
        """What was shown stays in sight over generations."""

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        if name != "linger":
            raise UserError(f"the viewer node knows no request {name!r}")
        hub = self.server.hub
        kept = {source: one.last(KEPT_S) for source, one in hub.kept.items()}
        self.again = Again(kept, hub.about.hop_s, self._linger_s, self._clock)
        self.server.play_again(str(args.get("reason", "")), self.again.length_s)

    def stats(self) -> dict[str, Any]:
        return {
            "address": self.server.address,
            "port": self.server.port,
            "viewers": self.server.viewers,
            "shown": self.shown,
        }

    def close(self, reason: str | None = None) -> None:
        """Take leave of everybody, without a word unless there is a reason; a second call does nothing."""
        self.server.end(reason)
        for asking in self._asking:
            asking.close()
        self._asking.clear()


def open_viewer(
    config: Config, clock: Clock, memory: Memory | None = None, security: Security | None = None
) -> ViewerStage:
    """The page as configured, at the port of an earlier viewer of this run if there was one.

    Raises `UserError` for a port that is taken, a certificate that cannot be used, and what else is wrong
    with where it is to be.
    """
    v, words = config.viewer, config.vocabulary.words
    token, tls = token_of(v.token), tls_of(v.certificate, v.key)
    hub = Hub(
        About(
            sources=tuple(map(known_as, config.all_sources)),
            hop_s=config.all_sources[0].hop_s,
            model=config.model.name,
            presets=PRESETS,
            notice=STAND_IN_NOTICE if config.model.checkpoint == "stand-in" else "",
        ),
        (Vocabulary.parse(words) if isinstance(words, str) else Vocabulary(tuple(words))).words,
        clock,
    )

    if memory is not None and memory.incarnation > 1:
        for result in found_before(config, clock, memory):
            hub.remember(result)

    def connect() -> ControlClient:
        return ControlClient(str(config.links.control), clock=clock, security=security)

    ask, ask_status = Asking(connect), Asking(connect)
    place = Place(v.host, (memory and memory.port) or v.port, tls)
    guard = Guard(v.host, tls=tls is not None, token=token, names=v.names)
    server = Server(place, guard, hub, ask, ask_status)
    return ViewerStage(server, clock, (ask, ask_status), v.linger_s)


def found_before(config: Config, clock: Clock, memory: Memory) -> Iterator[Result]:
    """The newest results of this run that are in files here; none of those that cannot be read."""
    begun_ns = memory.begun_wall_ns if memory.begun_wall_ns is not None else clock.wall_ns()
    for source in config.all_sources:
        path = Path(config.output.dir) / (source.id if config.sources else "") / "results.jsonl"
        with suppress(UserError, OSError):
            if config.output.results and path.stat().st_mtime_ns > begun_ns:
                for line in read_results(path, newest_bytes=MOST_REREAD):
                    yield result_of(line)[0]


def known_as(source: SourceConfig) -> str:
    """The id of a source in its messages: a tape has one of its own, unless it is given another."""
    if source.id == SourceConfig().id and is_tape(Path(source.uri)):
        with suppress(UserError):  # whoever plays it tells what is wrong with it
            return TapeReader(source.uri).sources[0]
    return source.id


def run_viewer(stage: ViewerStage, feed: Feed, lifeline: Lifeline) -> dict[str, Any]:
    """Show what comes until everything else is over, or it is told to stop; its last counters."""
    lifeline.counters = lambda: {"damaged": feed.damaged}
    while lifeline.pulse() and not lifeline.finishing:
        if not stage.server.alive:
            raise RuntimeError("the page is served no longer")
        message = feed.receive(POLL_S)
        if message is not None:
            stage.process(message)
        if stage.again is not None:
            if stage.again.over:
                break
            for message in stage.again.due(watched=stage.server.viewers > 0):
                stage.process(message)
    counters = {**stage.stats(), **lifeline.counters()}
    stage.close(lifeline.reason or "it was stopped")
    return counters
