"""Which query answers for which object: the cheapest one-to-one assignment (Section 3.5).

A pair costs as much as its sound and mask losses would say, measured on random points that all queries and
objects share. So the same function tells here what every pair would cost, and in the loss what a matched one
does.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

from model.errors import ModelError
from model.training.points import sample

# What a point of a mask costs: plain binary cross-entropy (the published code), or the focal loss that the
# paper's text names.
MaskLoss = Literal["bce", "focal"]
FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0  # of the focal loss's authors; the paper gives none

DIVERGED = "training has diverged; lower the learning rate, or train in float32"


class Weights(NamedTuple):
    """The lambdas of Eq. 7, which weigh the parts of a matching cost too."""

    sound: float = 2.0
    mask: float = 5.0
    dice: float = 5.0


class Match(NamedTuple):
    """Query `queries[i]` answers for object `objects[i]`; queries ascend."""

    queries: Tensor  # (M,) int64
    objects: Tensor  # (M,) int64


def at_least_float32(x: Tensor) -> Tensor:
    """Costs and losses are never computed in half precision; double precision stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def penalties(logits: Tensor, mask_loss: MaskLoss) -> tuple[Tensor, Tensor]:
    """What each point costs if it belongs to the object, and if it does not; both in the logits' shape.

    A point that an object's edge divides costs its share of both.
    """
    inside, outside = -F.logsigmoid(logits), -F.logsigmoid(-logits)
    if mask_loss == "focal":
        p = logits.sigmoid()
        inside = FOCAL_ALPHA * (1 - p) ** FOCAL_GAMMA * inside
        outside = (1 - FOCAL_ALPHA) * p**FOCAL_GAMMA * outside
    return inside, outside


def pair_costs(
    sound_logits: Tensor,
    mask_logits: Tensor,
    classes: Tensor,
    masks: Tensor,
    points: Tensor,
    weights: Weights,
    mask_loss: MaskLoss,
) -> Tensor:
    """(L, N, K): what it costs, by each of L answers, that a query of one clip answers for an object.

    `sound_logits` (L, N, 2), `mask_logits` (L, N, T, H / 4, W / 4); `classes` (K,) 0 for an object that
    sounds, 1 for one that does not; `masks` (K, T, H, W) of the same picture; `points` (L, P, 2), shared by
    the T frames.
    """
    with torch.no_grad(), torch.autocast(mask_logits.device.type, enabled=False):
        predicted = sample(at_least_float32(mask_logits), points).flatten(2)  # (L, N, T * P)
        true = sample(masks.to(predicted.dtype), points.flatten(0, 1))  # (K, T, L * P)
        true = true.unflatten(2, points.shape[:2]).permute(2, 1, 3, 0).flatten(1, 2)  # (L, T * P, K)
        inside, outside = penalties(predicted, mask_loss)
        # The mean of true * inside + (1 - true) * outside over the points, for every pair.
        mask = ((inside - outside) @ true + outside.sum(2, keepdim=True)) / predicted.shape[2]
        p = predicted.sigmoid()
        dice = 1 - (2 * p @ true + 1) / (p.sum(2, keepdim=True) + true.sum(1, keepdim=True) + 1)
        sound = -at_least_float32(sound_logits).softmax(-1)[..., classes]
        return weights.sound * sound + weights.mask * mask + weights.dice * dice


def cheapest(costs: Tensor) -> Match:
    """The assignment of least total cost (N, K): as many pairs as there are of the fewer.

    Raises `ModelError` where a cost is not finite: the model has diverged, and any assignment would be
    arbitrary.
    """
    bad = int((~costs.isfinite().all(1)).sum()) if costs.shape[1] else 0
    if bad:
        raise ModelError(
            f"found NaN or infinite scores or masks in {bad} of {len(costs)} queries, expected finite ones: "
            + DIVERGED
        )
    queries, objects = linear_sum_assignment(costs.double().cpu().numpy())
    return Match(torch.as_tensor(queries), torch.as_tensor(objects))
