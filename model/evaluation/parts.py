"""The model as it is configured, and what both ways of running it over a clip share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.classifier import OpenVocabularyClassifier
from model.data.clips import Clip
from model.data.resize import resize_frames
from model.evaluation.answers import Answer, Claim
from model.labels import LabelOptions
from model.live import LiveLocaliser
from model.localiser import Localiser
from model.options import AudioGrid, ClassifierOptions
from model.pictures import model_size


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the nodes of a stream are made of, ready for inference.

    Attributes:
        words: what objects may be called.
        short_side, max_side: of the model's picture, in pixels.
    """

    audio_encoder: nn.Module
    live: LiveLocaliser
    classifier: OpenVocabularyClassifier
    words: Sequence[str]
    labels: LabelOptions
    regions: ClassifierOptions
    short_side: int
    max_side: int
    audio_grid: AudioGrid

    @property
    def localiser(self) -> Localiser:
        return self.live.localiser

    @property
    def window(self) -> int:
        return self.localiser.options.window

    @property
    def device(self) -> torch.device:
        """The localiser's."""
        return next(self.localiser.parameters()).device

    def images(self, clip: Clip) -> NDArray[np.uint8]:
        """A clip's frames at the model's size. Shape: (T, h, w, 3)."""
        return resize_frames(clip.frames, model_size(clip.size, self.short_side, self.max_side))

    def embeddings(self, examples: Tensor) -> Tensor:
        """What is heard in log-mel examples, one at a time as in a stream: (T, 96, 64) -> (T, A)."""
        return torch.cat([self.audio_encoder(example[None]) for example in examples])


def answer_of(
    logits: NDArray[np.float32], scores: Sequence[float], names: Sequence[str | None], size: tuple[int, int]
) -> Answer:
    """An answer from the mask logits (n, *size) of what is claimed."""
    if not len(logits):
        return Answer.of((), size)
    claims = [Claim(one > 0, score, name) for one, score, name in zip(logits, scores, names, strict=True)]
    return Answer(tuple(claims), torch.from_numpy(logits.max(axis=0)).sigmoid().numpy())
