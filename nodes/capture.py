"""The capture node: one source, cut into snippets, at the pace the pipeline takes them (paper, Section 3.1).

Picture and sound are aligned here, once; nothing downstream joins streams.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.level import SILENCE_DBFS, level_dbfs
from nodes.runtime import Lifeline, deliver, hand_over
from streaming.clock import Clock
from streaming.config import Config, SourceConfig
from streaming.errors import UserError
from streaming.link import Sender
from streaming.memory import Memory, numbered
from streaming.messages import End, Message, Preview, Snippet
from streaming.sources.address import filled_in, kind_of
from streaming.sources.base import PreviewSettings, Source
from streaming.sources.camera import OpenCvCamera
from streaming.sources.file import FileSource
from streaming.sources.live import LiveOptions
from streaming.sources.microphone import Microphone
from streaming.sources.network import network_source
from streaming.sources.tape import TapeSource
from streaming.sources.webcam import WebcamSource
from streaming.tape import TapeWriter, is_tape

STOP_S = 2.0
RATE_NS = 1_000_000_000

log = logging.getLogger(__name__)


def open_source(config: Config, clock: Clock, memory: Memory | None = None) -> Source:
    """The configured source, which goes on where an earlier capture node has been.

    Raises `UserError` for one that cannot be opened.
    """
    memory = memory or Memory()
    s, o = config.source, config.output
    if not s.uri:
        raise UserError("source.uri: nothing to open; give --source FILE")
    kind, preview = kind_of(s.uri), None
    moving = config.shows_pictures or o.tape is not None
    if moving:
        preview = PreviewSettings(max_side=o.preview_side, max_fps=o.preview_fps, quantiser=o.jpeg_quantiser)
    begun_ns = None
    if memory.begun_wall_ns is not None:
        begun_ns = clock.monotonic_ns() - (clock.wall_ns() - memory.begun_wall_ns)
    live = LiveOptions(
        hop_s=s.hop_s, preview=preview, silent_s=s.silent_s, begun_ns=begun_ns, after=memory.reached
    )
    if kind == "webcam":
        which = s.uri.removeprefix("webcam:") or "0"
        return WebcamSource(
            s.id, lambda: OpenCvCamera(which, width=s.camera_width, height=s.camera_height, fps=s.camera_fps),
            None if s.microphone == "none" else Microphone(s.microphone, clock),
            shown=f"webcam:{which}", clock=clock, options=live,
        )  # fmt: skip
    if kind == "network":
        return network_source(
            filled_in(s.uri), s.id, clock=clock, options=live, transport=s.transport,
            threads=config.nodes.capture.threads,
        )  # fmt: skip
    if is_tape(Path(s.uri)):
        return TapeSource(
            Path(s.uri), clock=clock, hop_s=s.hop_s, pace=s.pace, start_s=s.start_s,
            source_id=None if s.id == SourceConfig().id else s.id, previews=moving,
            everything=s.dropped_too, after=memory.reached,
        )  # fmt: skip
    return FileSource(
        Path(s.uri),
        s.id,
        clock=clock,
        hop_s=s.hop_s,
        pace=s.pace,
        preview=preview,
        start_s=s.start_s,
        video_stream=s.video_stream,
        audio_stream=s.audio_stream,
        threads=config.nodes.capture.threads,
        after=memory.reached,
    )


class CaptureStage:
    """The source, and what is known of it."""

    def __init__(self, source: Source, clock: Clock | None = None) -> None:
        self.source, self.clock = source, clock or Clock()
        self.snippets = 0
        self.end: End | None = None
        self._newest: Snippet | None = None
        self._counted = (
            self.clock.monotonic_ns(),
            0,
        )  # when pictures were counted last, and how many there were
        self._fps = 0.0

    def passed_on(self, message: Snippet | Preview) -> None:
        """Something has gone on its way."""
        if isinstance(message, Snippet):
            self.snippets += 1
            self._newest = message

    def process(self, message: Message) -> list[Message]:
        """Nothing comes in: capture begins the line."""
        raise TypeError(f"the capture node takes no messages, got {type(message).__name__}")

    def forget(self, source: str) -> None:
        """Generations begin here."""

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        raise UserError(f"the capture node knows no request {name!r}")

    def stats(self) -> dict[str, Any]:
        counters = self.end.counters if self.end else self.source.counters
        told = {"snippets": self.snippets, "duration_s": self.source.duration_s, **counters}
        if (newest := self._newest) is not None:
            told |= {
                "source": newest.source,
                "generation": newest.generation,
                "has_audio": newest.has_audio,
                "audio_dbfs": round(max(level_dbfs(newest.audio), SILENCE_DBFS), 1),
                "fps": self._rate(int(counters.get("frames", 0))),
            }
        return told

    def _rate(self, pictures: int) -> float:
        """Pictures per second of late, over a second at least."""
        then_ns, before = self._counted
        now_ns = self.clock.monotonic_ns()
        if now_ns - then_ns >= RATE_NS:
            self._fps = round((pictures - before) * 1e9 / (now_ns - then_ns), 1)
            self._counted = (now_ns, pictures)
        return self._fps


def open_tape(config: Config, source: Source, memory: Memory | None = None) -> TapeWriter | None:
    """Where what comes is to be kept, if it is; what an earlier capture node has kept is left alone.

    Raises `UserError` for a file that cannot be made.
    """
    o = config.output
    if o.tape is None:
        return None
    if Path(o.tape).resolve() == Path(config.source.uri).resolve():
        raise UserError(f"output.tape: {o.tape} is what is being played; choose another file")
    path = numbered(Path(o.tape), (memory or Memory()).incarnation)
    return TapeWriter(path, pictures=o.tape_pictures, live=source.live, hop_s=config.source.hop_s)


def kept(tape: TapeWriter | None, message: Snippet | Preview | End) -> TapeWriter | None:
    """The tape, with the message on it; none from now on if it could not be written: the run goes on."""
    try:
        if tape is not None:
            tape.write(message)
        return tape
    except UserError as error:
        log.error("%s; nothing more is kept, the run goes on", error)
        return None


def run_capture(
    stage: CaptureStage,
    snippets: Sender,
    previews: Sender | None,
    lifeline: Lifeline,
    tape: TapeWriter | None = None,
) -> dict[str, Any]:
    """Read the source to its end, or until told to stop; see the last message home; the last counters.

    What is delivered is put on the tape behind it, so that a snippet which it has replaced is known by then.
    """

    def counters() -> dict[str, Any]:
        return {
            "dropped": snippets.dropped,
            "sent": snippets.sent,
            "queue": snippets.accepted - snippets.handled,
            "given_up": snippets.given_up,
        }

    lifeline.counters = counters
    last: Message | None = None
    # Everybody is waited for, so that a source at its own pace is not old, or lost, before it begins.
    for message in stage.source if lifeline.wait_for_start() else ():
        if message is None:
            if lifeline.pulse():
                continue
            break
        if isinstance(message, End):
            stage.end = message
            continue
        last = message
        sender = previews if isinstance(message, Preview) else snippets
        if sender is not None:
            deliver(sender, message, lifeline)
        tape = kept(tape, message)
        stage.passed_on(message)
        if not lifeline.pulse():
            break
    stage.source.close()
    end = stage.end or _stopped(stage, last, lifeline.clock)
    if (tape := kept(tape, end)) is not None:
        tape.close()
    for sender in (snippets, previews):
        if sender is not None and not deliver(sender, end, lifeline):
            sender.send(end, timeout_s=STOP_S)  # told to stop: one more chance to end in order
    for sender in (snippets, previews):
        if sender is not None:
            hand_over(sender, lifeline)
    return {**stage.stats(), **counters()}


def _stopped(stage: CaptureStage, last: Message | None, clock: Clock) -> End:
    """The end of a source that was told to stop."""
    return End(
        source=stage.source.source_id,
        generation=last.generation if last else 0,
        seq=last.seq + isinstance(last, Snippet) if last else 0,
        t_ns=last.t_ns if last else 0,
        emitted_ns=clock.wall_ns(),
        reason="stopped",
        counters=stage.source.counters,
    )
