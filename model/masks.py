"""Mask logits, a quarter or half of the padded picture in size, brought to where they are used.

CLIP is shown soft masks with the padding on, as in the published code; a person, a file or a score wants
them at the frame's own size, the padding off.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Size = tuple[int, int]


def soft_masks(logits: np.ndarray, padded: Size) -> Tensor:
    """Mask logits (N, h, w) as probabilities at the padded size (N, H, W), as the classifier crops with."""
    return upsampled(torch.from_numpy(logits.astype(np.float32)), padded).sigmoid()


def frame_masks(logits: np.ndarray, padded: Size, image: Size, frame: Size) -> NDArray[np.bool_]:
    """Mask logits (N, h, w) as masks (N, H, W) at the source's own size: padding off, then bilinear."""
    masks = np.zeros((len(logits), *frame), dtype=bool)
    for i in range(len(logits)):  # one at a time: frames are large
        masks[i] = frame_logits(logits[i : i + 1], padded, image, frame)[0] > 0
    return masks


def frame_logits(logits: np.ndarray, padded: Size, image: Size, frame: Size) -> NDArray[np.float32]:
    """The logits (N, H, W) that `frame_masks` decides by."""
    whole = upsampled(torch.from_numpy(logits.astype(np.float32)), padded)[:, : image[0], : image[1]]
    return upsampled(whole, frame).numpy()


def certainties(logits: np.ndarray) -> list[float]:
    """Of mask logits (N, h, w), how sure each mask is of itself: its mean probability inside; 0 of none."""
    soft = torch.from_numpy(logits.astype(np.float32)).flatten(1).sigmoid()
    inside = (soft > 0.5).float()
    return ((soft * inside).sum(1) / inside.sum(1).clamp(min=1)).tolist()


def upsampled(x: Tensor, size: Size) -> Tensor:
    """(..., h, w) to (..., H, W), bilinear."""
    if not x.numel():
        return x.new_zeros(*x.shape[:-2], *size)
    fine = F.interpolate(x.flatten(0, -3)[None], size, mode="bilinear", align_corners=False)[0]
    return fine.unflatten(0, x.shape[:-2])
