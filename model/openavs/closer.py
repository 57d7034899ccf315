"""A closer look at what is heard and not seen: a part of the picture, as large to the eyes as the whole.

A network that looks at 513 pixels does not see a car that drives away long before it is out of sight. So it
is looked for where it was seen last, or in the middle, where what never was is likeliest to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.openavs.interfaces import Region, TextToMask

Place = tuple[float, float]  # y and x, as shares of the picture
MIDDLE = (0.5, 0.5)


def part(height: int, width: int, place: Place) -> tuple[slice, slice]:
    """Rows and columns of half a picture's height and width, about a place as far as the picture goes."""
    slices = []
    for length, centre in zip((height, width), place, strict=True):
        half = (length + 1) // 2
        first = min(max(0, round(centre * length - half / 2)), length - half)
        slices.append(slice(first, first + half))
    return slices[0], slices[1]


def middle_of(mask: NDArray[np.bool_]) -> Place:
    """Where the pixels of a mask (H, W) are on average."""
    rows, columns = np.nonzero(mask)
    return (float(rows.mean()) + 0.5) / mask.shape[0], (float(columns.mean()) + 0.5) / mask.shape[1]


@dataclass
class CloserLook:
    """Remembers of one source where each noun was seen last, and looks there again."""

    eyes: TextToMask
    _places: dict[str, Place] = field(default_factory=dict)

    def saw(self, regions: Mapping[str, Region]) -> None:
        """Remember where these are."""
        for noun, region in regions.items():
            if region.area > 0:
                self._places[noun] = middle_of(region.mask)

    def __call__(
        self, image: NDArray[np.uint8], nouns: Iterable[str], seen: Mapping[str, Region]
    ) -> dict[str, Region]:
        """What of these nouns is found by a look at each, where it is in the picture (H, W, 3).

        Args:
            seen: what the eyes have found in the whole. What was mostly something else there is not found: a
                part of a horse may look like a dog.
        """
        found = {}
        for noun in nouns:
            rows, columns = part(image.shape[0], image.shape[1], self._places.get(noun, MIDDLE))
            region = self.eyes.regions(np.ascontiguousarray(image[rows, columns]), [noun]).get(noun)
            if region is None:
                continue
            mask = np.zeros(image.shape[:2], np.bool_)
            mask[rows, columns] = region.mask
            others = [one.mask for other, one in seen.items() if other != noun]
            free = mask & ~np.logical_or.reduce(others) if others else mask
            if free.sum() > mask.sum() / 2:
                found[noun] = Region(free, float(free.mean()))
        self.saw(found)
        return found
