"""Small clips for tests, drawn and synthesised with PyAV, and ways to damage them.

A drawn frame carries its own number as black and white blocks, and lights up while the sound has a tone, so
that a test can tell which frame it was given and whether it goes with what is heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

BITS = 10
TONE_HZ = 1000.0
BLOCK = 1024


def draw_frame(number: int, *, width: int = 160, height: int = 96, lit: bool = False) -> np.ndarray:
    """(height, width, 3) uint8: the number in binary along the upper half, most significant bit left.

    The lower left is red and the lower right blue, so that a turned picture shows; lit makes it white.
    """
    picture = np.full((height, width, 3), 255 if lit else 60, np.uint8)
    if not lit:
        picture[height // 2 :, : width // 2] = (200, 30, 30)
        picture[height // 2 :, width // 2 :] = (30, 30, 200)
    edges = np.linspace(0, width, BITS + 1).round().astype(int)
    for bit in range(BITS):
        on = number >> (BITS - 1 - bit) & 1
        picture[: height // 2, edges[bit] : edges[bit + 1]] = 235 if on else 16
    return picture


def frame_number(picture: np.ndarray) -> int:
    """The number that `draw_frame` wrote, however lossy the codec was."""
    height, width = picture.shape[:2]
    edges = np.linspace(0, width, BITS + 1)
    number = 0
    for bit in range(BITS):
        centre = round((edges[bit] + edges[bit + 1]) / 2)
        block = picture[height // 8 : height * 3 // 8, centre - 2 : centre + 3]
        number = number << 1 | int(block.mean() > 125)
    return number


def is_lit(picture: np.ndarray) -> bool:
    height = picture.shape[0]
    return bool(picture[height * 5 // 8 : height * 7 // 8].min(axis=2).mean() > 150)


def tone(times_s: np.ndarray, bursts_s: Sequence[tuple[float, float]], amplitude: float = 0.5) -> np.ndarray:
    """A sine inside each [begin, end) of the bursts, silence elsewhere. Shape: that of times_s."""
    wave = amplitude * np.cos(2 * np.pi * TONE_HZ * times_s)
    sounding = np.zeros(times_s.shape, bool)
    for begin, end in bursts_s:
        sounding |= (times_s >= begin - 1e-9) & (times_s < end - 1e-9)
    return np.where(sounding, wave, 0.0).astype(np.float32)


def make_clip(
    path: Path,
    *,
    duration_s: float = 3.0,
    fps: float | Fraction = 25,
    frame_times_s: Sequence[float] | None = None,
    width: int = 160,
    height: int = 96,
    rotation: int = 0,
    mirrored: bool = False,
    pixel_aspect: Fraction | None = None,
    video_codec: str = "mpeg4",
    pixel_format: str = "yuv420p",
    rate_hz: int = 44_100,
    layout: str | None = "stereo",
    audio_codec: str = "aac",
    audio_s: tuple[float, float] | None = None,
    hole_s: tuple[float, float] | None = None,
    bursts_s: Sequence[tuple[float, float]] = (),
) -> Path:
    """Write a clip and return its path; the ending chooses the container.

    frame_times_s: when each frame is shown, in place of an even rate. layout: None for a clip without sound.
    audio_s: where the sound begins and ends, in place of the whole clip. hole_s: sound that is left out, as
    if it had been lost. bursts_s: when frames are lit and the tone sounds. rotation: degrees anticlockwise to
    turn the frames for display, written as a display matrix; mirrored: left and right are exchanged by one.
    """
    if frame_times_s is None:
        frame_times_s = [float(i / Fraction(fps)) for i in range(round(duration_s * Fraction(fps)))]
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(video_codec, rate=Fraction(fps).limit_denominator(10_000))
        video.width, video.height, video.pix_fmt = width, height, pixel_format
        video.bit_rate = 2_000_000
        video.codec_context.thread_count = 1
        ticks = 90_000 if video_codec != "mpeg4" else 30_000
        video.codec_context.time_base = Fraction(1, ticks)
        if pixel_aspect:
            video.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation:
            video.set_display_rotation(rotation)
        if mirrored:
            video.set_display_matrix([-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30])
        events: list[tuple[float, Any, Any]] = []
        for number, t_s in enumerate(frame_times_s):
            lit = any(begin - 1e-9 <= t_s < end - 1e-9 for begin, end in bursts_s)
            frame = av.VideoFrame.from_ndarray(draw_frame(number, width=width, height=height, lit=lit))
            frame.pts, frame.time_base = round(t_s * ticks), Fraction(1, ticks)
            events.append((t_s, video, frame))
        if layout is not None:
            audio: Any = container.add_stream(audio_codec, rate=rate_hz)
            audio.layout = layout
            bounds_s = audio_s or (0.0, duration_s)
            for frame in _sound_frames(audio, rate_hz, layout, bounds_s, hole_s, bursts_s):
                events.append(((frame.pts or 0) / rate_hz, audio, frame))
        events.sort(key=lambda event: event[0])
        for _, stream, frame in events:
            container.mux(stream.encode(frame))
        for stream in container.streams:
            container.mux(stream.encode(None))  # type: ignore[attr-defined]
    return path


def _sound_frames(
    stream: Any,
    rate_hz: int,
    layout: str,
    bounds_s: tuple[float, float],
    hole_s: tuple[float, float] | None,
    bursts_s: Sequence[tuple[float, float]],
) -> list[av.AudioFrame]:
    sample_format = stream.codec_context.format.name
    channels = av.AudioLayout(layout).nb_channels
    first, last = (round(bound * rate_hz) for bound in bounds_s)
    frames = []
    for start in range(first, last, BLOCK):
        index = np.arange(start, min(start + BLOCK, last))
        if hole_s and index[-1] / rate_hz >= hole_s[0] and index[0] / rate_hz < hole_s[1]:
            continue
        wave: Any = np.repeat(tone(index / rate_hz, bursts_s)[None], channels, axis=0)
        if sample_format.startswith("s16"):
            wave = (wave * 32_767).round().astype(np.int16)
        elif sample_format.startswith("s32"):
            wave = (wave.astype(np.float64) * 2_147_483_647).round().astype(np.int32)
        if not sample_format.endswith("p"):
            wave = wave.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave), sample_format, layout)
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, start, Fraction(1, rate_hz)
        frames.append(frame)
    return frames


def spoil_packets(path: Path, kind: str, numbers: Sequence[int], *, byte: int = 0xFF) -> Path:
    """Overwrite the contents of some packets of the first "audio" or "video" stream, in place."""
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        packets = [(packet.pos or 0, packet.size) for packet in container.demux(stream) if packet.size]
    with open(path, "r+b") as file:
        for number in numbers:
            position, size = packets[number]
            file.seek(position)
            file.write(bytes([byte]) * size)
    return path


def cut_short(path: Path, fraction: float) -> Path:
    """Leave only the beginning of a file, as a full disk or a broken download would."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    return path
