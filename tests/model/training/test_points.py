"""Where masks are read, and what is read there."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from model.errors import ModelError
from model.training.points import Draw, PointOptions, random_points, read, sample, uncertain_points

CPU = torch.device("cpu")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plainly(mask: Tensor, x: float, y: float) -> float:
    """Bilinear value of one mask at one point, zero around it."""
    height, width = mask.shape
    column, row = x * width - 0.5, y * height - 0.5
    value = 0.0
    for i in (math.floor(row), math.floor(row) + 1):
        for j in (math.floor(column), math.floor(column) + 1):
            if 0 <= i < height and 0 <= j < width:
                value += (1 - abs(row - i)) * (1 - abs(column - j)) * float(mask[i, j])
    return value


def unsure(logits: Tensor, options: PointOptions, generator: torch.Generator) -> Tensor:
    return uncertain_points(logits, options, Draw.of(len(logits), options, generator, CPU))


def test_shared_points_are_read_in_every_mask() -> None:
    masks = torch.randn(2, 3, 5, 7, generator=seeded(), dtype=torch.float64)
    points = random_points(20, generator=seeded(1), device=CPU)
    points[:4] = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 0.6], [0.5, 0.5]])
    found = sample(masks, points)
    expected = [[[plainly(mask, *p.tolist()) for p in points] for mask in clip] for clip in masks]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_own_points_are_read_in_their_mask() -> None:
    masks = torch.randn(3, 4, 6, generator=seeded(), dtype=torch.float64)
    points = random_points(3, 9, generator=seeded(1), device=CPU)
    expected = [[plainly(m, *p.tolist()) for p in own] for m, own in zip(masks, points, strict=True)]
    torch.testing.assert_close(sample(masks, points), torch.tensor(expected, dtype=torch.float64))


def test_points_of_groups_are_read_in_every_mask_of_their_group() -> None:
    masks = torch.randn(2, 3, 4, 6, generator=seeded(), dtype=torch.float64)
    points = random_points(2, 9, generator=seeded(1), device=CPU)
    expected = torch.stack([sample(own, p) for own, p in zip(masks, points, strict=True)])
    torch.testing.assert_close(sample(masks, points), expected)


def test_truth_is_read_as_if_it_were_copied() -> None:
    masks = torch.rand(3, 5, 7, generator=seeded()) > 0.5
    which, points = torch.tensor([2, 0, 2, 1]), random_points(4, 50, generator=seeded(1), device=CPU)
    points[:, :4] = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 0.6], [0.5, 0.5]])
    torch.testing.assert_close(read(masks, which, points), sample(masks[which].float(), points))


def test_masks_of_two_resolutions_are_read_at_the_same_places() -> None:
    small = (torch.rand(1, 4, 6, generator=seeded()) > 0.5).float()
    large = small.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
    rows, columns = torch.meshgrid(torch.arange(4), torch.arange(6), indexing="ij")
    centres = torch.stack([(columns + 0.5) / 6, (rows + 0.5) / 4], dim=-1).flatten(0, 1)
    torch.testing.assert_close(sample(small, centres), sample(large, centres))
    torch.testing.assert_close(sample(small, centres), small.flatten(1))


@pytest.mark.parametrize("shape", [(0, 4, 6), (0, 3, 4, 6)])
def test_no_masks_have_no_values(shape: tuple[int, ...]) -> None:
    masks = torch.zeros(shape)
    assert sample(masks, torch.rand(5, 2)).shape == (*shape[:-2], 5)
    assert sample(torch.zeros(0, 4, 6), torch.rand(0, 5, 2)).shape == (0, 5)
    assert unsure(torch.zeros(0, 4, 6), PointOptions(count=8), seeded()).shape == (0, 8, 2)


def test_most_points_are_the_least_sure_of_many() -> None:
    # Logits rise from left to right and are zero in the middle; each row is as good as another.
    logits = torch.linspace(-6, 6, 24).expand(2, 16, 24).contiguous()
    options = PointOptions(count=400)
    points = unsure(logits, options, seeded())
    assert points.shape == (2, 400, 2)
    assert points.min() >= 0
    assert points.max() <= 1
    candidates = torch.rand(2, 1200, 2, generator=seeded())
    sureness = sample(logits, candidates).abs()
    for own, values, chosen in zip(candidates, sureness, points, strict=True):
        # The 300 smallest of 1200, in any order.
        best = own[values.argsort()[:300]]
        assert {tuple(p) for p in chosen[:300].tolist()} == {tuple(p) for p in best.tolist()}
    middle = (points[..., 0] - 0.5).abs()
    assert middle[:, 300:].mean() > 0.2  # anywhere: a quarter on average
    assert middle[:, :300].mean() < 0.15


def test_the_generator_alone_decides() -> None:
    logits, options = torch.randn(2, 8, 8, generator=seeded()), PointOptions(count=30)
    torch.manual_seed(5)
    first = unsure(logits, options, seeded(3))
    torch.manual_seed(6)
    assert torch.equal(first, unsure(logits, options, seeded(3)))
    assert not torch.equal(first, unsure(logits, options, seeded(4)))


def test_importance_at_its_ends() -> None:
    logits = torch.linspace(-6, 6, 24).expand(1, 16, 24).contiguous()
    anywhere = unsure(logits, PointOptions(count=200, importance=0), seeded())
    least_sure = unsure(logits, PointOptions(count=200, importance=1), seeded())
    assert (anywhere[..., 0] - 0.5).abs().max() > 0.4
    assert (least_sure[..., 0] - 0.5).abs().max() < 0.25  # a third of the picture, and the luck of the draw


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"count": 0}, "found 0 points per mask"),
        ({"oversample": 0.5}, "found 0.5 candidates per point"),
        ({"importance": 1.5}, "found 1.5 as the share"),
    ],
)
def test_impossible_amounts_are_refused(change: dict[str, float], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        PointOptions(**change)  # type: ignore[arg-type]
