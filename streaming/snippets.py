"""Cuts one-second snippets out of a picture track and a sound track that share one clock.

This is the only place where picture and sound are aligned; nothing downstream joins streams. It is pure:
decoded material goes in with its presentation times, in any interleaving, and windows come out.

The grid: window k covers [origin + k * hop, origin + k * hop + 1 s). The origin is given, or is the time of
    the first thing that comes.
The picture of a window is the last frame whose time lies before the window's end (AVSBench takes the last
    frame of each second); a frame stamped exactly at the end belongs to the next second. Where no frame has
    come by then, because the pictures start late, it is the first one after.
The sound of a window is exactly 16,000 samples, counted and never timed: see `SoundTrack`. Where there is
    none (it starts late, ends early, or there is no sound track) it is zeros.
A gap marks every window in which, or right before which, something was lost.
Waiting: when one track is `patience_s` ahead of a window's end, the other is no longer waited for. The last
    frame stands in for missing ones, at most `hold_s` beyond its own time.
A generation begins where pictures go back by more than a second, leap ahead by more than `hold_s` (which is
    also how they return after a longer absence), or where the source says so. The window under way is closed
    as at the end of a stream, the grid restarts at the new picture, and the first window has the gap flag. A
    leap counts once the next picture confirms it: a single absurd stamp costs its frame and flags a gap.
    Pictures alone decide this: sound that is more than `hold_s` away from them is dropped.
The end: a last window that lacks no more than 0.1 s is cut, a shorter rest is not, so that a clip of 10.1 s
    gives ten snippets, one of 9.95 s as well, and one of 5.3 s five. A clip shorter than a second still gives
    one, padded with zeros.
The strip is the moving picture (thumbnails) and sound at its own rate that belong to a window's last hop; the
    first one covers its whole window. The rest that makes no snippet still makes a strip, with the number the
    next snippet would have had, so that the strips together are as long as the clip.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from streaming.errors import UserError
from streaming.sound_track import SoundTrack

SAMPLE_RATE_HZ = 16_000
SNIPPET_NS = 1_000_000_000
REWIND_NS = 1_000_000_000
TAIL_NS = 100_000_000

Frame = TypeVar("Frame")


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The moving picture and sound of [t_ns, t_ns + dur_ns), for people to see and hear.

    `thumbnails`: (presentation time, encoded picture). `audio`: (n, channels) int16; n = 0 without sound.
    """

    generation: int
    seq: int
    t_ns: int
    dur_ns: int
    gap: bool
    thumbnails: list[tuple[int, bytes]]
    audio: np.ndarray

    @property
    def end_ns(self) -> int:
        return self.t_ns + self.dur_ns


@dataclass(frozen=True, kw_only=True)
class Window(Generic[Frame]):
    """One second on the grid, its picture still as the decoder gave it; `audio` is (16000,) float32."""

    generation: int
    seq: int
    t_ns: int
    gap: bool
    frame: Frame
    frame_t_ns: int
    audio: np.ndarray
    strip: Strip | None

    @property
    def end_ns(self) -> int:
        return self.t_ns + SNIPPET_NS


