"""What a predictor says of a clip, whoever it is: for every frame, which objects sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.data.clips import Clip


@dataclass(frozen=True, eq=False)
class Claim:
    """An object that is said to sound in a frame."""

    mask: NDArray[np.bool_]  # (H, W) at the frame's own size
    score: float  # of claims that overlap, the one with the best score is on top
    name: str | None = None  # None where nobody asked


@dataclass(frozen=True, eq=False)
class Answer:
    """All that is claimed of one frame."""

    claims: tuple[Claim, ...]
    probability: NDArray[np.float32]  # (H, W), that a pixel belongs to any of them

    @classmethod
    def of(cls, claims: Sequence[Claim], size: tuple[int, int]) -> Answer:
        """Claims whose masks are known for certain."""
        return cls(tuple(claims), union(claims, size).astype(np.float32))

    @property
    def claimed(self) -> NDArray[np.bool_]:
        """The pixels that anything claimed covers. Shape: (H, W)."""
        height, width = self.probability.shape
        return union(self.claims, (height, width))

    def label_map(self, ids: Mapping[str, int]) -> NDArray[np.uint8]:
        """The number of the name of what covers each pixel, 0 where nothing does. Shape: (H, W)."""
        labels = np.zeros(self.probability.shape, np.uint8)
        for claim in sorted(self.claims, key=lambda claim: claim.score):
            if claim.name is not None:
                labels[claim.mask] = ids[claim.name]
        return labels


class Predictor(Protocol):
    """Anything that says what sounds."""

    def __call__(self, clip: Clip, *, bare: bool = False) -> Sequence[Answer]:
        """An answer for each frame of a clip.

        Args:
            bare: what the network alone makes of it: without a gate on loudness, and without names unless
                they decide what is claimed. For runs with a sound that is not the clip's.
        """
        ...


def union(claims: Sequence[Claim], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels that any of the claims covers. Shape: `size`."""
    covered = np.zeros(size, np.bool_)
    for claim in claims:
        covered |= claim.mask
    return covered
