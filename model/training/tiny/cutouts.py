"""Things cut out as the classifier is shown them: soft, a little wrong, alone on black (Section 3.4)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def cut_out(
    rng: np.random.Generator, picture: NDArray[np.uint8], mask: NDArray[np.bool_], side: int
) -> NDArray[np.float32]:
    """A thing's square of a picture (H, W, 3), times its mask (H, W) as a model might have drawn it.

    The square lies about the mask's box, as `crops.crop_objects` has it. Returns (side, side, 3), 0 to 255.
    """
    soft = misdrawn(rng, mask)
    ys, xs = np.nonzero(soft > 0.5)
    longest = max(np.ptp(ys), np.ptp(xs)) + 1
    scale = side / (longest * rng.uniform(0.95, 1.08))
    middle_x, middle_y = (xs.min() + xs.max() + 1) / 2, (ys.min() + ys.max() + 1) / 2
    place = np.array([[scale, 0, side / 2 - scale * middle_x], [0, scale, side / 2 - scale * middle_y]])
    alone = picture.astype(np.float32) * soft[..., None]
    if scale < 0.7:  # averaged before it is shrunk, or pixels would be skipped
        alone = cv2.GaussianBlur(alone, (0, 0), 0.5 / scale - 0.5)
    return np.asarray(cv2.warpAffine(alone, place, (side, side)), np.float32)


def misdrawn(rng: np.random.Generator, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """A soft mask (H, W) that is at times too tight, too wide, has a hole, or takes in something else."""
    drawn = mask.astype(np.float32)
    square = np.ones((3, 3), np.uint8)
    manner = rng.uniform()
    if manner < 0.3 and mask.sum() > 400:
        thinner = np.asarray(cv2.erode(drawn, square, iterations=int(rng.integers(1, 3))), np.float32)
        drawn = thinner if thinner.any() else drawn  # nothing is left of a thing that is all thin lines
    elif 0.3 <= manner < 0.6:
        drawn = np.asarray(cv2.dilate(drawn, square, iterations=int(rng.integers(1, 4))), np.float32)
    if rng.uniform() < 0.25:
        edge = np.argwhere(drawn)
        y, x = edge[rng.integers(len(edge))].tolist()
        cv2.circle(drawn, (x, y), int(rng.integers(4, 14)), float(rng.uniform() < 0.5), -1)
    soft = cv2.GaussianBlur(drawn, (0, 0), float(rng.uniform(0.6, 2.2)))
    return np.asarray(soft if soft.max() > 0.5 else mask, np.float32)
