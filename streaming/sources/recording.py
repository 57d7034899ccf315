"""A recording opened with PyAV: which of its streams are taken, where it begins, why it may be refused."""

from __future__ import annotations

import logging
import os
import stat
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.logging import set_level
from av.stream import Disposition
from av.video.stream import VideoStream

from streaming.errors import UserError
from streaming.snippets import SAMPLE_RATE_HZ
from streaming.sources.base import nanoseconds
from streaming.sources.pictures import too_large

log = logging.getLogger(__name__)

# Demuxers that take text, a picture or anything at all for a video.
NO_VIDEO_FORMATS = {"tty", "bin", "xbin", "adf", "idf", "image2", "rawvideo"}
NO_PICTURE = "not one picture of its video can be decoded; the file may be damaged or encrypted"
# Seeking is exact only in files with an index: aim this much earlier, and leave out what is too early.
RUN_UP_S = 5.0


class Recording:
    """An open file and the two streams that are taken from it.

    Stream time is the file's presentation time, less the start of the earlier of the two tracks where that is
    positive.

    video_stream, audio_stream: index in the file; None for FFmpeg's own choice.

    Attributes:
        container: the open demuxer.
        video, audio: the streams; `audio` is None for a file without sound.
        aspect: width of a pixel by its height.
        zero_ns: the presentation time at which stream time begins.
        duration_s: how long the file says it is, in stream time; 0 when it does not say.

    Raises `UserError` for what cannot be opened as a video, and for a stream that it does not have.
    """

    def __init__(self, path: Path, *, video_stream: int | None = None, audio_stream: int | None = None):
        self.path = path
        self.container = open_container(path)
        try:
            self.video = _video_stream(self.container, path, video_stream)
            self.audio = _audio_stream(self.container, path, audio_stream)
            self.aspect = pixel_aspect(self.video)
            width, height = self.video.width, self.video.height
            if wrong := too_large(width, height, self.aspect) if width and height else NO_PICTURE:
                raise UserError(f"{path}: {wrong}")
            self.zero_ns = self._find_zero()
            self.duration_s = self._find_duration()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.container.close()

    @property
    def streams(self) -> list[Any]:
        """The streams that are taken."""
        return [stream for stream in (self.video, self.audio) if stream is not None]

    @property
    def sound_format(self) -> tuple[int, int]:
        """Rate in Hz and number of channels; a file without sound has mono silence."""
        if self.audio is None:
            return SAMPLE_RATE_HZ, 1
        context = self.audio.codec_context
        return context.sample_rate or SAMPLE_RATE_HZ, context.layout.nb_channels or 1

    def stream_ns(self, ticks: int, time_base: Fraction | None) -> int:
        """A presentation time as stream time."""
        return nanoseconds(ticks, time_base) - self.zero_ns

    def seek(self, start_s: float) -> None:
        """Go to a key picture at or before `start_s`. Raises `UserError` when that is outside the file."""
        if start_s < 0 or (self.duration_s and start_s >= self.duration_s):
            limit = f"0 to below {self.duration_s:.2f}"
            raise UserError(f"{self.path}: start_s: found {start_s}, expected {limit}")
        if start_s <= RUN_UP_S:
            return
        try:
            # Without an index, a seek may end behind the last key picture before the start: look where.
            for target_us in (round((start_s - RUN_UP_S) * 1e6) + self.zero_ns // 1000, 0):
                self.container.seek(target_us)
                keys = (packet for packet in self.container.demux(self.video) if packet.is_keyframe)
                key_pts = next((packet.pts for packet in keys if packet.pts is not None), None)
                self.container.seek(target_us)
                if key_pts is not None and self.stream_ns(key_pts, self.video.time_base) <= start_s * 1e9:
                    return
        except FFmpegError as error:
            raise UserError(f"{self.path}: start_s: FFmpeg cannot seek in it ({error.strerror})") from None

    def _find_zero(self) -> int:
        starts = [
            nanoseconds(stream.start_time, stream.time_base)
            for stream in self.streams
            if stream.start_time is not None and stream.time_base is not None
        ]
        return max(0, min(starts, default=(self.container.start_time or 0) * 1000))

    def _find_duration(self) -> float:
        ends_ns = [
            self.stream_ns((stream.start_time or 0) + stream.duration, stream.time_base)
            for stream in self.streams
            if stream.duration is not None
        ]
        return max(ends_ns, default=1000 * (self.container.duration or 0)) / 1e9


def open_container(path: Path) -> InputContainer:
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


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Width of a stream's pixels by their height; 1 where it says nothing, or nothing likely."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return aspect if Fraction(1, 8) <= aspect <= 8 else Fraction(1)
