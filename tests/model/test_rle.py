from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from model.rle import Rle, box_and_area, check_rle, decode_mask, encode_mask


def masks() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    yy, xx = np.mgrid[:90, :160]
    return {
        "empty": np.zeros((7, 5), bool),
        "full": np.ones((7, 5), bool),
        "one pixel": np.ones((1, 1), bool),
        "corner pixel": np.eye(1, 35, 34).reshape(7, 5).astype(bool),
        "disc": (yy - 40) ** 2 + (xx - 70) ** 2 < 30**2,
        "noise": rng.random((37, 53)) < 0.5,
        "one long run": np.arange(2000 * 1500).reshape(2000, 1500) > 5,
    }


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", masks())
def test_a_mask_survives_the_round_trip(name: str) -> None:
    mask = masks()[name]
    rle = encode_mask(mask)
    assert rle["size"] == list(mask.shape)
    assert isinstance(rle["counts"], str)
    assert rle["counts"].isascii()
    np.testing.assert_array_equal(decode_mask(rle), mask)
    np.testing.assert_array_equal(coco.decode(rle), mask)


@pytest.mark.parametrize("name", masks())
def test_box_and_area_are_those_of_the_pixels(name: str) -> None:
    mask = masks()[name]
    box, area = box_and_area(encode_mask(mask))
    assert area == mask.sum()
    if area:
        rows, columns = np.nonzero(mask)
        x, y = columns.min(), rows.min()
        assert box == [x, y, columns.max() - x + 1, rows.max() - y + 1]
    else:
        assert box == [0, 0, 0, 0]
    assert all(type(side) is int for side in [*box, area])


def test_a_view_in_any_memory_order_gives_the_same_code() -> None:
    mask = masks()["noise"]
    assert encode_mask(np.asfortranarray(mask)) == encode_mask(mask)
    assert encode_mask(mask[::-1][::-1]) == encode_mask(mask)


@pytest.mark.parametrize(
    "array", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 1), bool), np.zeros((0, 4), bool)]
)
def test_what_is_no_mask_is_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a mask is"):
        encode_mask(array)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda counts: counts[:-1], "covers|middle"),
        (lambda counts: counts + "1", "covers"),
        (lambda counts: "é" + counts, "character"),
        (lambda counts: counts + "o", "middle of a run"),
        (lambda counts: "oooooooo1", "too long"),
        (lambda counts: "", "covers 0 pixels"),
        (lambda counts: "O" + counts, "negative"),
    ],
)
def test_a_damaged_code_is_refused_before_pycocotools_sees_it(damage, message: str) -> None:
    rle = encode_mask(masks()["disc"])
    broken: Rle = {"size": rle["size"], "counts": damage(rle["counts"])}
    with pytest.raises(ValueError, match=message):
        check_rle(broken)
    with pytest.raises(ValueError, match=message):
        decode_mask(broken)
