"""Clips at the model's size: pictures as the live pipeline resizes them, masks by the nearest pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.data.clips import Masks
from model.metrics import resize_nearest
from model.pictures import resized


def resize_frames(frames: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(T, H, W, 3) uint8 to (T, *size, 3)."""
    return frames if frames.shape[1:3] == size else np.stack([resized(frame, size) for frame in frames])


def resize_masks(masks: Masks, size: tuple[int, int]) -> Masks:
    """(..., H, W) bool to (..., *size): the mask under each new pixel's centre."""
    return masks if masks.shape[-2:] == size else resize_nearest(masks, size, rule="centre")
