"""What a pair of query and object costs, and who is matched with whom."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor

from model.errors import ModelError
from model.training import matching
from model.training.matching import MaskLoss, Match, Weights, cheapest, penalties
from model.training.points import sample

LOSSES: list[MaskLoss] = ["bce", "focal"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def point_cost(logit: float, share: float, mask_loss: MaskLoss) -> float:
    p = 1 / (1 + math.exp(-logit))
    inside, outside = -math.log(p), -math.log(1 - p)
    if mask_loss == "focal":
        inside, outside = 0.25 * (1 - p) ** 2 * inside, 0.75 * p**2 * outside
    return share * inside + (1 - share) * outside


def pair_cost(
    sound: list[float], kind: int, logits: list[float], shares: list[float], mask_loss: MaskLoss
) -> float:
    """One entry of the matrix, in plain arithmetic."""
    own = math.exp(sound[kind]) / (math.exp(sound[0]) + math.exp(sound[1]))
    mask = sum(point_cost(x, s, mask_loss) for x, s in zip(logits, shares, strict=True)) / len(logits)
    p = [1 / (1 + math.exp(-x)) for x in logits]
    both = sum(a * b for a, b in zip(p, shares, strict=True))
    dice = 1 - (2 * both + 1) / (sum(p) + sum(shares) + 1)
    return -2 * own + 5 * mask + 5 * dice


def pair_costs(
    sound: Tensor,
    logits: Tensor,
    classes: Tensor,
    masks: Tensor,
    points: Tensor,
    weights: Weights,
    mask_loss: MaskLoss,
) -> Tensor:
    """Of a single answer."""
    answer = sound[None], logits[None], classes, masks, points[None], weights, mask_loss
    return matching.pair_costs(*answer)[0]


def scene(queries: int = 4, objects: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Sound logits, mask logits at a quarter of the size, classes, masks of two frames, points."""
    draw = seeded(7)
    sound = torch.randn(queries, 2, generator=draw, dtype=torch.float64)
    logits = torch.randn(queries, 2, 4, 6, generator=draw, dtype=torch.float64)
    masks = torch.rand(objects, 2, 16, 24, generator=draw) > 0.6
    classes = torch.arange(objects) % 2
    return sound, logits, classes, masks, torch.rand(30, 2, generator=draw)


@pytest.mark.parametrize("mask_loss", LOSSES)
def test_costs_are_those_of_plain_arithmetic(mask_loss: MaskLoss) -> None:
    sound, logits, classes, masks, points = scene()
    found = pair_costs(sound, logits, classes, masks, points, Weights(), mask_loss)
    values = sample(logits, points).flatten(1).tolist()
    shares = sample(masks.double(), points).flatten(1).tolist()
    expected = [
        [
            pair_cost(sound[n].tolist(), int(classes[k]), values[n], shares[k], mask_loss)
            for k in range(len(masks))
        ]
        for n in range(len(sound))
    ]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_every_answer_is_judged_at_points_of_its_own() -> None:
    sound, logits, classes, masks, points = scene()
    two = [torch.stack((x, x.flip(0))) for x in (sound, logits, points)]
    found = matching.pair_costs(*two[:2], classes, masks, two[2], Weights(), "bce")
    for costs, *own in zip(found, *two, strict=True):
        expected = pair_costs(own[0], own[1], classes, masks, own[2], Weights(), "bce")
        torch.testing.assert_close(costs, expected)


def test_costs_of_an_unsure_query_by_hand() -> None:
    """Unsure everywhere of an object that is everywhere, read eight times in the middle."""
    points = torch.full((8, 2), 0.5)
    found = pair_costs(
        torch.zeros(1, 2),
        torch.zeros(1, 1, 4, 4),
        torch.tensor([0]),
        torch.ones(1, 1, 16, 16, dtype=torch.bool),
        points,
        Weights(),
        "bce",
    )
    assert found.item() == pytest.approx(-1 + 5 * math.log(2) + 5 * (1 - 9 / 13))


@pytest.mark.parametrize("mask_loss", LOSSES)
def test_penalties_stay_finite_and_right_at_great_logits(mask_loss: MaskLoss) -> None:
    inside, outside = penalties(torch.tensor([-200.0, 200.0]), mask_loss)
    alpha = 1.0 if mask_loss == "bce" else 0.25
    beta = 1.0 if mask_loss == "bce" else 0.75
    torch.testing.assert_close(inside, torch.tensor([200 * alpha, 0.0]))
    torch.testing.assert_close(outside, torch.tensor([0.0, 200 * beta]))


def test_half_precision_is_not_used() -> None:
    sound, logits, classes, masks, points = scene()
    expected = pair_costs(sound.float(), logits.float(), classes, masks, points, Weights(), "bce")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = pair_costs(sound.float(), logits.float(), classes, masks, points, Weights(), "bce")
    torch.testing.assert_close(found, expected)
    rounded = pair_costs(sound.bfloat16(), logits.bfloat16(), classes, masks, points, Weights(), "bce")
    assert rounded.dtype == torch.float32


@pytest.mark.parametrize(("queries", "objects"), [(5, 3), (3, 3), (2, 4)])
def test_the_assignment_is_the_cheapest_of_all(queries: int, objects: int) -> None:
    for seed in range(5):
        costs = torch.randn(queries, objects, generator=seeded(seed))
        found = cheapest(costs)
        pairs = min(queries, objects)
        assert len(found.queries) == len(set(found.queries.tolist())) == pairs
        assert len(found.objects) == len(set(found.objects.tolist())) == pairs
        assert found.queries.tolist() == sorted(found.queries.tolist())
        few, many = (costs, objects) if queries < objects else (costs.T, queries)
        best = min(
            sum(float(few[i, j]) for i, j in enumerate(chosen)) for chosen in permutations(range(many), pairs)
        )
        assert float(costs[found.queries, found.objects].sum()) == pytest.approx(best)


def test_the_order_of_objects_does_not_matter() -> None:
    sound, logits, classes, masks, points = scene(6, 3)
    first = cheapest(pair_costs(sound, logits, classes, masks, points, Weights(), "bce"))
    order = torch.tensor([2, 0, 1])
    other = cheapest(pair_costs(sound, logits, classes[order], masks[order], points, Weights(), "bce"))
    assert torch.equal(first.queries, other.queries)
    assert torch.equal(first.objects, order[other.objects])


def test_a_clip_without_objects_matches_nobody() -> None:
    sound, logits, _, masks, points = scene()
    costs = pair_costs(sound, logits, torch.zeros(0, dtype=torch.long), masks[:0], points, Weights(), "bce")
    assert costs.shape == (4, 0)
    found = cheapest(costs)
    assert found.queries.tolist() == found.objects.tolist() == []
    assert found.queries.dtype == found.objects.dtype == torch.int64


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_told_and_not_matched(bad: float) -> None:
    sound, logits, classes, masks, points = scene()
    logits[1, 0] = bad
    costs = pair_costs(sound, logits, classes, masks, points, Weights(), "bce")
    with pytest.raises(ModelError, match=r"^found NaN or infinite .* in 1 of 4 queries, expected finite"):
        cheapest(costs)


def test_a_match_says_which_query_answers_for_which_object() -> None:
    found = cheapest(torch.tensor([[5.0, 0.0], [5.0, 5.0], [0.0, 5.0]]))
    torch.testing.assert_close(found, Match(torch.tensor([0, 2]), torch.tensor([1, 0])))
