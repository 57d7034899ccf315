"""The classification node (paper, Section 3.4): sounding masks in, results with labels out.

CLIP is slow and an object's name does not change, so labels are cached per track; the vocabulary can be
replaced at any time and is stamped on every result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from model.checkpoint import Weights
from model.classifier import OpenVocabularyClassifier
from model.crops import crop_objects
from model.labels import LabelCache, LabelOptions, TrackMask
from model.options import ClassifierOptions, Selection
from model.precision import device_of
from model.rle import box_and_area, encode_mask
from model.vocabulary import Vocabulary
from streaming.config import Config
from streaming.errors import UserError
from streaming.messages import Message, Result, SoundingMasks

# What the published code keeps of its (query, class) pairs.
PAIR_THRESHOLD = 0.3
PAIRS_KEPT = 10


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
    ) -> None:
        self.classifier = classifier
        self.cache = LabelCache(labels)
        self.options, self.selection, self.top_k = options, selection, top_k
        self.offscreen_dbfs = offscreen_dbfs
        self.count = 0
        self.use(vocabulary)

    @classmethod
    def from_config(cls, config: Config, weights: Weights) -> ClassificationStage:
        m, v = config.model, config.vocabulary
        vocabulary = Vocabulary.parse(v.words) if isinstance(v.words, str) else Vocabulary(tuple(v.words))
        classifier = OpenVocabularyClassifier(
            m.clip,
            weights,
            device=device_of(m.device),
            precision=m.precision,
            cache_dir=Path(v.cache_dir).expanduser() if v.cache_dir else None,
        )
        return cls(
            classifier,
            vocabulary,
            labels=LabelOptions(
                max_age=max(1, round(config.labels.max_age_s / config.source.hop_s)),
                sure_probability=config.labels.unsure_below,
                min_shape_iou=config.labels.changed_iou,
                looks=config.labels.looks_kept,
            ),
            options=ClassifierOptions(clip=m.clip, crop=m.crop, crop_anchor=m.resolved_anchor),
            selection=m.resolved_selection,
            top_k=config.labels.top_k,
            offscreen_dbfs=config.tracks.offscreen_dbfs,
        )

    def use(self, vocabulary: Vocabulary) -> None:
        """Take another vocabulary: tracks that were looked at are named anew at once."""
        self._text = self.classifier.encode_words(vocabulary.words).cpu().numpy()
        self.vocabulary = vocabulary

    def process(self, message: Message) -> Iterable[Message]:
        if not isinstance(message, SoundingMasks):
            return
        start = perf_counter()
        h, w = message.image.shape[:2]
        self._look(message, soft_masks(message.mask_logits, message.padded_size))
        tracks = self._named(
            message, frame_masks(message.mask_logits, message.padded_size, (h, w), message.frame_size)
        )
        self.count += 1
        yield Result(
            **message.carry(classify=1000 * (perf_counter() - start)),
            tracks=tracks,
            frame_size=message.frame_size,
            frame_t_ns=message.frame_t_ns,
            has_audio=message.has_audio,
            audio_dbfs=message.audio_dbfs,
            offscreen=message.has_audio and message.audio_dbfs >= self.offscreen_dbfs and not tracks,
            window_fill=message.window_fill,
            vocabulary_revision=self.vocabulary.revision,
        )

    @torch.inference_mode()
    def _look(self, message: SoundingMasks, soft: Tensor) -> None:
        """Show CLIP those tracks that are due, in one batch; `soft` are their masks at the padded size."""
        h, w = message.image.shape[:2]
        tracks = [
            TrackMask(track["id"], mask, track["sounding"])
            for track, mask in zip(message.tracks, soft[:, :h, :w].numpy(), strict=True)
        ]
        due = self.cache.due(message.source, message.seq, tracks)
        if not due:
            return
        # The published code finds an object's box with the padding on; the picture ends where it ends.
        shown = soft if self.options.crop_anchor == "top-left" else soft[:, :h, :w]
        place = {track["id"]: i for i, track in enumerate(message.tracks)}
        image = torch.from_numpy(np.array(message.image)).permute(2, 0, 1)[None]
        regions = crop_objects(
            image,
            shown[[place[track.id] for track in due]],
            torch.zeros(len(due), dtype=torch.int64),
            crop=self.options.crop,
            anchor=self.options.crop_anchor,
            size=self.classifier.image_size,
            threshold=self.options.mask_threshold,
        )
        for track, embedding in zip(due, self.classifier.encode_regions(regions).cpu().numpy(), strict=True):
            self.cache.look(message.source, message.seq, track, embedding)

    def _named(self, message: SoundingMasks, masks: np.ndarray) -> list[dict[str, Any]]:
        """The tracks of a result, less those whose mask is empty at frame size."""
        named = []
        # Every pair above the threshold has to take part in the published choice, whatever is reported.
        most = self.top_k if self.selection == "sounding" else max(self.top_k, int(1 / PAIR_THRESHOLD))
        for track, mask in zip(message.tracks, masks, strict=True):
            labels = self.cache.labels(message.source, track["id"], self._text, self.vocabulary.words, most)
            rle = encode_mask(mask)
            box, area = box_and_area(rle)
            if area and labels:
                named.append(
                    {
                        "id": track["id"],
                        "label": labels[0][0],
                        "labels": [{"name": name, "p": round(p, 4)} for name, p in labels],
                        "sounding": track["sounding"],
                        "mask": rle,
                        "box": box,
                        "area": area,
                    }
                )
        chosen = named if self.selection == "sounding" else best_pairs(named)
        return [{**track, "labels": track["labels"][: self.top_k]} for track in chosen]

    def forget(self, source: str) -> None:
        self.cache.forget(source)

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        match name:
            case "vocabulary.get":
                pass
            case "vocabulary.set":
                words = args.get("words")
                if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                    raise UserError(f"vocabulary: found {type(words).__name__}, expected a list of words")
                self.use(self.vocabulary.replaced(words))
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


def soft_masks(logits: np.ndarray, padded: tuple[int, int]) -> Tensor:
    """Mask logits (N, h, w) as probabilities at the padded size (N, H, W), as the classifier crops with."""
    return upsampled(torch.from_numpy(logits.astype(np.float32)), padded).sigmoid()


def frame_masks(
    logits: np.ndarray, padded: tuple[int, int], image: tuple[int, int], frame: tuple[int, int]
) -> np.ndarray:
    """Mask logits (N, h, w) as masks (N, H, W) bool at the source's own size: padding off, then bilinear."""
    masks = np.zeros((len(logits), *frame), dtype=bool)
    for i, one in enumerate(torch.from_numpy(logits.astype(np.float32))):
        whole = upsampled(one[None], padded)[:, : image[0], : image[1]]
        masks[i] = (upsampled(whole, frame)[0] > 0).numpy()
    return masks


def upsampled(x: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, h, w) to (N, H, W), bilinear."""
    if not len(x):
        return x.new_zeros(0, *size)
    return F.interpolate(x[None], size, mode="bilinear", align_corners=False)[0]


def best_pairs(tracks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The published code's choice: the ten best (object, class) pairs, and of those the ones above 0.3."""
    pairs = sorted(
        ((label["p"], -i) for i, track in enumerate(tracks) for label in track["labels"]), reverse=True
    )
    kept = {-i for p, i in pairs[:PAIRS_KEPT] if p > PAIR_THRESHOLD}
    return [track for i, track in enumerate(tracks) if i in kept]
