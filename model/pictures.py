"""Pictures at the model's size, as the reference brings them there: bilinear with support, on bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def model_size(size: tuple[int, int], short_side: int, max_side: int) -> tuple[int, int]:
    """The (h, w) whose short side is `short_side`, or smaller where the long one would pass `max_side`.

    In two steps, as the reference does it: one step would round some sizes to a neighbouring pixel.
    """
    height, width = size
    scale = short_side / min(size)
    h, w = (short_side, scale * width) if height < width else (scale * height, short_side)
    shrink = min(1.0, max_side / max(h, w))
    return max(1, int(shrink * h + 0.5)), max(1, int(shrink * w + 0.5))


def resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 to (*size, 3)."""
    if picture.shape[:2] == size:
        return np.ascontiguousarray(picture)
    wide_first = (size[1], size[0])
    return np.asarray(Image.fromarray(picture).resize(wide_first, Image.Resampling.BILINEAR))
