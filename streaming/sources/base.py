"""What every source is: something that yields snippets, previews and, last, one end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from streaming.messages import End, Preview, Snippet
from streaming.snippets import Strip, Window

Overflow = Literal["block", "latest"]


class Source(Protocol):
    """One camera, microphone, stream or recording.

    Iterating yields the `Preview` of a hop right before the `Snippet` it belongs to, and one `End` behind the
    last; a source that can be lost keeps trying instead of ending. While a live one has nothing it yields
    None, ten times a second, so that whoever iterates can see to other things; with the pace of real time it
    blocks until the moment. `UserError` tells what the user can mend.
    """

    source_id: str
    live: bool  # material comes when it comes; False: it can be read at any pace
    overflow: Overflow  # what its link should do when the consumer is slower
    duration_s: float  # how long it is; 0 where nobody knows

    @property
    def counters(self) -> dict[str, int | float | str]:
        """What has come so far, and in which state it is, for the status and the summary; from any thread."""
        ...

    def __iter__(self) -> Iterator[Snippet | Preview | End | None]: ...

    def close(self) -> None:
        """Let go of files and devices and end the iteration, from any thread; a second call does nothing."""
        ...


class Place(NamedTuple):
    """A snippet by its numbers, and where it begins: how far a source has come."""

    generation: int
    seq: int
    t_ns: int


@dataclass(frozen=True, kw_only=True)
class PreviewSettings:
    """How much of the moving picture is passed on for people to see."""

    max_side: int = 640  # pixels of the longer side of a JPEG; smaller pictures are not enlarged
    max_fps: float = 30.0
    quantiser: int = 4  # of the JPEGs, 2 (finest) to 31 (coarsest)


def snippet_of(
    window: Window[Any],
    *,
    source: str,
    frame: np.ndarray,
    has_audio: bool,
    emitted_ns: int,
    stage_ms: dict[str, float],
) -> Snippet:
    """The message of a window whose picture has been made an (H, W, 3) uint8 RGB array."""
    return Snippet(
        source=source,
        generation=window.generation,
        seq=window.seq,
        t_ns=window.t_ns,
        gap=window.gap,
        emitted_ns=emitted_ns,
        stage_ms=stage_ms,
        frame=frame,
        audio=window.audio,
        frame_t_ns=window.frame_t_ns,
        has_audio=has_audio,
    )


def preview_of(
    strip: Strip, *, source: str, audio_rate_hz: int, frame_size: tuple[int, int], emitted_ns: int
) -> Preview:
    """The message of a strip. Its `t_ns` and `dur_ns` are those of the strip, not of the whole window."""
    return Preview(
        source=source,
        generation=strip.generation,
        seq=strip.seq,
        t_ns=strip.t_ns,
        dur_ns=strip.dur_ns,
        gap=strip.gap,
        emitted_ns=emitted_ns,
        jpegs=[jpeg for _, jpeg in strip.thumbnails],
        frame_t_ns=[t_ns for t_ns, _ in strip.thumbnails],
        audio=strip.audio,
        audio_rate_hz=audio_rate_hz,
        frame_size=frame_size,
    )


def nanoseconds(ticks: int, time_base: Fraction | None) -> int:
    """A time or duration of FFmpeg's in nanoseconds, to the nearest one."""
    assert time_base is not None, "FFmpeg gives every stream and frame a time base"
    numerator, denominator = 2 * time_base.numerator * 1_000_000_000, 2 * time_base.denominator
    return (ticks * numerator + time_base.denominator) // denominator
