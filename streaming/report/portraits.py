"""A small picture of an object in its best moment: what is around it, and its mask outlined."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from model.rle import decode_mask
from streaming.messages import MAX_SIDE
from streaming.overlay import DrawnTrack, Layer
from streaming.overlay.layer import Picture
from streaming.overlay.look import INK, Style
from streaming.overlay.masks import paint_mask
from streaming.report.figures import Moment
from streaming.report.frames import Frame

WIDTH, HEIGHT = 320, 240
AROUND = 0.35  # of the box on each side
LEAST_SIDE = 0.2  # of the frame; a speck is shown with what it is in
JPEG_QUALITY = 80


def portrait(moment: Moment, frame: Frame | None) -> bytes | None:
    """A JPEG of `WIDTH` x `HEIGHT`; without a frame, the silhouette alone. None for a mask that is none."""
    height, width = moment.track["mask"]["size"]
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        return None
    try:
        mask = decode_mask(moment.track["mask"])
    except ValueError:
        return None
    if not mask.any():
        return None
    if frame is None:
        picture = np.full((height, width, 3), INK, np.uint8)
        drawn = _outlined(picture, mask, moment)
    else:
        drawn = _outlined(frame.picture, mask, moment) if frame.clean else frame.picture
    left, top, right, bottom = _view(mask, drawn.shape[0], drawn.shape[1])
    piece = np.ascontiguousarray(drawn[top:bottom, left:right])
    shrinks = piece.shape[1] > WIDTH
    scale = min(WIDTH / piece.shape[1], HEIGHT / piece.shape[0])
    size = max(1, round(piece.shape[1] * scale)), max(1, round(piece.shape[0] * scale))
    small = cv2.resize(piece, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    sheet = np.full((HEIGHT, WIDTH, 3), INK, np.uint8)
    y, x = (HEIGHT - size[1]) // 2, (WIDTH - size[0]) // 2
    sheet[y : y + size[1], x : x + size[0]] = small
    coded, jpeg = cv2.imencode(
        ".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    return jpeg.tobytes() if coded else None


def _outlined(picture: Picture, mask: NDArray[np.bool_], moment: Moment) -> Picture:
    height, width = mask.shape
    layer = Layer(height, width)
    track = DrawnTrack(
        id=moment.track["id"], label="", p=None, sounding=float(moment.track["sounding"]), mask=mask
    )
    paint_mask(layer, track, Style.of(height, width))
    return layer.over(picture)


def _view(mask: NDArray[np.bool_], height: int, width: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is shown of a picture: four by three, if it can be."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    scale_y, scale_x = height / mask.shape[0], width / mask.shape[1]
    top, bottom = rows[0] * scale_y, (rows[-1] + 1) * scale_y
    left, right = columns[0] * scale_x, (columns[-1] + 1) * scale_x
    wide = max((right - left) * (1 + 2 * AROUND), LEAST_SIDE * width)
    high = max((bottom - top) * (1 + 2 * AROUND), LEAST_SIDE * height)
    wide, high = max(wide, high * WIDTH / HEIGHT), max(high, wide * HEIGHT / WIDTH)
    wide, high = min(wide, width), min(high, height)
    x = min(max((left + right - wide) / 2, 0), width - wide)
    y = min(max((top + bottom - high) / 2, 0), height - high)
    x0, y0 = int(x), int(y)
    return x0, y0, max(x0 + 1, int(x + wide)), max(y0 + 1, int(y + high))
