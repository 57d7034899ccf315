"""Things cut out as the classifier is shown them: soft, a little wrong, alone on black (Section 3.4)."""

from __future__ import annotations

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

SQUARE = np.ones((3, 3), np.uint8)


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
    """A soft mask (H, W) as a localiser errs.

    At times it is too tight or too wide, or has lost a thing's thin parts or a whole side of it; at times it
    has a hole, or takes in something beside.
    """
    drawn = mask.astype(np.float32)
    manner = rng.uniform()
    if manner < 0.2:
        drawn = _or_all(cv2.erode(drawn, SQUARE, iterations=int(rng.integers(1, 3))), mask)
    elif manner < 0.4:
        drawn = np.asarray(cv2.dilate(drawn, SQUARE, iterations=int(rng.integers(1, 4))), np.float32)
    elif manner < 0.55:
        drawn = _or_all(_without_thin_parts(rng, drawn), mask)
    elif manner < 0.75:
        drawn = _without_a_side(rng, drawn)
    if rng.uniform() < 0.35:
        inside = np.argwhere(drawn)
        y, x = inside[rng.integers(len(inside))].tolist()
        radius = max(2, int(rng.uniform(0.1, 0.35) * np.sqrt(len(inside))))
        patched = cv2.circle(drawn.copy(), (x, y), radius, float(rng.uniform() < 0.6), -1)
        drawn = _or_all(patched, drawn > 0)
    soft = cv2.GaussianBlur(drawn, (0, 0), float(rng.uniform(0.6, 2.2)))
    return np.asarray(soft if soft.max() > 0.5 else mask, np.float32)


def _without_thin_parts(rng: np.random.Generator, drawn: NDArray[np.float32]) -> NDArray[np.float32]:
    width = 3 + int(rng.uniform(0.1, 0.3) * np.sqrt(drawn.sum()))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return np.asarray(cv2.morphologyEx(drawn, cv2.MORPH_OPEN, disc), np.float32)


def _without_a_side(rng: np.random.Generator, drawn: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut off along a line, whatever its direction; more than half of it stays."""
    ys, xs = np.nonzero(drawn)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * xs + np.sin(angle) * ys
    gone = along > np.quantile(along, rng.uniform(0.55, 0.95))
    kept = drawn.copy()
    kept[ys[gone], xs[gone]] = 0
    return kept


def _or_all(drawn: MatLike, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """What was drawn; or all of a thing of which little would be left, such as one that is all thin lines."""
    enough = 4 * drawn.sum() > mask.sum()
    return np.asarray(drawn if enough else mask, np.float32)
