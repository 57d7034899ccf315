"""A closer look at what is heard and not seen: parts of the picture, each as large to the eyes as the whole.

A network that looks at 513 pixels does not see a car that drives away long before it is out of sight.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from model.openavs.interfaces import Region, TextToMask


def parts(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """The four quarters of a picture and its middle, of their size."""
    h, w = (height + 1) // 2, (width + 1) // 2
    bottom, right = height - h, width - w
    for y, x in ((0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)):
        yield slice(y, y + h), slice(x, x + w)


def closer(
    eyes: TextToMask, image: NDArray[np.uint8], nouns: Collection[str], seen: Mapping[str, Region]
) -> dict[str, Region]:
    """What eyes find of these nouns in any part of a picture (H, W, 3), where they are in the picture.

    Args:
        seen: what the eyes have found in the whole. What was mostly something else there is not found: a part
            of a horse may look like a dog.
    """
    masks: dict[str, NDArray[np.bool_]] = {}
    for rows, columns in parts(*image.shape[:2]):
        for noun, region in eyes.regions(np.ascontiguousarray(image[rows, columns]), nouns).items():
            whole = masks.setdefault(noun, np.zeros(image.shape[:2], np.bool_))
            whole[rows, columns] |= region.mask
    found = {}
    for noun, mask in masks.items():
        others = [region.mask for other, region in seen.items() if other != noun]
        free = mask & ~np.logical_or.reduce(others) if others else mask
        if free.sum() > mask.sum() / 2:
            found[noun] = Region(free, float(free.mean()))
    return found
