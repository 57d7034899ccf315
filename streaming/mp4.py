"""Picture and sound into an mp4 that every player plays, and that a crash cannot spoil.

While a run goes on, a fragmented mp4 grows beside the target (`clip.partial.mp4`): a crash leaves one that
plays up to its last whole fragment, a few seconds short. Closing copies its packets, without coding them
again, into an ordinary mp4 with the index in front and puts that in place in one step; so the target is whole
or absent, and for a moment the disk holds both.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.error import FFmpegError
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from streaming.errors import UserError

TICKS_HZ = 90_000
SOUND_RATES_HZ = (32_000, 44_100, 48_000)
LONE_PICTURE_S = Fraction(1, 25)
H264 = {"preset": "veryfast", "crf": "20", "profile": "main", "bf": "0", "x264-params": "keyint=60"}
FRAGMENTED = {"movflags": "frag_keyframe+delay_moov+default_base_moof", "flush_packets": "1"}
INDEX_IN_FRONT = {"movflags": "faststart"}


class Mp4Writer:
    """Writes H.264 (main profile, yuv420p, BT.709) at exact times, and AAC counted by the sample.

    Args:
        height: of every picture; even, as the width.
        sound_hz: sampling rate of the sound to come, 0 for a file without sound.
        channels: 1, or 2 for anything more.

    Raises:
        UserError: the file cannot be opened, written or finished; one line that names it.
    """

    def __init__(
        self, path: str | Path, height: int, width: int, *, sound_hz: int = 0, channels: int = 2
    ) -> None:
        self.path = Path(path)
        self.partial = partial_of(self.path)
        self._held: av.VideoFrame | None = None
        self._spans: deque[int] = deque()
        self._sound_ticks = 0
        self._converter: tuple[tuple[int, str], AudioResampler] | None = None
        self._usual_span = round(LONE_PICTURE_S * TICKS_HZ)
        self._open = True
        with _told_in_one_line(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: Any = av.open(str(self.partial), "w", format="mp4", options=FRAGMENTED)
            self._video = self._add_video(height, width)
            self._audio = self._add_audio(sound_hz, channels) if sound_hz else None

    def picture(self, picture: NDArray[np.uint8], t_s: Fraction | float) -> bool:
        """Shows a picture, (height, width, 3) uint8 RGB, from that second of the file until the next one.

        The first picture stands from the start. Returns False, and shows nothing, for a time that is not
        later than the last picture's.
        """
        pts = 0 if self._held is None else round(t_s * TICKS_HZ)
        if self._held is not None:
            if pts <= _pts(self._held):
                return False
            self._encode_held(pts - _pts(self._held))
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1
        )
        frame.pts, frame.time_base = pts, Fraction(1, TICKS_HZ)
        self._held = frame
        return True

    def sound(self, samples: NDArray[np.int16], rate_hz: int) -> None:
        """Appends sound, shape (n, channels) int16, right behind the sound before it.

        Another rate or number of channels than the file's is converted; of more than two the first two count.
        """
        if self._audio is None or not len(samples):
            return
        samples = samples[:, :2]
        layout = "mono" if samples.shape[1] == 1 else "stereo"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), "s16", layout)
        frame.sample_rate = rate_hz
        with _told_in_one_line(self.path):
            if self._converter is None or self._converter[0] != (rate_hz, layout):
                self._drain_converter()
                codec = self._audio.codec_context
                resampler = AudioResampler(codec.format, codec.layout, codec.sample_rate)
                self._converter = ((rate_hz, layout), resampler)
            self._encode_sound(self._converter[1].resample(frame))

    def close(self, end_s: Fraction | float = 0) -> None:
        """Writes what is left and puts the finished file in place; a second call does nothing.

        The last picture stands until `end_s`; without it, as long as the one before it stood.
        """
        if not self._open:
            return
        try:
            with _told_in_one_line(self.path, f"; what was written so far is in {self.partial}"):
                self._flush(end_s)
                self._file.close()
                put_in_place(self.path)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Stops without finishing: the partial file stays as it is."""
        if self._open:
            self._open = False
            try:
                self._file.close()
            except (OSError, FFmpegError):
                return  # whoever abandons a file already knows why it cannot be written

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _add_video(self, height: int, width: int) -> Any:
        stream = self._file.add_stream("libx264", rate=30, options=H264)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        codec = stream.codec_context
        codec.time_base, codec.thread_count = Fraction(1, TICKS_HZ), 1
        codec.color_range, codec.colorspace = ColorRange.MPEG, Colorspace.ITU709
        codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        return stream

    def _add_audio(self, sound_hz: int, channels: int) -> Any:
        rate_hz = sound_hz if sound_hz in SOUND_RATES_HZ else 48_000
        stream = self._file.add_stream("aac", rate=rate_hz)
        stream.codec_context.layout = "mono" if channels == 1 else "stereo"
        stream.codec_context.bit_rate = 72_000 if channels == 1 else 128_000
        return stream

    def _encode_held(self, span: int) -> None:
        self._usual_span = span
        self._spans.append(span)
        with _told_in_one_line(self.path):
            self._mux_video(self._video.encode(self._held))

    def _mux_video(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            packet.duration = self._spans.popleft()  # without B-frames, packets leave in the order of frames
            self._file.mux(packet)

    def _encode_sound(self, frames: Iterable[Any]) -> None:
        assert self._audio is not None
        for frame in frames:
            frame.pts, frame.time_base = self._sound_ticks, Fraction(1, frame.sample_rate)
            self._sound_ticks += frame.samples
            self._file.mux(self._audio.encode(frame))

    def _drain_converter(self) -> None:
        if self._converter is not None:
            self._encode_sound(self._converter[1].resample(None))
            self._converter = None

    def _flush(self, end_s: Fraction | float) -> None:
        if self._held is not None:
            rest = round(end_s * TICKS_HZ) - _pts(self._held)
            self._encode_held(rest if rest > 0 else self._usual_span)
        self._mux_video(self._video.encode(None))
        if self._audio is not None:
            self._drain_converter()
            self._file.mux(self._audio.encode(None))


def partial_of(path: Path) -> Path:
    """Where a film is while it grows."""
    return path.with_suffix(".partial.mp4")


def put_in_place(path: Path) -> None:
    """Make the finished film of a partial one. Raises `OSError` or `FFmpegError`."""
    whole = path.with_suffix(".whole.mp4")
    try:
        with (
            av.open(str(partial_of(path))) as source,
            av.open(str(whole), "w", format="mp4", options=INDEX_IN_FRONT) as target,
        ):
            streams = [target.add_stream_from_template(stream) for stream in source.streams]
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream.index]
                    target.mux(packet)
        os.replace(whole, path)
    finally:
        whole.unlink(missing_ok=True)
    partial_of(path).unlink()


def rescue(path: Path) -> None:
    """Finish what a film's writer left when it died, if there is anything. What cannot be read is left."""
    with suppress(OSError, FFmpegError):
        put_in_place(path)


def _pts(frame: av.VideoFrame) -> int:
    assert frame.pts is not None
    return frame.pts


@contextmanager
def _told_in_one_line(path: Path, more: str = "") -> Iterator[None]:
    try:
        yield
    except (OSError, FFmpegError) as error:
        reason = error.strerror or str(error)
        raise UserError(f"{path}: the video cannot be written: {reason}{more}") from error
