"""What tracks are called (Section 3.4): cut out, shown to CLIP when they are due, named by what it saw.

Free of messages, so that the stream and its evaluation name alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from model.classifier import OpenVocabularyClassifier
from model.crops import crop_objects
from model.labels import LabelCache, LabelOptions, TrackMask
from model.options import ClassifierOptions

# What the published code keeps of its (query, class) pairs.
PAIR_THRESHOLD = 0.3
PAIRS_KEPT = 10


class Namer:
    """The names of all tracks of all sources, in words that can be replaced at any time."""

    def __init__(
        self,
        classifier: OpenVocabularyClassifier,
        words: Sequence[str],
        *,
        labels: LabelOptions,
        options: ClassifierOptions,
    ) -> None:
        self.classifier, self.options = classifier, options
        self.cache = LabelCache(labels)
        self.use(words)

    def use(self, words: Sequence[str]) -> None:
        """Take another vocabulary: tracks that were looked at are named anew at once."""
        self.words = tuple(words)
        # Of the vocabulary, and of it with one word more.
        self._text: dict[str | None, np.ndarray] = {None: self.classifier.encode_words(words).cpu().numpy()}

    @torch.inference_mode()
    def look(
        self,
        source: str,
        seq: int,
        image: np.ndarray,
        tracks: Sequence[tuple[int, float]],
        soft: Tensor,
        *,
        at_all: bool = False,
    ) -> None:
        """Show CLIP those tracks of a snippet that are due, or all that can be seen, in one batch.

        Args:
            image: RGB at the model's size. Shape: (h, w, 3), uint8.
            tracks: id and sounding score of each.
            soft: their masks as probabilities, the padding on. Shape: (N, H, W).
        """
        h, w = image.shape[:2]
        seen = [
            TrackMask(id_, mask, score)
            for (id_, score), mask in zip(tracks, soft[:, :h, :w].numpy(), strict=True)
        ]
        due = [t for t in seen if (t.mask > 0.5).any()] if at_all else self.cache.due(source, seq, seen)
        if not due:
            return
        # The published code finds an object's box with the padding on; the picture ends where it ends.
        shown = soft if self.options.crop_anchor == "top-left" else soft[:, :h, :w]
        place = {id_: i for i, (id_, _) in enumerate(tracks)}
        regions = crop_objects(
            torch.from_numpy(np.array(image)).permute(2, 0, 1)[None],
            shown[[place[track.id] for track in due]],
            torch.zeros(len(due), dtype=torch.int64),
            crop=self.options.crop,
            anchor=self.options.crop_anchor,
            size=self.classifier.image_size,
            threshold=self.options.mask_threshold,
        )
        for track, embedding in zip(due, self.classifier.encode_regions(regions).cpu().numpy(), strict=True):
            self.cache.look(source, seq, track, embedding)

    def labels(
        self, source: str, track_id: int, most: int, also: str | None = None
    ) -> list[tuple[str, float]]:
        """A track's best words with their probabilities, best first; none if it was never looked at.

        Args:
            also: a word that this track may have besides, at the end of the vocabulary.
        """
        if also not in self._text:
            own = self.classifier.encode_words([str(also)]).cpu().numpy()
            self._text[also] = np.concatenate([self._text[None], own])
        words = self.words if also is None else (*self.words, also)
        return self.cache.labels(source, track_id, self._text[also], words, most)

    def forget(self, source: str) -> None:
        """Let go of a source's tracks."""
        self.cache.forget(source)


def published_choice(
    probabilities: Sequence[Sequence[float]], threshold: float = PAIR_THRESHOLD, kept: int = PAIRS_KEPT
) -> list[int]:
    """Which objects the published code reports: the ten best (object, class) pairs, and of those the ones
    above 0.3.

    Args:
        probabilities: of each object, those of its best words: of all above the threshold at least, since
            each takes part.
    """
    pairs = sorted(((p, -i) for i, best in enumerate(probabilities) for p in best), reverse=True)
    return sorted({-i for p, i in pairs[:kept] if p > threshold})
