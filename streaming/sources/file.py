"""A recording as a source: PyAV reads both tracks from one demuxer, so that they share one clock.

What is stamped before zero of stream time (see `Recording`) is priming, and left out. Damaged packets are
counted, skipped and flagged as gaps, and the run goes on. What is decoded and cut does not depend on the
pace.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
from av.error import FFmpegError

from streaming.clock import Clock
from streaming.errors import UserError
from streaming.messages import End, Preview, Snippet
from streaming.snippets import Window
from streaming.sources.base import Overflow, Place, PreviewSettings, nanoseconds
from streaming.sources.cutting import Cut, Cutting
from streaming.sources.picture_times import PictureStamps
from streaming.sources.pictures import too_large
from streaming.sources.recording import NO_PICTURE, Recording

log = logging.getLogger(__name__)

MAX_READ_ERRORS = 20
# Sound is coded in packets: the last one may be padded, and reach this far beyond the end of the file.
MAX_PADDING_NS = 100_000_000


class FileSource:
    """Any container and codec FFmpeg reads, as snippets. See `streaming.snippets` for how they are cut.

    pace: "realtime" lets a snippet go when its window would have ended had the file begun to play at the
        first `next`; "asap" as fast as they are taken. The contents are the same.
    preview: how the previews are made; None for none.
    start_s: where to begin, in stream time.
    video_stream, audio_stream: index in the file of the stream to take; None for FFmpeg's own choice.
    threads: of the video decoder.
    after: go on behind this snippet, which an earlier capture node has passed on; None to begin.

    `duration_s` is how long the file says it is, in stream time; 0 when it does not say.

    It plays once. Raises `UserError`: on construction for a file that cannot be opened as a video or a choice
    that it does not offer, on iteration when not a single picture can be decoded.
    """

    live = False
    overflow: Overflow = "block"

    def __init__(
        self,
        path: str | Path,
        source_id: str,
        *,
        clock: Clock,
        hop_s: float = 1.0,
        pace: Literal["realtime", "asap"] = "asap",
        preview: PreviewSettings | None = None,
        start_s: float = 0.0,
        video_stream: int | None = None,
        audio_stream: int | None = None,
        threads: int = 1,
        after: Place | None = None,
    ):
        self.source_id = source_id
        self.path = Path(path)
        self._clock = clock
        self._realtime = pace == "realtime"
        self._preview = preview
        self._after = after
        self._start_ns = after.t_ns + round(hop_s * 1e9) if after else round(start_s * 1e9)
        self._stop = threading.Event()
        self._started = False
        self._file = Recording(self.path, video_stream=video_stream, audio_stream=audio_stream)
        self.duration_s = self._file.duration_s
        try:
            self._cutting = Cutting(
                source_id,
                clock=clock,
                hop_s=hop_s,
                has_sound=self._file.audio is not None,
                sound_format=self._file.sound_format,
                preview=preview,
                origin_ns=self._start_ns,
                generation=after.generation if after else 0,
                seq=after.seq + 1 if after else 0,
            )
            self._file.video.codec_context.thread_count = threads
            self._file.seek(min(self._start_ns / 1e9, self._last_s) if after else start_s)
        except BaseException:
            self._file.close()
            raise
        self._cutter = self._cutting.cutter
        self._cutting.aspect = self._file.aspect
        self._cutting.size = (self._file.video.width, self._file.video.height)
        self._stamps = PictureStamps(self._file.container.format.name)
        self._next_picture_ns = self._next_sound_ns = 0
        self._frames = self._corrupt_packets = self._read_errors = 0

    @property
    def counters(self) -> dict[str, int | float | str]:
        """What has been read so far; `gaps` are the snippets that carry the flag."""
        return {
            "frames": self._frames,
            "corrupt_packets": self._corrupt_packets,
            "read_errors": self._read_errors,
            "gaps": self._cutter.gaps,
            "seconds": round(self._cutter.covered_s, 3),
        }

    def __iter__(self) -> Iterator[Snippet | Preview | End]:
        if self._started:
            raise RuntimeError("a FileSource plays once; make a new one to play the file again")
        self._started = True
        try:
            yield from self._messages()
        except FFmpegError as error:
            raise UserError(f"{self.path}: FFmpeg cannot convert what is in it ({error.strerror})") from None
        finally:
            self._file.close()

    def close(self) -> None:
        self._stop.set()
        if not self._started:
            self._file.close()

    @property
    def _last_s(self) -> float:
        """A moment that is still in the file: where to seek when all of it has been passed on before."""
        return max(0.0, self.duration_s - 0.01) if self.duration_s else self._start_ns / 1e9

    # Messages: what is cut, made ready and let go in its time

    def _messages(self) -> Iterator[Snippet | Preview | End]:
        pacer = Pacer(self._clock, self._stop) if self._realtime else None
        seq, end_ns = (self._after.seq + 1, self._start_ns) if self._after else (0, 0)
        for cut in self._cuts():
            ready, end_ns = self._cutting.ready(cut), cut.end_ns
            if self._stop.is_set() or (pacer and not pacer.wait(cut)):
                return
            yield from self._cutting.messages(ready)
            if isinstance(cut, Window):
                seq = cut.seq + 1
        if self._stop.is_set():
            return
        if not self._frames and not self._after:
            raise UserError(f"{self.path}: {NO_PICTURE}")
        yield End(
            source=self.source_id,
            generation=self._cutter.generation,
            seq=seq,
            t_ns=end_ns,
            dur_ns=0,
            emitted_ns=self._clock.wall_ns(),
            reason=self._reason(),
            counters=self.counters,
        )

    def _reason(self) -> str:
        end_s = max(self._next_picture_ns, self._next_sound_ns) / 1e9
        if self._read_errors or self.duration_s - end_s > 1.0:
            says = f"read up to {end_s:.2f} s, it says {self.duration_s:.2f} s"
            return f"the file is damaged or cut short: {says}"
        if self._cutter.has_sound and not self._next_sound_ns:
            return "end of file; nothing of its sound could be read"
        return "end of file"

    # Decoding: packets in, windows and strips out

    def _cuts(self) -> Iterator[Cut]:
        for frame in self._decoded():
            if self._stop.is_set():
                return
            yield from self._picture(frame) if isinstance(frame, av.VideoFrame) else self._sound(frame)
        yield from self._cutting.sound(None)
        yield from self._cutter.finish(self._end_ns())

    def _end_ns(self) -> int | None:
        """Where the clip ends when that is before the end of its last packet of sound."""
        end_ns = max(self._next_picture_ns, round(self.duration_s * 1e9))
        return end_ns if 0 < self._next_sound_ns - end_ns <= MAX_PADDING_NS else None

    def _decoded(self) -> Iterator[av.VideoFrame | av.AudioFrame]:
        """The frames of both tracks as they come out of the file; damage is noted and passed over."""
        streams = self._file.streams
        while True:
            try:
                for packet in self._file.container.demux(*streams):
                    yield from self._decode(packet.stream, packet)
                return
            except FFmpegError as error:
                self._read_errors += 1
                self._cutter.lost(sound=True)
                log.debug("%s: %s", self.path, error)
            if self._read_errors >= MAX_READ_ERRORS:
                for stream in streams:
                    yield from self._decode(stream, None)
                return

    def _decode(self, stream: Any, packet: av.Packet | None) -> Iterator[av.VideoFrame | av.AudioFrame]:
        corrupt = packet is not None and packet.is_corrupt
        if packet is not None and stream.type == "video":
            self._stamps.note(packet)
        try:
            yield from stream.decode(packet)
        except FFmpegError as error:
            corrupt = True
            log.debug("%s: stream %d: %s", self.path, stream.index, error)
        if corrupt:
            self._corrupt_packets += 1
            stamp = None if packet is None else packet.pts
            t_ns = None if stamp is None else self._file.stream_ns(stamp, stream.time_base)
            self._cutter.lost(t_ns, sound=stream.type == "audio")

    def _picture(self, frame: av.VideoFrame) -> Iterator[Cut]:
        t_ns = self._next_picture_ns
        if (stamp := self._stamps.of(frame)) is not None:
            t_ns = self._file.stream_ns(stamp, frame.time_base)
        dur_ns = nanoseconds(frame.duration, frame.time_base) if frame.duration else 0
        rate = self._file.video.average_rate
        self._next_picture_ns = t_ns + (dur_ns or (round(1_000_000_000 / rate) if rate else 0))
        self._frames += 1
        if (frame.width, frame.height) != self._cutting.size:
            if wrong := too_large(frame.width, frame.height, self._file.aspect):
                log.warning("%s: at %.2f s: %s; left out", self.path, t_ns / 1e9, wrong)
                self._cutter.lost(t_ns)
                return
            yield from self._cutter.restart(t_ns)
        if frame.is_corrupt:
            self._cutter.lost(t_ns)
        yield from self._cutting.picture(t_ns, frame, dur_ns=self._next_picture_ns - t_ns)

    def _sound(self, frame: av.AudioFrame) -> Iterator[Cut]:
        if frame.pts is None:
            frame.time_base = Fraction(1, 1_000_000_000)
            frame.pts = self._next_sound_ns + self._file.zero_ns
        t_ns = self._file.stream_ns(frame.pts, frame.time_base)
        self._next_sound_ns = t_ns + frame.samples * 1_000_000_000 // frame.sample_rate
        yield from self._cutting.sound(frame, self._file.zero_ns)


class Pacer:
    """Lets every cut go when its end would have been shown by a player that began with the first one."""

    def __init__(self, clock: Clock, stop: threading.Event):
        self._clock = clock
        self._stop = stop
        self._due_ns = clock.monotonic_ns()
        self._generation: int | None = None
        self._offset_ns = 0

    def wait(self, cut: Cut) -> bool:
        """Sleep until the cut is due. Returns False when `stop` was set before."""
        if cut.generation != self._generation:
            self._generation, self._offset_ns = cut.generation, self._due_ns - cut.t_ns
        self._due_ns = max(self._due_ns, self._offset_ns + cut.end_ns)
        return self._clock.wait_until(self._due_ns, self._stop)
