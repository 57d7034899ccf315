"""A whole model that answers in a blink: the small localiser, an ear of a few bands, an eye for colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.classifier import OpenVocabularyClassifier
from model.data.clips import Clip
from model.evaluation.answers import Answer
from model.evaluation.parts import Parts
from model.labels import LabelOptions
from model.live import LiveLocaliser
from model.options import ClassifierOptions, Selection
from model.tracks import TrackOptions
from tests.model.evaluation.hand_made import clip as clip_of
from tests.model.small import SMALL, pictures, small_localiser

COLOURS = {"dog": (2, -1, -1), "cat": (-1, 2, -1), "harp": (-1, -1, 2), "violin": (1, 1, -2)}
EASY = TrackOptions(sounding_on=0.4, sounding_off=0.4, min_area=0.0, nms_iou=0.9)  # stand-in weights are shy


class Ear(nn.Module):
    """Log-mel examples to the loudness of 16 bands, louder than real."""

    def forward(self, examples: Tensor) -> Tensor:
        return examples.unflatten(2, (SMALL.audio_channels, -1)).mean((1, 3)) + 4.7


class Eye:
    """In place of CLIP: the mean colour of a region, and a colour for each word."""

    image_size = 8

    def encode_regions(self, regions: Tensor) -> Tensor:
        return F.normalize(regions.mean((2, 3)) - regions.mean((1, 2, 3))[:, None] + 1e-3, dim=-1)

    def encode_words(self, words: Sequence[str]) -> Tensor:
        return F.normalize(torch.tensor([COLOURS.get(word, (1, 0, -1)) for word in words]).float(), dim=-1)


def parts_of(
    selection: Selection = "sounding",
    tracks: TrackOptions = EASY,
    silence_dbfs: float | None = -70.0,
    window: int = 5,
    **changes: Any,
) -> Parts:
    localiser = small_localiser(window=window)
    whole = Parts(
        audio_encoder=Ear(),
        live=LiveLocaliser(localiser, tracks, selection, silence_dbfs),
        classifier=cast(OpenVocabularyClassifier, Eye()),
        words=tuple(COLOURS),
        labels=LabelOptions(),
        regions=ClassifierOptions(),
        short_side=56,
        max_side=84,
        audio_grid="second",
    )
    return replace(whole, **changes)


def noisy(frames: int = 5, seed: int = 0, level: float = 0.1) -> Clip:
    """A clip of smooth coloured noise, 72 x 100, in picture and in rising sound."""
    rng = np.random.default_rng(seed)
    loud = np.repeat(level * rng.uniform(0.1, 3, frames), 16_000)
    return replace(
        clip_of([], frames=frames, size=(72, 100)),
        frames=pictures(frames, seed=seed, height=72, width=100).permute(0, 2, 3, 1).contiguous().numpy(),
        sound=(rng.normal(0, 1, frames * 16_000) * loud).astype(np.float32),
    )


def same(one: Sequence[Answer], other: Sequence[Answer], names: bool = True) -> bool:
    """Whether answers are equal to the last bit."""
    return len(one) == len(other) and all(
        np.array_equal(a.probability, b.probability)
        and len(a.claims) == len(b.claims)
        and all(
            np.array_equal(p.mask, q.mask) and p.score == q.score and (not names or p.name == q.name)
            for p, q in zip(a.claims, b.claims, strict=True)
        )
        for a, b in zip(one, other, strict=True)
    )
