"""A tape as a source: what a live run was given, given again (`streaming.tape`).

Snippets that the live pipeline was too slow for are left out, so that the same ones come in and the same
results come out, whatever the pace.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from streaming.clock import Clock
from streaming.errors import UserError
from streaming.messages import End, Message, Preview, Snippet
from streaming.sources.base import Overflow, Place
from streaming.tape import Dropped, Played, TapeReader


class TapeSource:
    """A recorded stream, played again under the name and with the stamps it had.

    hop_s: how far apart its snippets must be.
    pace: "realtime" lets everything go when it went, counted from the first `next`; "asap" as it is taken.
    start_s: where to begin, in seconds from the beginning of the tape.
    source_id: which source of a tape with several; None for the only one.
    previews: whether the moving picture is wanted.
    everything: play what the live pipeline was too slow for, too.
    after: go on behind this snippet, which an earlier capture node has passed on; None to begin.

    Raises `UserError` on construction for what is no tape, or has other sources; on iteration for damage.
    """

    live = False
    overflow: Overflow = "block"

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Clock,
        hop_s: float = 1.0,
        pace: Literal["realtime", "asap"] = "asap",
        start_s: float = 0.0,
        source_id: str | None = None,
        previews: bool = True,
        everything: bool = False,
        after: Place | None = None,
    ) -> None:
        self._tape = TapeReader(path)
        known = self._tape.sources
        if (source_id is None and len(known) > 1) or (source_id is not None and source_id not in known):
            found = "several sources" if source_id is None else f"no source {source_id!r}"
            raise UserError(f"{path}: found {found}, expected one of {', '.join(known)} (source.id)")
        if hop_s != self._tape.hop_s:
            told = f"found {hop_s:g}, expected {self._tape.hop_s:g}, as the recording was made"
            raise UserError(f"{path}: source.hop_s: {told}")
        self.source_id = source_id or next(iter(known))
        self.duration_s = self._tape.duration_s
        if start_s and self.duration_s and start_s >= self.duration_s:
            raise UserError(
                f"{path}: source.start_s: found {start_s:g}, expected less than {self.duration_s:g}"
            )
        self._clock, self._pace, self._start_s = clock, pace, start_s
        self._previews, self._everything, self._after = previews, everything, after
        self._stop = threading.Event()
        self._snippets = self._left_out = self._gaps = 0

    @property
    def counters(self) -> dict[str, int | float | str]:
        return {"frames": self._snippets, "gaps": self._gaps, "left_out": self._left_out}

    def __iter__(self) -> Iterator[Snippet | Preview | End]:
        begun_ns, first_ns, last = self._clock.monotonic_ns(), None, None
        for tape_ns, message in self._taken():
            if self._is_past(message):
                last = message
                continue
            first_ns = tape_ns if first_ns is None else first_ns
            if self._pace == "realtime":
                self._clock.wait_until(begun_ns + tape_ns - first_ns, self._stop)
            if self._stop.is_set():
                return
            last = message
            if isinstance(message, Snippet):
                self._snippets += 1
                self._gaps += message.gap
            yield replace(message, emitted_ns=self._clock.wall_ns())
        if last is not None and not isinstance(last, End):
            yield self._end(last)

    def close(self) -> None:
        self._stop.set()

    def _taken(self) -> Iterator[tuple[int, Snippet | Preview | End]]:
        """What is played. A snippet is held until the next comes: only then is it known that it was taken."""
        held: list[tuple[int, Snippet | Preview | End]] = []
        for tape_ns, message in self._own():
            match message:
                case Dropped():
                    if not self._everything:
                        kept = [one for one in held if not _is_snippet(one[1], message.seq)]
                        self._left_out += len(held) - len(kept)
                        held = kept
                case Snippet() | End():
                    yield from held
                    held = [(tape_ns, message)]
                case Preview():
                    held.append((tape_ns, message))
        yield from held

    def _own(self) -> Iterator[Played]:
        for played in self._tape.play(self._start_s):
            if played.message.source == self.source_id and (
                self._previews or not isinstance(played.message, Preview)
            ):
                yield played

    def _is_past(self, message: Message) -> bool:
        after, place = self._after, (message.generation, message.seq)
        return after is not None and place <= (after.generation, after.seq)

    def _end(self, last: Message) -> End:
        """The end of a tape that has none."""
        return End(
            source=self.source_id,
            generation=last.generation,
            seq=last.seq + isinstance(last, Snippet),
            t_ns=last.t_ns + last.dur_ns,
            dur_ns=0,
            emitted_ns=self._clock.wall_ns(),
            reason=f"the recording stops here: {self._tape.cut_short or 'it has no end'}",
            counters=self.counters,
        )


def _is_snippet(message: Message, seq: int) -> bool:
    return isinstance(message, Snippet) and message.seq == seq
