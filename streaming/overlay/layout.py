"""Where things go: rectangles, and the place for a plate that covers least of what matters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    x: int
    y: int
    width: int
    height: int

    def overlap(self, other: Box) -> int:
        """Common area in pixels."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(0, across) * max(0, down)


def bounding_box(mask: NDArray[np.bool_]) -> Box | None:
    """The smallest box around a mask, shape (H, W); None for an empty one."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return None
    x, y = int(columns[0]), int(rows[0])
    return Box(x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1)


def place(
    width: int,
    height: int,
    around: Box,
    within: Box,
    taken: Sequence[Box],
    others: NDArray[np.bool_] | None = None,
) -> Box:
    """Finds the place for a plate: above the object if it can be, else inside its top, below or beside it.

    It always lies within the picture (a plate larger than the picture starts at its corner). Among the places
    it takes one that covers nothing of what is taken, little of `others` (the pixels of other objects, shape
    (H, W)), and is near to its first wish.
    """
    middle = around.x + (around.width - width) // 2
    beside = around.y + (around.height - height) // 2
    gap = max(2, height // 6)
    wishes = [
        (middle, around.y - height - gap),
        (middle, around.y + gap),
        (middle, around.y + around.height + gap),
        (around.x + around.width + gap, beside),
        (around.x - width - gap, beside),
    ]
    wishes += [(middle, around.y + (height + gap) * step) for step in (-2, 1, -3, 2, 3)]
    best, least = Box(0, 0, width, height), math.inf
    for rank, (x, y) in enumerate(wishes):
        box = Box(
            max(within.x, min(x, within.x + within.width - width)),
            max(within.y, min(y, within.y + within.height - height)),
            width,
            height,
        )
        covered = sum(box.overlap(other) for other in taken)
        moved = math.hypot(box.x - x, box.y - y) / height
        cost = rank + 4 * moved + (100 + 100 * covered / (width * height) if covered else 0)
        if others is not None:
            hidden = others[box.y : box.y + height, box.x : box.x + width]
            cost += 6 * float(hidden.mean()) if hidden.size else 0
        if cost < least:
            best, least = box, cost
    return best
