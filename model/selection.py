"""From AudioMaskDec's queries to the objects that are reported: which queries count, and once each.

`sounding` is what the paper says: the sounding score (Eq. 3) decides. `class-score` is what the published
code does: it ignores that score and passes every query with a mask on, for the class probabilities to
decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from model.audio_mask_dec import Sounding
from model.localiser import padded_size
from model.options import Selection

CERTAIN = 0.85  # mean of a mask's probabilities inside it, from which on it is taken for an object


@dataclass(frozen=True)
class Candidates:
    """Possible objects of one window, on the processor; with `sounding`, best first."""

    scores: Tensor  # (n,) sounding score
    queries: Tensor  # (n, C) who it is
    mask_logits: Tensor  # (n, T, H / 4, W / 4)
    indices: Tensor  # (n,) which of the decoder's queries

    @classmethod
    def of(cls, sounding: Sounding, scores: Tensor, indices: Tensor, min_part: float = 0.0) -> Candidates:
        """These of a window's queries (batch of one), with the scores (N,) of all, `without_scraps`."""
        logits = sounding.mask_logits(queries=indices)[0].float().cpu()
        return cls(
            scores[indices].float().cpu(),
            sounding.queries[0, indices].float().cpu(),
            without_scraps(logits, min_part) if min_part else logits,
            indices.cpu(),
        )

    def __len__(self) -> int:
        return len(self.scores)


def without_scraps(logits: Tensor, min_part: float) -> Tensor:
    """Mask logits (n, T, h, w) whose pieces smaller than `min_part` of a mask's largest are turned negative.

    Pixels that touch at a corner are of one piece. A stray pixel does no harm to a mask, but would stretch
    the square in which the object is shown to CLIP.
    """
    kept = logits.clone()
    for mask, into in zip(logits.flatten(0, 1).numpy(), kept.flatten(0, 1), strict=True):
        count, piece_of, stats, _ = cv2.connectedComponentsWithStats(
            (mask > 0).astype(np.uint8), connectivity=8
        )
        areas = stats[1:count, cv2.CC_STAT_AREA]
        scraps = 1 + np.flatnonzero(areas < min_part * areas.max(initial=0))
        if len(scraps):
            into[torch.from_numpy(np.isin(piece_of, scraps))] *= -1
    return kept


def overlap(both: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Soft intersection over union (Tanimoto) from dot products: of masks with each other, and with
    themselves.

    1 for identical masks however soft, and the ordinary measure for hard ones. `both` (n, m), `a` (n,), `b`
    (m,).
    """
    return both / (a[:, None] + b - both).clamp(min=1e-6)


def suppress(masks: Tensor, threshold: float) -> list[int]:
    """Mask NMS: indices to keep of masks (n, P), which come best first."""
    keep: list[int] = []
    energy = masks.square().sum(-1)
    shared = overlap(masks @ masks.T, energy, energy)
    for i in range(len(masks)):
        if all(shared[i, j] < threshold for j in keep):
            keep.append(i)
    return keep


def select(
    sounding: Sounding,
    size: tuple[int, int],
    *,
    selection: Selection,
    threshold: float,
    nms_iou: float,
    min_area: float,
    max_objects: int,
    min_part: float = 0.0,
    snippet: int = -1,
) -> Candidates:
    """The candidates of a single window (batch of one) over pictures of `size`, the padding not counted.

    Judged is one snippet of the window, the newest unless another is asked for. `sounding` alone takes the
    rest: the least sounding score; the overlap from which two masks are one object; the least share of the
    snippet's picture; how many of the best are kept; and the least piece of a mask (`without_scraps`).
    """
    scores = sounding.snippet_scores[0, :, snippet]
    by_sound = selection == "sounding"
    chosen = torch.arange(len(scores), device=scores.device)
    if by_sound:
        chosen = torch.nonzero(scores >= threshold)[:, 0]
        order = scores[chosen].argsort(descending=True, stable=True)
        chosen = chosen[order][: 4 * max_objects]
    stride = padded_size(size)[0] // sounding.mask_features.shape[-2]
    rows, columns = (-(-side // stride) for side in size)
    only = slice(snippet, snippet + 1 or None)
    there = sounding.mask_logits(only, chosen)[0, :, 0, :rows, :columns].float().flatten(1)
    area = (there > 0).float().mean(1)
    enough = (area > 0) & (area >= min_area) if by_sound else area > 0
    chosen, there = chosen[enough], there[enough]
    if by_sound:
        chosen = chosen[suppress(there.sigmoid(), nms_iou)[:max_objects]]
    return Candidates.of(sounding, scores, chosen, min_part if by_sound else 0.0)


@dataclass(frozen=True)
class Silent:
    """What is seen in a snippet and held for silent, on the processor; the surest outline first."""

    scores: Tensor  # (m,) sounding score
    mask_logits: Tensor  # (m, H / 4, W / 4) of the newest snippet

    @classmethod
    def none(cls) -> Silent:
        return cls(torch.zeros(0), torch.zeros(0, 1, 1))

    def __len__(self) -> int:
        return len(self.scores)


def silent(
    sounding: Sounding,
    size: tuple[int, int],
    *,
    taken: Tensor,
    most: int,
    threshold: float,
    nms_iou: float,
    min_area: float,
) -> Silent:
    """Up to `most` silent objects in the newest snippet of a single window (batch of one).

    Whether a query that does not sound shows anything is said by its mask alone: how sure it is of the
    pixels that it takes. On the bundled model, outlines of things are sure to 0.9 and more, and what is none
    to less than 0.8. `taken` (n, H / 4, W / 4) are the masks of what sounds, which nothing else may overlap;
    the others are as in `select`.
    """
    scores = sounding.snippet_scores[0, :, -1]
    chosen = torch.nonzero(scores < threshold)[:, 0]
    logits = sounding.mask_logits(slice(-1, None), chosen)[0, :, 0].float()  # (N', H / 4, W / 4)
    stride = padded_size(size)[0] // logits.shape[-2]
    rows, columns = (-(-side // stride) for side in size)
    soft = logits[:, :rows, :columns].flatten(1).sigmoid()
    inside = (soft > 0.5).float()
    area = inside.mean(1)
    certainty = (soft * inside).sum(1) / inside.sum(1).clamp(min=1)
    good = torch.nonzero((area > 0) & (area >= min_area) & (certainty >= CERTAIN))[:, 0]
    good = good[certainty[good].argsort(descending=True, stable=True)][: 4 * most]
    heard = taken.to(soft.device)[:, :rows, :columns].flatten(1).sigmoid()
    kept = suppress(torch.cat([heard, soft[good]]), nms_iou)
    good = good[[index - len(heard) for index in kept if index >= len(heard)][:most]]
    return Silent(scores[chosen[good]].float().cpu(), logits[good].cpu())


def none_of(sounding: Sounding) -> Candidates:
    """No candidates, in the shapes of this window."""
    scores = sounding.scores[0]
    return Candidates.of(sounding, scores, torch.arange(0, device=scores.device))
