"""A recording as a source: PyAV reads both tracks from one demuxer, so that they share one clock.

Stream time is the file's presentation time, less the start of the earlier of the two tracks where that is
positive; what is stamped before zero is priming, and left out. Damaged packets are counted, skipped and
flagged as gaps, and the run goes on. What is decoded and cut does not depend on the pace.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.logging import set_level
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.stream import VideoStream

from streaming.clock import Clock
from streaming.errors import UserError
from streaming.messages import MAX_PART_BYTES, MAX_SIDE, End, Preview, Snippet
from streaming.snippets import SAMPLE_RATE_HZ, SnippetCutter, Strip, Window
from streaming.sources.base import Overflow, PreviewSettings, preview_of, snippet_of

log = logging.getLogger(__name__)

Cut = Window[av.VideoFrame] | Strip

# Demuxers that take text, a picture or anything at all for a video.
NO_VIDEO_FORMATS = {"tty", "bin", "xbin", "adf", "idf", "image2", "rawvideo"}
NO_PICTURE = "not one picture of its video can be decoded; the file may be damaged or encrypted"
MAX_READ_ERRORS = 20
# Seeking is exact only in files with an index: aim this much earlier, and leave out what is too early.
RUN_UP_S = 5.0
MAX_PREVIEW_RATE_HZ = 48_000


class FileSource:
    """Any container and codec FFmpeg reads, as snippets. See `streaming.snippets` for how they are cut.

    pace: "realtime" lets a snippet go when its window would have ended had the file begun to play at the
        first `next`; "asap" as fast as they are taken. The contents are the same.
    preview: how the previews are made; None for none.
    start_s: where to begin, in stream time.
    video_stream, audio_stream: index in the file of the stream to take; None for FFmpeg's own choice.
    threads: of the video decoder.

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
    ):
        self.source_id = source_id
        self.path = Path(path)
        self._clock = clock
        self._realtime = pace == "realtime"
        self._preview = preview
        self._start_ns = round(start_s * 1e9)
        self._stop = threading.Event()
        self._started = False
        self._container = open_recording(self.path)
        try:
            self._video = _video_stream(self._container, self.path, video_stream)
            self._audio = _audio_stream(self._container, self.path, audio_stream)
            self._aspect = _pixel_aspect(self._video)
            width, height = self._video.width, self._video.height
            if wrong := NO_PICTURE if not width or not height else self._too_large(width, height):
                raise UserError(f"{self.path}: {wrong}")
            self._video.codec_context.thread_count = threads
            rate_hz, channels = (SAMPLE_RATE_HZ, 1) if self._audio is None else _sound_format(self._audio)
            self._strip_format = (min(rate_hz, MAX_PREVIEW_RATE_HZ), min(channels, 2))
            self._cutter: SnippetCutter[av.VideoFrame] = SnippetCutter(
                hop_s,
                has_sound=self._audio is not None,
                origin_ns=self._start_ns,
                strip=self._strip_format if preview else None,
            )
            self._zero_ns = self._find_zero()
            self.duration_s = self._find_duration()
            self._seek(start_s)
        except BaseException:
            self._container.close()
            raise
        self._lanes = [Resampler("flt", "mono", SAMPLE_RATE_HZ, self._cutter.sound)]
        if preview:
            layout = "mono" if channels == 1 else "stereo"
            self._lanes.append(Resampler("s16", layout, self._strip_format[0], self._cutter.strip_sound))
        self._jpeg = JpegEncoder(preview or PreviewSettings())
        self._thumbnail_slot = -1
        self._size = (width, height)
        self._next_picture_ns = self._next_sound_ns = 0
        self._frames = self._corrupt_packets = self._read_errors = 0

    @property
    def counters(self) -> dict[str, int | float]:
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
            self._container.close()

    def close(self) -> None:
        self._stop.set()
        if not self._started:
            self._container.close()

    # Messages: what is cut, made ready and let go in its time

    def _messages(self) -> Iterator[Snippet | Preview | End]:
        pacer = Pacer(self._clock, self._stop) if self._realtime else None
        seq = end_ns = busy_ns = 0
        frame_size = display_size(*self._size, self._aspect)
        resumed_ns = self._clock.monotonic_ns()
        for cut in self._cuts():
            strip, frame, end_ns = cut if isinstance(cut, Strip) else cut.strip, None, cut.end_ns
            if isinstance(cut, Window):
                frame = upright(cut.frame, self._aspect)
                frame_size = frame.shape[:2]
            busy_ns += self._clock.monotonic_ns() - resumed_ns
            if self._stop.is_set() or (pacer and not pacer.wait(cut)):
                return
            if strip is not None:
                yield preview_of(
                    strip,
                    source=self.source_id,
                    audio_rate_hz=self._strip_format[0],
                    frame_size=frame_size,
                    emitted_ns=self._clock.wall_ns(),
                )
            if frame is not None and isinstance(cut, Window):
                seq = cut.seq + 1
                yield snippet_of(
                    cut,
                    source=self.source_id,
                    frame=frame,
                    has_audio=self._audio is not None,
                    emitted_ns=self._clock.wall_ns(),
                    stage_ms={"capture": busy_ns / 1e6},
                )
                busy_ns = 0
            resumed_ns = self._clock.monotonic_ns()
        if self._stop.is_set():
            return
        if not self._frames:
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
        if self._audio is not None and not self._next_sound_ns:
            return "end of file; nothing of its sound could be read"
        return "end of file"

    # Decoding: packets in, windows and strips out

    def _cuts(self) -> Iterator[Cut]:
        for frame in self._decoded():
            if self._stop.is_set():
                return
            yield from self._picture(frame) if isinstance(frame, av.VideoFrame) else self._sound(frame)
        for lane in self._lanes:
            for t_ns, samples in lane.resample(None):
                yield from lane.put(t_ns - self._zero_ns, samples)
        yield from self._cutter.finish()

    def _decoded(self) -> Iterator[av.VideoFrame | av.AudioFrame]:
        """The frames of both tracks as they come out of the file; damage is noted and passed over."""
        streams = [stream for stream in (self._video, self._audio) if stream is not None]
        while True:
            try:
                for packet in self._container.demux(*streams):
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
        try:
            yield from stream.decode(packet)
        except FFmpegError as error:
            corrupt = True
            log.debug("%s: stream %d: %s", self.path, stream.index, error)
        if corrupt:
            self._corrupt_packets += 1
            stamp = None if packet is None else packet.pts
            t_ns = None if stamp is None else self._stream_ns(stamp, stream.time_base)
            self._cutter.lost(t_ns, sound=stream.type == "audio")

    def _picture(self, frame: av.VideoFrame) -> Iterator[Cut]:
        t_ns = self._next_picture_ns
        if frame.pts is not None:
            t_ns = self._stream_ns(frame.pts, frame.time_base)
        dur_ns = _nanoseconds(frame.duration, frame.time_base) if frame.duration else 0
        rate = self._video.average_rate
        self._next_picture_ns = t_ns + (dur_ns or (round(1_000_000_000 / rate) if rate else 0))
        self._frames += 1
        if (frame.width, frame.height) != self._size:
            if wrong := self._too_large(frame.width, frame.height):
                log.warning("%s: at %.2f s: %s; left out", self.path, t_ns / 1e9, wrong)
                self._cutter.lost(t_ns)
                return
            self._size = (frame.width, frame.height)
            yield from self._cutter.restart(t_ns)
        if frame.is_corrupt:
            self._cutter.lost(t_ns)
        thumbnail = self._thumbnail(frame, t_ns)
        yield from self._cutter.picture(t_ns, frame, dur_ns=self._next_picture_ns - t_ns, thumbnail=thumbnail)

    def _sound(self, frame: av.AudioFrame) -> Iterator[Cut]:
        if frame.pts is None:
            frame.time_base = Fraction(1, 1_000_000_000)
            frame.pts = self._next_sound_ns + self._zero_ns
        t_ns = self._stream_ns(frame.pts, frame.time_base)
        self._next_sound_ns = t_ns + frame.samples * 1_000_000_000 // frame.sample_rate
        for lane in self._lanes:
            for stamp_ns, samples in lane.resample(frame):
                yield from lane.put(stamp_ns - self._zero_ns, samples)

    def _stream_ns(self, ticks: int, time_base: Fraction | None) -> int:
        return _nanoseconds(ticks, time_base) - self._zero_ns

    def _thumbnail(self, frame: av.VideoFrame, t_ns: int) -> bytes | None:
        if self._preview is None or t_ns < self._start_ns:
            return None
        slot = int(t_ns * self._preview.max_fps / 1e9 + 0.5)
        if slot == self._thumbnail_slot:
            return None
        self._thumbnail_slot = slot
        return self._jpeg.encode(frame, self._aspect)

    # The file: where it begins, what it may hold

    def _find_zero(self) -> int:
        starts = [
            _nanoseconds(stream.start_time, stream.time_base)
            for stream in (self._video, self._audio)
            if stream is not None and stream.start_time is not None and stream.time_base is not None
        ]
        return max(0, min(starts, default=(self._container.start_time or 0) * 1000))

    def _find_duration(self) -> float:
        """How long the file says it is, in stream time; 0 when it does not say."""
        ends_ns = []
        for stream in (self._video, self._audio):
            if stream is not None and stream.duration is not None:
                ends_ns.append(self._stream_ns((stream.start_time or 0) + stream.duration, stream.time_base))
        return max(ends_ns, default=1000 * (self._container.duration or 0)) / 1e9

    def _seek(self, start_s: float) -> None:
        if start_s < 0 or (self.duration_s and start_s >= self.duration_s):
            limit = f"0 to below {self.duration_s:.2f}"
            raise UserError(f"{self.path}: start_s: found {start_s}, expected {limit}")
        if start_s <= RUN_UP_S:
            return
        try:
            # Without an index, a seek may end behind the last key picture before the start: look where.
            for target_us in (round((start_s - RUN_UP_S) * 1e6) + self._zero_ns // 1000, 0):
                self._container.seek(target_us)
                keys = (packet for packet in self._container.demux(self._video) if packet.is_keyframe)
                key_pts = next((packet.pts for packet in keys if packet.pts is not None), None)
                self._container.seek(target_us)
                if key_pts is not None and self._stream_ns(key_pts, self._video.time_base) <= self._start_ns:
                    return
        except FFmpegError as error:
            raise UserError(f"{self.path}: start_s: FFmpeg cannot seek in it ({error.strerror})") from None

    def _too_large(self, width: int, height: int) -> str | None:
        """Why frames of this size cannot be used, or None."""
        height, width = display_size(width, height, self._aspect)
        if max(width, height) <= MAX_SIDE and 3 * width * height <= MAX_PART_BYTES:
            return None
        return (
            f"found pictures of {width} x {height}, expected at most {MAX_SIDE} on a side and "
            f"{MAX_PART_BYTES // 3_000_000} megapixels; make it smaller: ffmpeg -i FILE -vf scale=1920:-2 OUT"
        )


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


class Resampler:
    """Sound in one format, with the stamps of what went in. `put` is where it is to go."""

    def __init__(
        self, sample_format: str, layout: str, rate_hz: int, put: Callable[[int, np.ndarray], list[Cut]]
    ):
        self.put = put
        self._format, self._layout, self._rate_hz = sample_format, layout, rate_hz
        self._channels = av.AudioLayout(layout).nb_channels
        self._resampler: av.AudioResampler | None = None
        self._input: tuple[Any, ...] = ()

    def resample(self, frame: av.AudioFrame | None) -> Iterator[tuple[int, np.ndarray]]:
        """(time in ns, samples) of what this frame completes; None flushes.

        Samples: (n,) float32 within [-1, 1] for "flt", (n, channels) int16 for "s16".
        """
        if frame is None:
            yield from self._flush()
            return
        given = (frame.sample_rate, frame.layout.name, frame.format.name, frame.time_base)
        if self._resampler is None or given != self._input:
            yield from self._flush()
            self._input = given
            # FFmpeg keeps a downmix within [-1, 1] only when it writes integers; floats must be told to.
            self._resampler = av.AudioResampler(
                self._format, self._layout, self._rate_hz, options={"rematrix_maxval": "1.0"}
            )
        for resampled in self._resampler.resample(frame):
            yield self._unpacked(resampled)

    def _flush(self) -> Iterator[tuple[int, np.ndarray]]:
        resampler, self._resampler = self._resampler, None
        if resampler is not None:
            for resampled in resampler.resample(None):
                if resampled is not None:
                    yield self._unpacked(resampled)

    def _unpacked(self, frame: av.AudioFrame) -> tuple[int, np.ndarray]:
        samples = frame.to_ndarray().reshape(-1, self._channels)
        if samples.dtype == np.float32:
            samples = np.clip(np.nan_to_num(samples[:, 0]), -1.0, 1.0)
        assert frame.pts is not None, "what went in was stamped"
        return _nanoseconds(frame.pts, frame.time_base), samples


class JpegEncoder:
    """Small JPEGs of frames, upright and with square pixels."""

    def __init__(self, settings: PreviewSettings):
        self._settings = settings
        self._codec: av.VideoCodecContext | None = None
        self._count = 0

    def encode(self, frame: av.VideoFrame, aspect: Fraction) -> bytes:
        height, width = display_size(frame.width, frame.height, aspect)
        scale = min(1.0, self._settings.max_side / max(height, width))
        width, height = (max(2, round(side * scale / 2) * 2) for side in (width, height))
        small = _reformat(frame, "rgb24" if turn_of(frame) else "yuvj420p", width, height)
        if turn := turn_of(frame):
            turned = np.ascontiguousarray(_turned(small.to_ndarray(), turn))
            small = _reformat(av.VideoFrame.from_ndarray(turned, "rgb24"), "yuvj420p")
        if self._codec is None or (self._codec.width, self._codec.height) != (small.width, small.height):
            self._codec = self._new_codec(small.width, small.height)
        small.pts = self._count = self._count + 1
        small.time_base = Fraction(1, 1000)
        return b"".join(bytes(packet) for packet in self._codec.encode(small))

    def _new_codec(self, width: int, height: int) -> av.VideoCodecContext:
        codec = av.CodecContext.create("mjpeg", "w")
        assert isinstance(codec, av.VideoCodecContext)
        codec.width, codec.height, codec.pix_fmt = width, height, "yuvj420p"
        codec.time_base = Fraction(1, 1000)
        codec.qmin = codec.qmax = self._settings.quantiser
        codec.thread_count = 1
        return codec


def upright(frame: av.VideoFrame, aspect: Fraction) -> np.ndarray:
    """A frame as it is meant to be seen: turned as its display matrix says, with square pixels.

    Returns (H, W, 3) uint8 RGB.
    """
    height, width = display_size(frame.width, frame.height, aspect)
    picture = _reformat(frame, "rgb24", width, height).to_ndarray()
    return np.ascontiguousarray(_turned(picture, turn_of(frame)))


def display_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """(height, width) with square pixels, before turning; the side that is too short is lengthened."""
    return (height, round(width * aspect)) if aspect >= 1 else (round(height / aspect), width)


Turn = tuple[bool, bool, bool]


def turn_of(frame: av.VideoFrame) -> Turn | None:
    """How to turn a frame upright, (transpose, then flip left-right, then flip top-bottom); None: not at all.

    The display matrix maps (x, y) to (a x + c y, b x + d y); angles between are taken to the nearest quarter.
    """
    side_data: Any = frame.side_data
    matrix = next((data for data in side_data if data.type == SideDataType.DISPLAYMATRIX), None)
    if matrix is None:
        return None
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    turn = (True, c < 0, b < 0) if abs(b) > abs(a) else (False, a < 0, d < 0)
    return turn if any(turn) else None


def _turned(picture: np.ndarray, turn: Turn | None) -> np.ndarray:
    transpose, left_right, top_bottom = turn or (False, False, False)
    picture = picture.swapaxes(0, 1) if transpose else picture
    return picture[:: -1 if top_bottom else 1, :: -1 if left_right else 1]


def _reformat(
    frame: av.VideoFrame, pixels: str, width: int | None = None, height: int | None = None
) -> av.VideoFrame:
    jpeg = pixels == "yuvj420p"
    return frame.reformat(
        width,
        height,
        pixels,
        interpolation="AREA",
        threads=1,
        dst_colorspace="ITU601" if jpeg else None,
        dst_color_range="JPEG" if jpeg else None,
    )


def open_recording(path: Path) -> InputContainer:
    """The container of a file, with FFmpeg kept from following it to other files. Raises `UserError`."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise UserError(f"{path}: found a directory, expected a video file")
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{path}: found a device or a pipe, expected a video file")
        if status.st_size == 0:
            raise UserError(f"{path}: the file is empty (0 bytes), expected a video")
        with open(path, "rb") as file:
            head = file.read(8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    set_level(None)
    try:
        container = av.open(f"file:{path}", options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except (FFmpegError, ValueError) as error:
        hint = "it is cut short, or still being written" if head[4:] == b"ftyp" else "expected a video"
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: FFmpeg cannot read it ({reason}); {hint}") from None
    if container.format.name in NO_VIDEO_FORMATS or container.format.name.endswith("_pipe"):
        name = container.format.long_name
        container.close()
        raise UserError(f"{path}: found {name}, expected a video")
    return container


def _video_stream(container: InputContainer, path: Path, index: int | None) -> VideoStream:
    stream: Any = (
        container.streams.best("video") if index is None else _chosen(container, path, "video", index)
    )
    if stream is None or stream.disposition & Disposition.attached_pic:
        found = "only sound" if container.streams.audio else "no picture"
        raise UserError(f"{path}: found {found}, expected a video with moving pictures")
    if stream.codec_context is None:
        raise UserError(f"{path}: this FFmpeg has no decoder for its video; convert it to H.264, for example")
    return stream


def _audio_stream(container: InputContainer, path: Path, index: int | None) -> Any:
    stream = container.streams.best("audio") if index is None else _chosen(container, path, "audio", index)
    if stream is not None and stream.codec_context is None:
        log.warning("%s: this FFmpeg has no decoder for its sound; going on without", path)
        return None
    return stream


def _chosen(container: InputContainer, path: Path, kind: str, index: int) -> Any:
    offered = [stream.index for stream in container.streams if stream.type == kind]
    if index not in offered:
        listed = ", ".join(map(str, offered)) or "none"
        raise UserError(f"{path}: {kind}_stream: found {index}, expected one of its {kind} streams: {listed}")
    return container.streams[index]


def _sound_format(stream: Any) -> tuple[int, int]:
    context = stream.codec_context
    return context.sample_rate or SAMPLE_RATE_HZ, context.layout.nb_channels or 1


def _pixel_aspect(stream: VideoStream) -> Fraction:
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return aspect if Fraction(1, 8) <= aspect <= 8 else Fraction(1)


def _nanoseconds(ticks: int, time_base: Fraction | None) -> int:
    assert time_base is not None, "FFmpeg gives every stream and frame a time base"
    numerator, denominator = 2 * time_base.numerator * 1_000_000_000, 2 * time_base.denominator
    return (ticks * numerator + time_base.denominator) // denominator
