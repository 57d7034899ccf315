"""Masks as COCO compressed run-length codes: the form in which a mask travels and is written down."""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco


class Rle(TypedDict):
    """A mask of `size` [height, width] whose column-major runs are packed into the ASCII string `counts`."""

    size: list[int]
    counts: str


def encode_mask(mask: NDArray[np.bool_]) -> Rle:
    """Packs a mask, shape (H, W) bool.

    Raises:
        ValueError: the array is not two-dimensional, is empty or is not of booleans.
    """
    if mask.ndim != 2 or mask.dtype != np.bool_ or not mask.size:
        raise ValueError(f"a mask is a non-empty (H, W) array of bool, found {mask.shape} of {mask.dtype}")
    packed: Any = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in mask.shape], "counts": packed["counts"].decode("ascii")}


def decode_mask(rle: Rle) -> NDArray[np.bool_]:
    """Unpacks a mask, shape (H, W) bool.

    Raises:
        ValueError: the runs do not fill the size exactly, or the string is no run-length code.
    """
    height, width = rle["size"]
    runs = _checked_runs(rle)
    columns = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height)
    return np.ascontiguousarray(columns.T)


def box_and_area(rle: Rle) -> tuple[list[int], int]:
    """Returns the tight box [x, y, width, height] and the number of pixels set; zeros for an empty mask.

    Meant for codes that are known to be sound: pycocotools reads past the end of a damaged one.
    """
    code: Any = rle
    return [int(side) for side in coco.toBbox(code)], int(coco.area(code))


def check_rle(rle: Rle) -> None:
    """Holds the runs of a code against its size.

    Raises:
        ValueError: says what is wrong with the code.
    """
    _checked_runs(rle)


def _checked_runs(rle: Rle) -> list[int]:
    height, width = rle["size"]
    runs = _runs(rle["counts"])
    if any(run < 0 for run in runs):
        raise ValueError("run-length code holds a negative run")
    if sum(runs) != height * width:
        raise ValueError(f"run-length code covers {sum(runs)} pixels, expected {height * width}")
    return runs


def _runs(counts: str) -> list[int]:
    """The alternating run lengths (unset first) of COCO's packing: five bits a character from 48 up, the
    sixth says that more follow, and from the fourth run on the difference to the run before the last."""
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"run-length code holds the character {character!r}")
        if shift > 30:
            raise ValueError("run-length code holds a run too long for any picture")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("run-length code ends in the middle of a run")
    return runs
