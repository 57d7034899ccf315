"""Text to mask by DeepLabV3 with MobileNetV2: the twenty things of PASCAL VOC, seen at 513 pixels.

It finds everything it knows in one pass, so nouns choose among what it found. Things of one kind that stand
apart are one region: it tells kinds from each other, not individuals.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model.errors import ModelError
from model.openavs.interfaces import Region
from model.openavs.litert import Network

SIDE = 513
GREY = 128  # nothing, to a network that was trained on pixels around their middle
# VOC's classes in their order, by the nouns of the translation table.
NOUNS = (
    "background", "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "table", "dog", "horse", "motorcycle", "person", "plant", "sheep", "sofa", "train", "television",
)  # fmt: skip


class DeepLab:
    """Raises `ModelError` for a file that is not this network."""

    nouns: frozenset[str] | None = frozenset(NOUNS[1:])

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._network = Network(path, (1, SIDE, SIDE, 3), threads)
        if self._network.output_shape != (1, SIDE, SIDE):
            found = self._network.output_shape
            raise ModelError(
                f"{path}: found an output of {found}, expected {(1, SIDE, SIDE)}: a class a pixel"
            )

    def regions(self, image: NDArray[np.uint8], nouns: Collection[str]) -> dict[str, Region]:
        """A picture (H, W, 3), RGB -> what of VOC is in it and asked for, at the picture's size."""
        h, w = image.shape[:2]
        scale = SIDE / max(h, w)
        fit = (max(1, round(scale * h)), max(1, round(scale * w)))
        canvas = np.full((1, SIDE, SIDE, 3), GREY, np.uint8)
        fine = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas[0, : fit[0], : fit[1]] = cv2.resize(image, (fit[1], fit[0]), interpolation=fine)
        classes = self._network(canvas)[0, : fit[0], : fit[1]].astype(np.uint8)
        if fit != (h, w):
            classes = cv2.resize(classes, (w, h), interpolation=cv2.INTER_NEAREST)
        shares = np.bincount(classes.reshape(-1), minlength=len(NOUNS)) / classes.size
        seen = [number for number in np.flatnonzero(shares) if number and NOUNS[number] in nouns]
        return {NOUNS[number]: Region(classes == number, float(shares[number])) for number in seen}
