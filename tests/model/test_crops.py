"""Cut-out objects: equal to the recorded regions, and to a plain slice where no sampling is needed."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model.crops import boxes, crop_objects, crop_regions, valid_regions
from model.options import Crop, CropAnchor

FIXTURE = Path(__file__).parents[2] / ".." / "shared" / "parity" / "crops.npz"


def picture(height: int = 48, width: int = 64) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8, generator=generator)


def rectangle(y0: int, x0: int, y1: int, x1: int, *, height: int = 48, width: int = 64) -> Tensor:
    mask = torch.zeros(1, height, width)
    mask[:, y0:y1, x0:x1] = 1.0
    return mask


FIRST = torch.zeros(1, dtype=torch.int64)


@pytest.mark.skipif(not FIXTURE.exists(), reason="the recorded regions ../shared/parity/crops.npz are absent")
def test_equals_the_recorded_regions_down_to_their_float16() -> None:
    with np.load(FIXTURE) as content:
        frames, masks, valid, regions = (
            torch.from_numpy(content[name]) for name in ("frames", "masks", "valid", "regions")
        )
    assert torch.equal(valid_regions(masks), valid)
    found = crop_regions(frames, masks, valid, anchor="top-left")
    error = (found - regions.float()).norm() / regions.float().norm()
    assert error < 3e-4


def test_boxes_end_one_past_the_last_pixel_and_are_zero_for_empty_masks() -> None:
    masks = torch.cat([rectangle(5, 7, 15, 9), rectangle(0, 0, 48, 64), torch.full((1, 48, 64), 0.4)])
    assert boxes(masks).tolist() == [[7, 5, 9, 15], [0, 0, 64, 48], [0, 0, 0, 0]]
    assert valid_regions(masks).tolist() == [True, True, False]
    assert valid_regions(masks, threshold=0.3).tolist() == [True, True, True]


def test_boxes_match_a_search_pixel_by_pixel() -> None:
    masks = torch.rand(30, 9, 11, generator=torch.Generator().manual_seed(0)) ** 8
    for mask, box in zip(masks, boxes(masks), strict=True):
        y, x = (mask > 0.5).nonzero(as_tuple=True)
        expected = [x.min(), y.min(), x.max() + 1, y.max() + 1] if len(y) else [0, 0, 0, 0]
        assert box.tolist() == [float(edge) for edge in expected]


@pytest.mark.parametrize(("side", "shrink"), [(16, 1), (16, 4), (24, 3)])
def test_shrinking_averages_every_pixel_and_the_mask_alike(side: int, shrink: int) -> None:
    # Samples lie one pixel apart, where four pixels meet: that is where unaligned coordinates put centres.
    image, mask = picture(), rectangle(8, 16, 8 + side, 16 + side) * 0.75
    found = crop_objects(image, mask, FIRST, size=side // shrink)

    def sampled(plane: Tensor) -> Tensor:
        corners = F.avg_pool2d(plane, 2, stride=1)[:, :, 8 : 8 + side, 16 : 16 + side]
        return F.avg_pool2d(corners, shrink)

    torch.testing.assert_close(found, sampled(image.float()) * sampled(mask[None]), atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize(
    ("crop", "anchor", "area"),
    [
        ("none", "centre", (0, 0, 64, 48)),
        ("resize", "centre", (20, 10, 40, 18)),
        ("square", "top-left", (20, 10, 40, 30)),
        ("square", "centre", (20, 4, 40, 24)),
    ],
)
def test_what_each_kind_of_crop_shows(
    crop: Crop, anchor: CropAnchor, area: tuple[int, int, int, int]
) -> None:
    """Every crop is the masked picture, sampled over the area in the table."""
    image, mask = torch.full((1, 3, 48, 64), 200, dtype=torch.uint8), rectangle(10, 20, 18, 40)
    found = crop_objects(image, mask, FIRST, crop=crop, anchor=anchor, size=80)[0, 0]
    x0, y0, x1, y1 = area
    # Where the object's rectangle falls on an 80-pixel side, but for the pixel-wide slope at its edges.
    scale_y, scale_x = 80 / (y1 - y0), 80 / (x1 - x0)
    inside = np.zeros((80, 80), dtype=bool)
    inside[
        max(0, round((11 - y0) * scale_y)) : round((17 - y0) * scale_y),
        max(0, round((21 - x0) * scale_x)) : round((39 - x0) * scale_x),
    ] = True
    outside = np.ones((80, 80), dtype=bool)
    outside[
        max(0, round((9 - y0) * scale_y)) : round((19 - y0) * scale_y),
        max(0, round((19 - x0) * scale_x)) : round((41 - x0) * scale_x),
    ] = False
    assert np.allclose(found[inside], 200)
    assert np.allclose(found[outside], 0)
    assert inside.any()


@pytest.mark.parametrize("anchor", get_args(CropAnchor))
def test_outside_the_frame_is_black(anchor: CropAnchor) -> None:
    image = torch.full((1, 3, 48, 64), 255, dtype=torch.uint8)
    tall = rectangle(0, 60, 48, 64)  # the square reaches past the right edge
    found = crop_objects(image, tall, FIRST, anchor=anchor, size=48)[0, 0]
    start = 60 if anchor == "top-left" else 38
    columns = np.arange(48) + start
    assert np.allclose(found[:, columns > 64], 0)
    assert np.allclose(found[1:-1, (columns >= 61) & (columns < 63)], 255)


def test_regions_follow_the_row_major_order_of_valid() -> None:
    images = torch.cat([picture(), picture().flip(-1)])
    masks = torch.stack([rectangle(4, 4, 20, 20), rectangle(8, 30, 30, 60), rectangle(2, 2, 46, 12)], dim=1)
    masks = masks.expand(2, -1, -1, -1)
    valid = torch.tensor([[False, True, True], [True, False, True]])
    found = crop_regions(images, masks, valid, size=24)
    wanted = [(0, 1), (0, 2), (1, 0), (1, 2)]
    for region, (frame, query) in zip(found, wanted, strict=True):
        alone = crop_objects(images[frame][None], masks[frame, query][None], FIRST, size=24)
        assert torch.equal(region, alone[0])


def test_masks_may_reach_into_the_padding() -> None:
    """As in the authors' code, which crops with masks of the padded size from pictures without padding."""
    image = picture(40, 50)
    padded = torch.zeros(1, 64, 64)
    padded[:, 10:30, 20:40] = 1.0
    assert torch.equal(
        crop_objects(image, padded, FIRST, size=32),
        crop_objects(image, padded[:, :40, :50], FIRST, size=32),
    )


def test_nothing_wanted_is_no_region() -> None:
    none = crop_regions(picture(), torch.zeros(1, 2, 48, 64), torch.zeros(1, 2, dtype=torch.bool), size=32)
    assert none.shape == (0, 3, 32, 32)