class SnippetCutter(Generic[Frame]):
    """Takes decoded pictures and sound, gives windows as soon as they are complete. See the module for rules.

    Memory: one frame per hop, and the sound and thumbnails, of at most `patience_s` (before the first
    picture: `hold_s`) beyond the window that is being waited for.

    hop_s: distance of windows; 1 / hop_s is whole, and so are its samples.
    has_sound: whether sound is to be waited for at all.
    origin_ns: start of the grid; earlier sound is left out, earlier pictures only stand in for later ones.
    strip: (rate_hz, channels) of the sound for people; None for no strips.
    generation, seq: number of the first one, and of the first window.

    Raises `UserError` for a hop that does not divide the second.
    """

    def __init__(
        self,
        hop_s: float,
        *,
        has_sound: bool,
        origin_ns: int | None = None,
        strip: tuple[int, int] | None = None,
        patience_s: float = 5.0,
        hold_s: float = 10.0,
        generation: int = 0,
        seq: int = 0,
    ):
        hops = round(1 / hop_s) if 0.001 < hop_s <= 1 else 0
        if not hops or abs(hops * hop_s - 1) > 1e-6 or SAMPLE_RATE_HZ % hops:
            raise UserError(
                f"hop_s: found {hop_s}, expected a whole fraction of a second: 1.0, 0.5, 0.25, 0.2"
            )
        self._hop_ns = SNIPPET_NS // hops
        self._patience_ns = round(patience_s * 1e9)
        self._hold_ns = round(hold_s * 1e9)
        self.has_sound = has_sound
        self._sound = SoundTrack(SAMPLE_RATE_HZ)
        self._strip_sound = SoundTrack(strip[0], dtype=np.int16, channels=strip[1]) if strip else None
        self.generation = generation
        self.gaps = 0
        self._seq = seq
        self._past_ns = 0
        self._begin(origin_ns)

    @property
    def covered_s(self) -> float:
        """Seconds of material seen, all generations together."""
        return (self._past_ns + self._end_of_clip() - (self._origin_ns or 0)) / 1e9

    def picture(
        self, t_ns: int, frame: Frame, *, dur_ns: int = 0, thumbnail: bytes | None = None
    ) -> list[Window[Frame] | Strip]:
        """Add a frame shown from t_ns on. One that is no newer than the last is ignored, unless it leaps."""
        cuts: list[Window[Frame] | Strip] = []
        suspect, self._suspect = self._suspect, None
        leaps = self._leaps(t_ns)
        if suspect is not None:
            if leaps and t_ns >= suspect[0] - REWIND_NS:
                cuts = [*self._break(suspect[0], leap=True), *self._show(*suspect)]
                leaps = self._leaps(t_ns)
            else:
                self.lost()
        if leaps:
            self._suspect = (t_ns, frame, dur_ns, thumbnail)
            return cuts
        return cuts + self._show(t_ns, frame, dur_ns, thumbnail)

    def sound(self, t_ns: int, samples: np.ndarray) -> list[Window[Frame] | Strip]:
        """Add (n,) float32 samples of 16 kHz mono that start at t_ns."""
        return self._put(self._sound, t_ns, samples)

    def strip_sound(self, t_ns: int, samples: np.ndarray) -> list[Window[Frame] | Strip]:
        """Add (n, channels) int16 samples, for the strip, of the sound that starts at t_ns."""
        assert self._strip_sound is not None, "a cutter without strips has no place for their sound"
        return self._put(self._strip_sound, t_ns, samples)

    def lost(self, t_ns: int | None = None, *, sound: bool = False) -> None:
        """Note that something was lost at t_ns (None: about here), in the sound or in the picture."""
        t_ns = self._newest_ns() if t_ns is None else t_ns
        self._note(t_ns, t_ns)
        if sound:
            for track in self._tracks():
                track.resync()

    def restart(self, origin_ns: int | None = None) -> list[Window[Frame] | Strip]:
        """Close this generation and begin the next, its grid at origin_ns (None: at what comes first)."""
        return self._break(origin_ns, leap=False)

    def finish(self, end_ns: int | None = None) -> list[Window[Frame] | Strip]:
        """The stream has ended: what is left of it. end_ns: leave out what lies behind."""
        self._limit_ns = end_ns
        return self._close(last=True)

    def _show(
        self, t_ns: int, frame: Frame, dur_ns: int, thumbnail: bytes | None
    ) -> list[Window[Frame] | Strip]:
        if self._origin_ns is None:
            self._origin_ns = t_ns
        if self._picture_ns is not None and t_ns <= self._picture_ns:
            return []
        slot = max(0, (t_ns - self._origin_ns - SNIPPET_NS) // self._hop_ns + 1)
        if self._frames and self._frames[-1][0] == slot:
            self._frames.pop()
        self._frames.append((slot, t_ns, frame))
        if thumbnail is not None:
            self._thumbnails.append((t_ns, thumbnail))
        self._picture_dur_ns = dur_ns or (0 if self._picture_ns is None else t_ns - self._picture_ns)
        self._picture_ns = t_ns
        return self._cut_ready()

    def _break(self, origin_ns: int | None, *, leap: bool) -> list[Window[Frame] | Strip]:
        # After a leap, the sound so far is of another scene; else it may be ahead, and what lies behind the
        # new origin belongs to the next generation.
        self._limit_ns = None if leap else origin_ns
        cuts = self._close()
        self._past_ns += self._end_of_clip() - (self._origin_ns or 0)
        for track in self._tracks():
            far = origin_ns is None or abs((track.end_ns or 0) - origin_ns) > self._hold_ns
            if leap or far:
                track.clear(leave=leap)
        self.generation += 1
        self._begin(origin_ns)
        self._after_break = True
        return cuts

    def _begin(self, origin_ns: int | None) -> None:
        self._origin_ns = origin_ns
        self._limit_ns: int | None = None
        self._window = 0
        self._stripped_ns: int | None = None
        self._frames: deque[tuple[int, int, Frame]] = deque()
        self._thumbnails: deque[tuple[int, bytes]] = deque()
        self._picture_ns: int | None = None
        self._picture_dur_ns = 0
        self._suspect: tuple[int, Frame, int, bytes | None] | None = None
        self._losses: list[tuple[int, int]] = []
        self._after_break = False

    def _tracks(self) -> list[SoundTrack]:
        return [self._sound] if self._strip_sound is None else [self._sound, self._strip_sound]

    def _newest_ns(self) -> int:
        times = [self._picture_ns, self._origin_ns, *(track.end_ns for track in self._tracks())]
        return max((t for t in times if t is not None), default=0)

    def _leaps(self, t_ns: int) -> bool:
        if self._origin_ns is None:
            return False
        if self._picture_ns is None or self._picture_ns < self._origin_ns:
            return t_ns > self._origin_ns + self._hold_ns
        return not self._picture_ns - REWIND_NS <= t_ns <= self._picture_ns + self._hold_ns

    def _put(self, track: SoundTrack, t_ns: int, samples: np.ndarray) -> list[Window[Frame] | Strip]:
        if self._origin_ns is None:
            self._origin_ns = t_ns
        if track.index(t_ns) + len(samples) <= track.index(self._origin_ns):
            return []
        about_ns = self._origin_ns if self._picture_ns is None else self._picture_ns
        if abs(t_ns - about_ns) > self._hold_ns:
            self.lost()
            return []
        if loss := track.put(t_ns, samples):
            self._note(*loss)
        return self._cut_ready()

    def _note(self, begin_ns: int, end_ns: int) -> None:
        if self._losses and self._losses[-1][0] <= begin_ns <= self._losses[-1][1]:
            begin_ns, end_ns = self._losses[-1][0], max(end_ns, self._losses.pop()[1])
        self._losses.append((begin_ns, end_ns))

    def _cut_ready(self) -> list[Window[Frame] | Strip]:
        cuts: list[Window[Frame] | Strip] = []
        while self._ready(self._window_ns() + SNIPPET_NS):
            cuts.append(self._cut())
        return cuts

    def _ready(self, end_ns: int) -> bool:
        if self._picture_ns is None or end_ns - self._picture_ns > self._hold_ns:
            return False
        if self._newest_ns() - end_ns >= self._patience_ns:
            return True
        heard = not self.has_sound or all(track.reaches(end_ns) for track in self._tracks())
        return heard and self._picture_ns >= end_ns

    def _window_ns(self) -> int:
        return (self._origin_ns or 0) + self._window * self._hop_ns

    def _cut(self, end_of_clip_ns: int | None = None) -> Window[Frame]:
        start_ns = self._window_ns()
        end_ns = start_ns + SNIPPET_NS
        while len(self._frames) > 1 and self._frames[1][0] <= self._window:
            self._frames.popleft()
        _, frame_t_ns, frame = self._frames[0]
        gap = self._after_break or any(begin < end_ns for begin, _ in self._losses)
        window = Window(
            generation=self.generation,
            seq=self._seq,
            t_ns=start_ns,
            gap=gap,
            frame=frame,
            frame_t_ns=frame_t_ns,
            audio=self._sound.take(start_ns, end_ns),
            strip=self._cut_strip(end_ns if end_of_clip_ns is None else min(end_ns, end_of_clip_ns), gap),
        )
        self.gaps += gap
        self._seq += 1
        self._window += 1
        self._after_break = False
        self._losses = [loss for loss in self._losses if loss[1] >= self._window_ns()]
        self._sound.forget(self._window_ns())
        return window

    def _cut_strip(self, end_ns: int, gap: bool) -> Strip | None:
        """The strip from where the last one ended to end_ns."""
        if self._strip_sound is None:
            return None
        start_ns = self._stripped_ns
        if start_ns is None:
            start_ns = self._origin_ns or 0
        while self._thumbnails and self._thumbnails[0][0] < start_ns:
            self._thumbnails.popleft()
        thumbnails = []
        while self._thumbnails and self._thumbnails[0][0] < end_ns:
            thumbnails.append(self._thumbnails.popleft())
        audio = self._strip_sound.take(start_ns, end_ns if self.has_sound else start_ns)
        self._strip_sound.forget(end_ns)
        self._stripped_ns = end_ns
        return Strip(
            generation=self.generation,
            seq=self._seq,
            t_ns=start_ns,
            dur_ns=end_ns - start_ns,
            gap=gap,
            thumbnails=thumbnails,
            audio=audio,
        )

    def _end_of_clip(self) -> int:
        """Where this generation ends: with its last picture or its sound, the picture held for a while."""
        if self._picture_ns is None:
            return self._origin_ns or 0
        ends = [self._picture_ns + self._picture_dur_ns, *(track.end_ns or 0 for track in self._tracks())]
        end_ns = min(max(ends), self._picture_ns + self._hold_ns)
        if self._limit_ns is not None:
            end_ns = min(end_ns, self._limit_ns)
        return max(self._origin_ns or 0, end_ns)

    def _close(self, *, last: bool = False) -> list[Window[Frame] | Strip]:
        cuts: list[Window[Frame] | Strip] = []
        if self._picture_ns is None:
            return cuts
        end_of_clip_ns = self._end_of_clip()
        while self._window_ns() + SNIPPET_NS <= end_of_clip_ns + TAIL_NS or (last and self._seq == 0):
            cuts.append(self._cut(end_of_clip_ns))
        done_ns = self._origin_ns if self._stripped_ns is None else self._stripped_ns
        if done_ns is not None and done_ns < end_of_clip_ns:
            tail = self._cut_strip(end_of_clip_ns, any(begin < end_of_clip_ns for begin, _ in self._losses))
            cuts += [tail] if tail else []
        return cuts
