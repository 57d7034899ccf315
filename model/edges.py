"""Masks along the edges of the picture: the guided filter (He, Sun and Tang, Guided Image Filtering, 2013).

Not of the paper. A small model draws masks coarsely, at a quarter of its picture. Within small windows, the
filter explains a mask by the picture's colours as well as a linear map can, so that what is drawn ends
where colours end. Large models do better without: it blurs what they know.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.localiser import padded_size
from model.masks import upsampled

SURE = 4.0  # logits beyond it are no surer: one pixel's certainty shall not decide for its neighbours
# A symmetric 3 x 3 matrix as six numbers, and where each of its nine is among them.
ROWS, COLUMNS = [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]
WHERE = [[0, 1, 2], [1, 3, 4], [2, 4, 5]]


@dataclass(frozen=True)
class Guide:
    """How masks follow the picture.

    radius: half the side of the windows, in pixels of the model's picture; 0 leaves masks as they are.
    eps: variance of colours, 0 to 1, that is still taken for flat.
    """

    radius: int = 0
    eps: float = 1e-3


def along_edges(logits: Tensor, picture: NDArray[np.uint8], guide: Guide) -> Tensor:
    """Mask logits (n, h, w) of a padded picture, filtered with the picture (H, W, 3) uint8 as the guide.

    Returns:
        Logits (n, H', W') at the padded size, float32, on the processor. The padding is not filtered.
    """
    height, width = picture.shape[:2]
    whole = upsampled(logits.float().cpu(), padded_size((height, width)))
    if not len(whole):
        return whole
    inside = whole[:, :height, :width].clamp(-SURE, SURE).numpy()
    with_picture = _Filter(picture.astype(np.float32) / np.float32(255), guide)
    whole[:, :height, :width] = torch.from_numpy(np.stack([with_picture(mask) for mask in inside]))
    return whole


class _Filter:
    """What the filter needs of a picture (H, W, 3) in [0, 1], once for all masks."""

    def __init__(self, picture: NDArray[np.float32], guide: Guide) -> None:
        self._picture, self._side = picture, 2 * guide.radius + 1
        self._mean = self._box(picture)
        covariance = self._box(picture[..., ROWS] * picture[..., COLUMNS])
        covariance -= self._mean[..., ROWS] * self._mean[..., COLUMNS]
        covariance[..., [0, 3, 5]] += np.float32(guide.eps)
        self._inverse = _inverse(covariance)

    def __call__(self, mask: NDArray[np.float32]) -> NDArray[np.float32]:
        """(H, W) to (H, W)."""
        mean = self._box(mask)
        shared = self._box(self._picture * mask[..., None]) - self._mean * mean[..., None]
        slope = np.einsum("hwab,hwb->hwa", self._inverse, shared)
        offset = mean - (slope * self._mean).sum(-1)
        return (self._box(slope) * self._picture).sum(-1) + self._box(offset)

    def _box(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(image, (self._side, self._side)), np.float32)


def _inverse(m: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of symmetric matrices (H, W, 6), `ROWS` and `COLUMNS` of which are given: (H, W, 3, 3)."""
    aa, ab, ac, bb, bc, cc = np.moveaxis(m, -1, 0)
    cofactors = np.stack(
        [
            bb * cc - bc * bc, ac * bc - ab * cc, ab * bc - ac * bb,
            aa * cc - ac * ac, ab * ac - aa * bc, aa * bb - ab * ab,
        ],
        axis=-1,
    )  # fmt: skip
    determinant = aa * cofactors[..., 0] + ab * cofactors[..., 1] + ac * cofactors[..., 2]
    return (cofactors / determinant[..., None])[..., WHERE]
