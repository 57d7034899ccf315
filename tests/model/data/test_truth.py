from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.data.truth import OneObject, read_label_map, segmentation_mask
from model.errors import ModelError
from model.rle import encode_mask
from tests.model.data.laid_out import coloured, save

MASK = np.zeros((20, 30), np.bool_)
MASK[4:12, 5:25] = True


def test_run_lengths_and_polygons_say_the_same() -> None:
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate(([2], MASK.T.ravel(), [2]))))).tolist()
    polygon = [5, 4, 25, 4, 25, 12, 5, 12]
    halves = [[5, 4, 15, 4, 15, 12, 5, 12], [15, 4, 25, 4, 25, 12, 15, 12]]
    for written in (encode_mask(MASK), {"size": [20, 30], "counts": runs}, [polygon], halves):
        np.testing.assert_array_equal(segmentation_mask(written, (20, 30), "here"), MASK)


@pytest.mark.parametrize("written", [None, []])
def test_nothing_written_is_nothing_shown(written: Any) -> None:
    mask = segmentation_mask(written, (20, 30), "here")
    assert mask.shape == (20, 30)
    assert not mask.any()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (7, r"^here: found a whole number, expected an object"),
        ([1, 2, 3, 4, 5, 6], r"^here: found 1, expected polygons"),
        ([[1, 2, 3, 4]], r"^here: found \[1, 2, 3, 4\], expected polygons"),
        ([[1, 2, 3, 4, 5, "6"]], r"^here: found .*expected polygons"),
        (encode_mask(MASK[:, :-1]), r"^here: size: found \[20, 29\], expected \[20, 30\], the frame's"),
        ({"size": [20, 30], "counts": "!!"}, r"^here: run-length code"),
        ({"size": [20, 30], "counts": [599]}, r"^here: run lengths cover 599 pixels, expected 600"),
        ({"size": [20, 30], "counts": [-1, 601]}, r"^here: counts: found \[-1, 601\]"),
        ({"size": [20, 30]}, r"^here: counts: found None"),
    ],
)
def test_what_is_no_mask_is_told(written: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        segmentation_mask(written, (20, 30), "here")


def test_every_colour_of_the_palette_is_its_label(tmp_path: Path) -> None:
    labels = np.arange(256).reshape(16, 16)
    save(tmp_path / "0.png", coloured(labels))
    np.testing.assert_array_equal(read_label_map(tmp_path / "0.png", frozenset(range(1, 256))), labels)


def test_a_map_that_keeps_its_palette_is_read_by_its_colours(tmp_path: Path) -> None:
    labels = np.zeros((16, 16), np.int64)
    labels[2:5] = 70
    Image.fromarray(coloured(labels)).quantize(2).save(tmp_path / "0.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "0.png", frozenset([70])), labels)


def test_few_pixels_of_no_label_are_background_and_many_are_told(tmp_path: Path) -> None:
    picture = coloured(np.full((20, 20), 21))
    picture[0, :2] = (1, 2, 3), (192, 192, 192)  # no palette's colour, and label 63
    save(tmp_path / "0.png", picture)
    labels = read_label_map(tmp_path / "0.png", frozenset([21]))
    assert (labels == 0).sum() == 2
    assert (labels == 21).sum() == 398
    picture[3, :3] = 9
    save(tmp_path / "0.png", picture)
    with pytest.raises(ModelError, match=r"0\.png: found colour \(1, 2, 3\) at \(0, 0\), and such in 1%"):
        read_label_map(tmp_path / "0.png", frozenset([21]))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_all_that_is_painted_is_the_object(tmp_path: Path, mode: str) -> None:
    stored = Image.fromarray(MASK.astype(np.uint8) * (1 if mode == "P" else 45))
    if mode == "P":
        stored = stored.convert("P")
        stored.putpalette([255, 255, 255, 0, 0, 0])  # number 0 is white here, and background all the same
    else:
        stored = (stored if mode != "1" else stored.point(lambda value: 255 * bool(value))).convert(mode)
    stored.save(tmp_path / "0.png")
    masks, ids = OneObject((tmp_path / "0.png",), 7).read([0], (20, 30))
    assert ids == (7,)
    np.testing.assert_array_equal(masks[0, 0], MASK)


def test_masks_of_another_size_than_the_frame_are_told(tmp_path: Path) -> None:
    save(tmp_path / "0.png", MASK.astype(np.uint8))
    with pytest.raises(
        ModelError, match=r"0\.png: found 30 x 20 pixels, expected 40 x 20 pixels, the frame's"
    ):
        OneObject((tmp_path / "0.png",), 1).read([0], (20, 40))
