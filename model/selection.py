"""From AudioMaskDec's queries to the objects that are reported: which queries count, and once each.

`sounding` is what the paper says: the sounding score (Eq. 3) decides. `class-score` is what the published
code does: it ignores that score and passes every query with a mask on, for the class probabilities to
decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.audio_mask_dec import Sounding
from model.options import Selection


@dataclass(frozen=True)
class Candidates:
    """Possible objects of one window, best first (by class score: as the queries come); on the CPU."""

    scores: Tensor  # (n,) sounding score
    queries: Tensor  # (n, C) who it is
    mask_logits: Tensor  # (n, T, H / 4, W / 4)

    def __len__(self) -> int:
        return len(self.scores)


def soft_iou(a: Tensor, b: Tensor) -> Tensor:
    """Soft intersection over union of masks in [0, 1]: (n, P), (m, P) -> (n, m); 0 where both are empty."""
    rows = [torch.minimum(x, b).sum(-1) for x in a]
    both = torch.stack(rows) if rows else a.new_zeros(0, len(b))
    either = a.sum(-1)[:, None] + b.sum(-1) - both
    return both / either.clamp(min=1e-6)


def suppress(masks: Tensor, threshold: float) -> list[int]:
    """Mask NMS: indices to keep of masks (n, P), which come best first."""
    keep: list[int] = []
    iou = soft_iou(masks, masks)
    for i in range(len(masks)):
        if all(iou[i, j] < threshold for j in keep):
            keep.append(i)
    return keep


def select(
    sounding: Sounding,
    *,
    selection: Selection,
    threshold: float,
    nms_iou: float,
    min_area: float,
    max_objects: int,
) -> Candidates:
    """The candidates of a single window (batch of one).

    threshold: least sounding score (`sounding` only); nms_iou: masks that overlap more are one object;
    min_area: least share of the newest picture; max_objects: the best so many are kept (`sounding` only,
    like NMS).
    """
    scores = sounding.scores[0]
    if selection == "sounding":
        chosen = torch.nonzero(scores >= threshold)[:, 0]
        order = scores[chosen].argsort(descending=True, stable=True)
        chosen = chosen[order][: 4 * max_objects]
    else:
        chosen = torch.arange(len(scores), device=scores.device)
    newest = sounding.mask_logits(slice(-1, None), chosen)[0, :, 0].float()
    there = (newest > 0).flatten(1).float().mean(1) > (min_area if selection == "sounding" else 0.0)
    chosen, newest = chosen[there], newest[there]
    if selection == "sounding" and len(chosen):
        chosen = chosen[suppress(newest.sigmoid().flatten(1), nms_iou)[:max_objects]]
    logits = sounding.mask_logits(queries=chosen)[0].float()
    return Candidates(scores[chosen].cpu(), sounding.queries[0, chosen].float().cpu(), logits.cpu())
