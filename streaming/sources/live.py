"""A live source, for days: read as it comes, missed when it is gone, tried again until it is back.

Whatever it is, a network camera or devices of this machine, it is a row of connections. Stream time begins
with the source and goes on while there is none: the first frame of a connection is put where it came, the
rest by their stamps. Every connection begins a generation.

A source that sends no picture for `silent_s` is lost, even where a read blocks. Sound that stays away is
waited for no longer, and again when it is back: pictures do not get old for its sake.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av

from streaming.backoff import Backoff
from streaming.clock import Clock
from streaming.messages import End, Preview, Snippet
from streaming.snippets import SAMPLE_RATE_HZ
from streaming.sources.arrivals import Arrival, Connection, Opened
from streaming.sources.base import Overflow, Place, PreviewSettings, nanoseconds
from streaming.sources.cutting import Cut, Cutting
from streaming.sources.pictures import too_large
from streaming.sources.playout import POLL_S, Playout

PATIENCE_S = 0.4  # how long a track waits for the other
DEAF_S = 2.0  # sound that stays away longer is no longer waited for
OPEN_S = 12.0  # what opening may take, beyond the silence that is allowed
STEADY_S = 10.0  # a connection that has lasted so long was a success

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LiveOptions:
    """How any live source is read."""

    hop_s: float = 1.0  # from one snippet to the next
    preview: PreviewSettings | None = None  # how previews are made; None for none
    silent_s: float = 5.0  # how long it may send no picture before it counts as lost
    retry_s: tuple[float, float] = (1.0, 30.0)  # the shortest and the longest wait before it is tried again
    begun_ns: int | None = None  # when its time began, by the monotonic clock; None: when it is iterated
    after: Place | None = None  # go on behind this snippet of an earlier capture node; None to begin


class LiveSource:
    """Whatever connections bring, as snippets.

    connect: makes the next connection; it does not wait for it to open.
    shown: what people are told it is.
    bursts: it comes in bursts, and is to be evened out.

    While nothing is there to be passed on, iterating yields None ten times a second, so that whoever iterates
    can see to other things. It never ends by itself.
    """

    live = True
    overflow: Overflow = "latest"
    duration_s = 0.0

    def __init__(
        self,
        source_id: str,
        connect: Callable[[], Connection],
        *,
        shown: str,
        clock: Clock,
        options: LiveOptions | None = None,
        bursts: bool = False,
    ) -> None:
        self.source_id, self.shown = source_id, shown
        self._connect, self._clock, self._bursts = connect, clock, bursts
        self._options = options or LiveOptions()
        self._backoff = Backoff(*self._options.retry_s)
        self._stop = threading.Event()
        self._begun_ns = 0
        self._cutting: Cutting | None = None
        self._state, self._reason = "connecting", ""
        self._connections = self._pictures = 0
        self._tally: Counter[str] = Counter()  # of earlier connections
        self._connection: Connection | None = None

    @property
    def counters(self) -> dict[str, int | float | str]:
        """`connection` is connecting, live or lost; `reason`, why it was lost last. What else went wrong is
        as its connections count it."""
        cutter = self._cutting and self._cutting.cutter
        connection = self._connection
        tally = self._tally.copy()
        tally.update(connection.tally if connection else {})
        return {
            "connection": self._state,
            "reason": self._reason,
            "connections": self._connections,
            "frames": self._pictures,
            "gaps": cutter.gaps if cutter else 0,
            "seconds": round(cutter.covered_s, 3) if cutter else 0.0,
            **tally,
        }

    def __iter__(self) -> Iterator[Snippet | Preview | End | None]:
        begun_ns = self._options.begun_ns
        self._begun_ns = self._clock.monotonic_ns() if begun_ns is None else begun_ns
        while not self._stop.is_set():
            connection = self._connection = self._connect()
            try:
                yield from self._watch(connection)
            finally:
                connection.close()
                self._tally.update(connection.tally)
                self._connection = None
            if not self._stop.is_set():
                yield from self._wait(connection.lost or f"no picture for {self._options.silent_s:g} s")

    def close(self) -> None:
        self._stop.set()

    def _watch(self, connection: Connection) -> Iterator[Snippet | Preview | None]:
        """What comes over a connection, until it is lost."""
        feed: Feed | None = None
        playout = Playout(self._clock) if self._bursts else None
        begun_ns = seen_ns = self._clock.monotonic_ns()
        limit_s = OPEN_S + self._options.silent_s
        while not self._stop.is_set():
            arrival = connection.take(POLL_S)
            now_ns = self._clock.monotonic_ns()
            if arrival is None:
                yield None
            else:
                feed = feed or self._begin(connection.opened)
                if isinstance(arrival.frame, av.VideoFrame):
                    self._pictures += 1
                    seen_ns, limit_s, self._state = now_ns, self._options.silent_s, "live"
                yield from self._messages(feed.take(arrival), playout)
            if now_ns - begun_ns > STEADY_S * 1e9 and self._state == "live":
                self._backoff.succeeded()
            if now_ns - seen_ns > limit_s * 1e9 or (arrival is None and connection.lost is not None):
                break
        if feed is not None and not self._stop.is_set():
            yield from self._messages(feed.close(), None)

    def _begin(self, opened: Opened | None) -> Feed:
        assert opened is not None, "what is not open brings nothing"
        self._connections += 1
        if self._cutting is None:
            after = self._options.after
            self._cutting = Cutting(
                self.source_id,
                clock=self._clock,
                hop_s=self._options.hop_s,
                has_sound=opened.sound_format is not None,
                sound_format=opened.sound_format or (SAMPLE_RATE_HZ, 1),
                preview=self._options.preview,
                generation=after.generation + 1 if after else 0,
                seq=after.seq + 1 if after else 0,
                patience_s=PATIENCE_S,
            )
        with_sound = "with sound" if opened.sound_format else "without sound"
        log.info("%s: connected to %s: %s, %s", self.source_id, self.shown, opened.what, with_sound)
        return Feed(self._cutting, opened, self._begun_ns, self.source_id)

    def _messages(self, cuts: Iterator[Cut], playout: Playout | None) -> Iterator[Snippet | Preview | None]:
        assert self._cutting is not None
        for cut in cuts:
            ready = self._cutting.ready(cut)
            while playout is not None and not playout.wait(cut, self._stop):
                if self._stop.is_set():
                    return
                yield None
            yield from self._cutting.messages(ready)

    def _wait(self, reason: str) -> Iterator[None]:
        """Until it is time to try again."""
        delay_s = self._backoff.failed()
        if self._state == "live" or reason != self._reason:
            log.warning("%s: %s: %s; trying again", self.source_id, self.shown, reason)
        self._state, self._reason = "lost", reason
        until_ns = self._clock.monotonic_ns() + round(delay_s * 1e9)
        while (now_ns := self._clock.monotonic_ns()) < until_ns and not self._stop.is_set():
            self._clock.wait_until(min(until_ns, now_ns + round(POLL_S * 1e9)), self._stop)
            yield None
        self._state = "connecting"


class Feed:
    """What comes over one connection, put in its places in stream time and cut.

    begun_ns: when stream time began, by the monotonic clock.
    """

    def __init__(self, cutting: Cutting, opened: Opened, begun_ns: int, source_id: str) -> None:
        self._cutting, self._begun_ns, self._source_id = cutting, begun_ns, source_id
        self._sounds = opened.sound_format is not None
        self._zero_ns: int | None = None
        self._picture_ns = self._sound_ns = 0  # where the newest of each ends, in stream time
        self._sized = False
        cutting.aspect = opened.aspect
        cutting.cutter.has_sound = self._sounds

    def take(self, arrival: Arrival) -> Iterator[Cut]:
        """The cuts that become complete with what has arrived."""
        frame = arrival.frame
        if frame is None or frame.pts is None:  # a frame without a stamp belongs nowhere
            self._cutting.cutter.lost(sound=arrival.sound)
        else:
            stamp_ns = nanoseconds(frame.pts, frame.time_base)
            if self._zero_ns is None:
                self._zero_ns = stamp_ns - (arrival.came_ns - self._begun_ns)
                self._picture_ns = self._sound_ns = stamp_ns - self._zero_ns
            t_ns = stamp_ns - self._zero_ns
            yield from (
                self._picture(t_ns, frame) if isinstance(frame, av.VideoFrame) else self._sound(t_ns, frame)
            )

    def close(self) -> Iterator[Cut]:
        """The connection is lost: what is left of it. The next generation begins."""
        yield from self._cutting.sound(None)
        yield from self._cutting.cutter.restart()

    def _picture(self, t_ns: int, frame: av.VideoFrame) -> Iterator[Cut]:
        cutter = self._cutting.cutter
        if (frame.width, frame.height) != self._cutting.size or not self._sized:
            if wrong := too_large(frame.width, frame.height, self._cutting.aspect):
                log.warning("%s: %s; left out", self._source_id, wrong)
                cutter.lost(t_ns)
                return
            if self._sized:
                yield from cutter.restart(t_ns)
            self._sized = True
        if frame.is_corrupt:
            cutter.lost(t_ns)
        self._picture_ns = t_ns
        if cutter.has_sound and t_ns - self._sound_ns > DEAF_S * 1e9:
            cutter.has_sound = False
            log.warning("%s: no sound any more; going on without", self._source_id)
        yield from self._cutting.picture(t_ns, frame)

    def _sound(self, t_ns: int, frame: av.AudioFrame) -> Iterator[Cut]:
        assert self._zero_ns is not None
        self._sound_ns = t_ns + frame.samples * 1_000_000_000 // frame.sample_rate
        if not self._cutting.cutter.has_sound and abs(self._sound_ns - self._picture_ns) < DEAF_S * 1e9:
            self._cutting.cutter.has_sound = True
            log.info("%s: sound is back", self._source_id)
        yield from self._cutting.sound(frame, self._zero_ns)
