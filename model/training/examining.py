"""Looking at a localiser in training: what it says sounds, beside what does."""

from __future__ import annotations

import torch
from torch import Tensor

from model.audio_mask_dec import Sounding
from model.localiser import padded_size
from model.masks import upsampled

SOUNDS_ABOVE = 0.5  # of the sounding score
TINT = (255, 64, 160)


def masks_told(sounding: Sounding, size: tuple[int, int]) -> Tensor:
    """(T, H, W) bool: where anything sounds in pictures of `size`, by the first clip of an answer."""
    told = []
    for t, scores in enumerate(sounding.snippet_scores[0].unbind(-1)):
        logits = sounding.mask_logits(slice(t, t + 1), scores > SOUNDS_ABOVE)[0, :, 0].float()
        fine = upsampled(logits, padded_size(size)) > 0
        told.append(fine.any(0)[: size[0], : size[1]])
    return torch.stack(told)


def overlaps(told: Tensor, truth: Tensor, supervised: Tensor) -> list[float]:
    """Intersection over union in each supervised frame in which something sounds; all (T, ...) bool."""
    both, either = (told & truth).flatten(1).sum(1), (told | truth).flatten(1).sum(1)
    counted = supervised & truth.flatten(1).any(1)
    return (both[counted] / either[counted]).tolist()


def side_by_side(frames: Tensor, truth: Tensor, told: Tensor) -> Tensor:
    """(3, 2 H, T W) uint8: frames (T, 3, H, W) in a row, tinted by masks (T, H, W), each row by its own."""
    tint = torch.tensor(TINT, device=frames.device)[:, None, None]
    rows = []
    for masks in (truth, told):
        tinted = torch.where(masks[:, None], (frames.float() + tint) / 2, frames.float())
        rows.append(torch.cat(tinted.to(torch.uint8).unbind(), dim=-1))
    return torch.cat(rows, dim=-2)
