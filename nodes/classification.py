"""The classification node (paper, Section 3.4): sounding masks in, results with labels out.

CLIP is slow and an object's name does not change, so labels are cached per track; the vocabulary can be
replaced at any time and is stamped on every result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from model.checkpoint import Weights
from model.classifier import OpenVocabularyClassifier
from model.labels import LabelOptions
from model.masks import soft_masks
from model.naming import PAIR_THRESHOLD, Namer, published_choice
from model.options import ClassifierOptions, Selection
from model.precision import device_of
from model.vocabulary import Vocabulary
from nodes.answers import answer, visible
from nodes.vocabulary import first_vocabulary, replaced
from streaming.config import Config
from streaming.errors import UserError
from streaming.memory import Memory
from streaming.messages import Message, SoundingMasks


class ClassificationStage:
    """Masks and their tracks to results: what each object is, in the user's words."""

    def __init__(
        self,
        classifier: OpenVocabularyClassifier,
        vocabulary: Vocabulary,
        *,
        labels: LabelOptions,
        options: ClassifierOptions,
        selection: Selection,
        top_k: int = 5,
        offscreen_dbfs: float = -50.0,
        candidates: bool = False,
        certainty: bool = False,
    ) -> None:
        self.namer = Namer(classifier, vocabulary.words, labels=labels, options=options)
        self.cache = self.namer.cache
        self.vocabulary = vocabulary
        self.options, self.selection, self.top_k = options, selection, top_k
        self.offscreen_dbfs, self.candidates, self.certainty = offscreen_dbfs, candidates, certainty
        self.count = 0

    @classmethod
    def from_config(
        cls, config: Config, weights: Weights, memory: Memory | None = None
    ) -> ClassificationStage:
        """With the vocabulary that was set last, if any was since the run began."""
        return cls(
            classifier_of(config, weights),
            first_vocabulary(config, memory),
            labels=label_options(config),
            options=classifier_options(config),
            selection=config.model.resolved_selection,
            top_k=config.labels.top_k,
            offscreen_dbfs=config.tracks.offscreen_dbfs,
            candidates=config.candidates > 0,
            certainty=config.output.certainty,
        )

    def use(self, vocabulary: Vocabulary) -> None:
        """Take another vocabulary: tracks that were looked at are named anew at once."""
        self.namer.use(vocabulary.words)
        self.vocabulary = vocabulary

    def process(self, message: Message) -> Iterable[Message]:
        if not isinstance(message, SoundingMasks):
            return
        start = perf_counter()
        seen = [(track["id"], track["sounding"]) for track in message.tracks]
        soft = soft_masks(message.mask_logits, message.padded_size)
        self.namer.look(message.source, message.seq, message.image, seen, soft)
        tracks = self._named(message)
        self.count += 1
        yield answer(
            message,
            tracks,
            offscreen_dbfs=self.offscreen_dbfs,
            vocabulary_revision=self.vocabulary.revision,
            candidates=self.candidates,
            classify_ms=1000 * (perf_counter() - start),
        )

    def _named(self, message: SoundingMasks) -> list[dict[str, Any]]:
        """The tracks of a result, less those whose mask is empty at frame size."""
        named = []
        # Every pair above the threshold has to take part in the published choice, whatever is reported.
        most = self.top_k if self.selection == "sounding" else max(self.top_k, int(1 / PAIR_THRESHOLD))
        for track, told in visible(message, certainty=self.certainty):
            labels = self.namer.labels(message.source, track["id"], most)
            if labels:
                told["label"] = labels[0][0]
                told["labels"] = [{"name": name, "p": round(p, 4)} for name, p in labels]
                named.append(told)
        chosen = named if self.selection == "sounding" else best_pairs(named)
        return [{**track, "labels": track["labels"][: self.top_k]} for track in chosen]

    def forget(self, source: str) -> None:
        self.namer.forget(source)

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        match name:
            case "vocabulary.get":
                pass
            case "vocabulary.set":
                self.use(replaced(self.vocabulary, args))
            case _:
                raise UserError(f"the classification node knows no request {name!r}")
        return {"revision": self.vocabulary.revision, "words": list(self.vocabulary.words)}

    def stats(self) -> dict[str, Any]:
        return {
            "snippets": self.count,
            "clip_calls": self.cache.clip_calls,
            "clip_calls_saved": self.cache.clip_calls_saved,
            "vocabulary_revision": self.vocabulary.revision,
        }


def classifier_of(config: Config, weights: Weights) -> OpenVocabularyClassifier:
    """The configured CLIP. Raises `ModelError`."""
    m, folder = config.model, config.vocabulary.cache_dir
    return OpenVocabularyClassifier(
        m.clip,
        weights,
        device=device_of(m.device),
        precision=m.precision,
        cache_dir=Path(folder).expanduser() if folder else None,
    )


def classifier_options(config: Config) -> ClassifierOptions:
    """How objects are cut out for it."""
    m = config.model
    return ClassifierOptions(clip=m.clip, crop=m.crop, crop_anchor=m.resolved_anchor)


def label_options(config: Config) -> LabelOptions:
    """When it looks at a track again."""
    return LabelOptions(
        max_age=max(1, round(config.labels.max_age_s / config.source.hop_s)),
        sure_probability=config.labels.unsure_below,
        min_shape_iou=config.labels.changed_iou,
        looks=config.labels.looks_kept,
    )


def best_pairs(tracks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The published code's choice among tracks with their labels, in their order."""
    probabilities = [[label["p"] for label in track["labels"]] for track in tracks]
    return [tracks[i] for i in published_choice(probabilities, PAIR_THRESHOLD)]
