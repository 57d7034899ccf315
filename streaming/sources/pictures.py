"""Decoded pictures as they are meant to be seen: upright, with square pixels; small ones as JPEG."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType

from streaming.messages import MAX_SIDE
from streaming.schema import MAX_PART_BYTES
from streaming.sources.base import PreviewSettings


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


def too_large(width: int, height: int, aspect: Fraction) -> str | None:
    """Why frames of this size cannot be used, or None."""
    height, width = display_size(width, height, aspect)
    if max(width, height) <= MAX_SIDE and 3 * width * height <= MAX_PART_BYTES:
        return None
    return (
        f"found pictures of {width} x {height}, expected at most {MAX_SIDE} on a side and "
        f"{MAX_PART_BYTES // 3_000_000} megapixels; make it smaller: ffmpeg -i FILE -vf scale=1920:-2 OUT"
    )


Turn = tuple[bool, bool, bool]


def turn_of(frame: av.VideoFrame) -> Turn | None:
    """How to turn a frame upright, (transpose, then flip left-right, then flip top-bottom); None: not at all.

    The display matrix maps (x, y) to (a x + c y, b x + d y); angles between are taken to the nearest quarter.
    """
    # Not frame.side_data: the two would hold each other until the garbage collector comes, minutes later.
    side_data: Any = SideDataContainer(frame)  # type: ignore[reportCallIssue]  # its stub knows no argument
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
