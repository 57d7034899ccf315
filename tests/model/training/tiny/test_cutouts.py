from __future__ import annotations

import numpy as np
import pytest
import torch

from model.crops import crop_objects
from model.training.tiny.cutouts import cut_out, misdrawn


def disc(side: int = 80, radius: int = 18) -> np.ndarray:
    y, x = np.ogrid[:side, :side]
    return (x - 45) ** 2 + (y - 35) ** 2 <= radius**2


@pytest.mark.parametrize("radius", [4, 9, 18, 30])
def test_a_cut_out_is_about_what_the_classifier_is_shown(radius: int) -> None:
    mask = disc(radius=radius)
    picture = np.random.default_rng(0).integers(60, 200, (80, 80, 3), dtype=np.uint8)
    picture[..., 0] = 200 * mask
    shown = crop_objects(
        torch.from_numpy(picture).permute(2, 0, 1)[None].float(), torch.from_numpy(mask)[None].float(),
        torch.zeros(1, dtype=torch.int64), size=64,
    )[0].permute(1, 2, 0)  # fmt: skip
    found = np.mean([cut_out(np.random.default_rng(n), picture, mask, 64) for n in range(40)], axis=0)
    assert found.shape == (64, 64, 3)
    assert np.corrcoef(found.ravel(), shown.numpy().ravel())[0, 1] > 0.9


def test_masks_are_misdrawn_in_many_ways_and_never_lost() -> None:
    grid = np.zeros((80, 80), np.bool_)
    grid[::4], grid[:, ::4] = True, True
    for mask in (disc(), disc(radius=1), grid):
        drawn = [misdrawn(np.random.default_rng(n), mask) for n in range(60)]
        assert all((soft > 0.5).any() for soft in drawn)
        assert all(0 <= soft.min() <= soft.max() <= 1.0001 for soft in drawn)
    areas = [float((misdrawn(np.random.default_rng(n), disc()) > 0.5).mean()) for n in range(60)]
    assert min(areas) < 0.9 * disc().mean() < 1.1 * disc().mean() < max(areas)


def test_thin_parts_and_whole_sides_go_missing_at_times() -> None:
    """What a localiser loses of a banjo: its neck, or half of its drum."""
    drum, neck = disc(), np.zeros((80, 80), np.bool_)
    neck[33:36, 5:27] = True
    drawn = [misdrawn(np.random.default_rng(n), drum | neck) > 0.5 for n in range(200)]
    left = [(float(one[drum].mean()), float(one[neck & ~drum].mean())) for one in drawn]
    assert 10 < sum(body > 0.9 and handle < 0.2 for body, handle in left) < 60
    assert 10 < sum(body < 0.8 for body, _ in left) < 80
    assert min(body for body, _ in left) > 0.3
    assert sum(body > 0.9 and handle > 0.9 for body, handle in left) > 50


def test_of_the_rest_of_the_picture_little_is_left() -> None:
    picture = np.full((80, 80, 3), 255, np.uint8)
    corners = [cut_out(np.random.default_rng(n), picture, disc(), 64)[:3, :3].mean() for n in range(40)]
    assert np.median(corners) < 1
