"""The capture node: one source, cut into snippets, at the pace the pipeline takes them (paper, Section 3.1).

Picture and sound are aligned here, once; nothing downstream joins streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodes.runtime import Lifeline, deliver, hand_over
from streaming.clock import Clock
from streaming.config import Config
from streaming.errors import UserError
from streaming.link import Sender
from streaming.messages import End, Message, Preview, Snippet
from streaming.sources.base import PreviewSettings, Source
from streaming.sources.file import FileSource

STOP_S = 2.0


def open_source(config: Config, clock: Clock) -> Source:
    """The configured source; raises `UserError` for one that cannot be opened."""
    s, o = config.source, config.output
    if not s.uri:
        raise UserError("source.uri: nothing to open; give --source FILE")
    return FileSource(
        Path(s.uri),
        s.id,
        clock=clock,
        hop_s=s.hop_s,
        pace=s.pace,
        preview=PreviewSettings(max_side=o.preview_side, max_fps=o.preview_fps, quantiser=o.jpeg_quantiser)
        if o.annotated
        else None,
        start_s=s.start_s,
        video_stream=s.video_stream,
        audio_stream=s.audio_stream,
        threads=config.nodes.capture.threads,
    )


class CaptureStage:
    """The source, and what is known of it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.snippets = 0
        self.end: End | None = None

    def process(self, message: Message) -> list[Message]:
        """Nothing comes in: capture begins the line."""
        raise TypeError(f"the capture node takes no messages, got {type(message).__name__}")

    def forget(self, source: str) -> None:
        """Generations begin here."""

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        raise UserError(f"the capture node knows no request {name!r}")

    def stats(self) -> dict[str, Any]:
        counters = self.end.counters if self.end else self.source.counters
        return {"snippets": self.snippets, "duration_s": self.source.duration_s, **counters}


def run_capture(
    stage: CaptureStage, snippets: Sender, previews: Sender | None, lifeline: Lifeline
) -> dict[str, Any]:
    """Read the source to its end, or until told to stop; see the last message home; the last counters."""

    def counters() -> dict[str, Any]:
        return {"dropped": snippets.dropped, "sent": snippets.sent}

    lifeline.counters = counters
    last: Message | None = None
    # Everybody is waited for, so that a source at its own pace is not old, or lost, before it begins.
    for message in stage.source if lifeline.wait_for_start() else ():
        if isinstance(message, End):
            stage.end = message
            continue
        last = message
        sender = previews if isinstance(message, Preview) else snippets
        if sender is not None:
            deliver(sender, message, lifeline)
        stage.snippets += isinstance(message, Snippet)
        if not lifeline.pulse():
            break
    stage.source.close()
    end = stage.end or _stopped(stage, last, lifeline.clock)
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
