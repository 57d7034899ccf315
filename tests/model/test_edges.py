"""Masks along the edges of the picture, against the filter's definition and on pictures with known edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.edges import SURE, Guide, along_edges

RADIUS, EPS = 2, 1e-3


def by_definition(mask: NDArray[np.float64], picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """In each window, the linear map of colours that explains the mask best (ridge regression); at each
    pixel, the mean of what the maps of all its windows say. Windows reach over the border by reflection."""
    height, width = mask.shape
    padded_mask = np.pad(mask, RADIUS, mode="reflect")
    padded_picture = np.pad(picture, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="reflect")
    maps = np.zeros((height, width, 4))
    for y in range(height):
        for x in range(width):
            there = slice(y, y + 2 * RADIUS + 1), slice(x, x + 2 * RADIUS + 1)
            colours, values = padded_picture[there].reshape(-1, 3), padded_mask[there].ravel()
            apart = colours - colours.mean(0)
            slope = np.linalg.solve(
                apart.T @ apart / len(values) + EPS * np.eye(3),
                apart.T @ (values - values.mean()) / len(values),
            )
            maps[y, x] = *slope, values.mean() - slope @ colours.mean(0)
    maps = np.pad(maps, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="reflect")
    mean = np.stack(
        [
            [maps[y : y + 2 * RADIUS + 1, x : x + 2 * RADIUS + 1].mean((0, 1)) for x in range(width)]
            for y in range(height)
        ]
    )
    return (mean[..., :3] * picture).sum(-1) + mean[..., 3]


def test_it_is_the_guided_filter() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (32, 32, 3), np.uint8)
    logits = torch.from_numpy(rng.uniform(-SURE, SURE, (2, 32, 32)).astype(np.float32))
    found = along_edges(logits, picture, Guide(RADIUS, EPS))
    for mask, one in zip(logits.numpy(), found.numpy(), strict=True):
        assert np.allclose(one, by_definition(mask.astype(np.float64), picture / 255), atol=1e-3)


@pytest.mark.parametrize(("shift", "left"), [(-3, 0.65), (-1, 0.0), (1, 0.0), (2, 0.4)])
def test_a_mask_that_ends_beside_an_edge_comes_nearer_to_it(shift: int, left: float) -> None:
    """`left`: how much of what was wrong may be left; of one pixel, nothing."""
    picture = np.full((64, 64, 3), 40, np.uint8)
    picture[20:44, 20:44] = (200, 120, 60)
    coarse = torch.full((1, 64, 64), -3.0)
    coarse[:, 20:44, 20 + shift : 44 + shift] = 3.0
    drawn = along_edges(coarse, picture, Guide(4, 3e-4))[0].numpy() > 0
    true = np.zeros((64, 64), np.bool_)
    true[20:44, 20:44] = True
    before = coarse[0].numpy() > 0
    assert (drawn != true).sum() <= left * (before != true).sum()


def test_coarse_masks_of_an_odd_picture_come_at_the_padded_size_and_the_padding_stays() -> None:
    picture = np.zeros((40, 50, 3), np.uint8)
    logits = torch.full((1, 16, 16), -7.0)  # of 64 x 64
    found = along_edges(logits, picture, Guide(RADIUS, EPS))
    assert found.shape == (1, 64, 64)
    assert (found[:, 40:] == -7).all()
    assert torch.allclose(found[:, :40, :50], torch.tensor(-SURE))
    assert along_edges(logits[:0], picture, Guide(RADIUS, EPS)).shape == (0, 64, 64)
