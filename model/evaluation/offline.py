"""A clip as published: T frames at once, and what is decided of any rests on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.data.clips import Clip
from model.edges import along_edges
from model.evaluation.answers import Answer, Claim
from model.evaluation.parts import Parts, answer_of
from model.localiser import normalise, padded_size
from model.masks import frame_logits, soft_masks
from model.naming import Namer
from model.reference import label_clip
from model.selection import select
from model.window import clip_windows

Size = tuple[int, int]


@dataclass(frozen=True)
class Chosen:
    """The queries that sound in one frame, best first."""

    queries: list[int]
    scores: list[float]
    logits: NDArray[np.float32]  # (n, h, w) in this frame, at a stride of the padded size


class Offline:
    """Answers for whole clips, cut into `clip_windows` that know nothing of each other, as in the reference.

    By sounding score, a query is claimed in the frames in which its score reaches `sounding_on`, and named
    by what CLIP saw of it in all of them. By class score, the published decision is taken
    (`model/reference.py`), which knows no sounding scores.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        labels = replace(parts.labels, looks=max(parts.labels.looks, parts.window))
        self.namer = Namer(parts.classifier, parts.words, labels=labels, options=parts.regions)

    @torch.inference_mode()
    def __call__(self, clip: Clip, *, bare: bool = False) -> list[Answer]:
        images = self.parts.images(clip)
        heard = self.parts.embeddings(clip.examples(self.parts.audio_grid))
        answers = []
        for positions, first_new in clip_windows(len(images), self.parts.window):
            shown, audio = images[positions], heard[positions]
            if self.parts.live.selection == "class-score":
                answers += self._published(shown, audio, clip.size)[first_new:]
                continue
            chosen = self._chosen(shown, audio)
            # A frame that is repeated to fill the window is looked at once.
            looks = [k for k in range(len(shown)) if k >= first_new or positions[k] != positions[k + 1]]
            names = {} if bare else self._names(shown, chosen, looks)
            answers += [self._answer(one, names, shown, clip.size) for one in chosen[first_new:]]
        return answers

    def _chosen(self, images: NDArray[np.uint8], audio: Tensor) -> list[Chosen]:
        """What sounds in each frame of a window."""
        localiser, options = self.parts.localiser, self.parts.live.options
        padded = normalise(channels_first(images).to(self.parts.device))
        sounding = localiser(padded[None], audio[None].to(self.parts.device))
        chosen = []
        for slot in range(len(images)):
            candidates = select(
                sounding,
                (images.shape[1], images.shape[2]),
                selection="sounding",
                threshold=options.sounding_on,
                nms_iou=options.nms_iou,
                min_area=options.min_area,
                min_part=options.min_part,
                max_objects=options.max_objects,
                snippet=slot,
            )
            logits = candidates.mask_logits[:, slot]
            if options.guide.radius:
                logits = along_edges(logits, images[slot], options.guide)
            chosen.append(Chosen(candidates.indices.tolist(), candidates.scores.tolist(), logits.numpy()))
        return chosen

    def _names(
        self, images: NDArray[np.uint8], chosen: Sequence[Chosen], slots: Sequence[int]
    ) -> dict[int, str]:
        """The best word for each query, from all frames of these in which it sounds."""
        for slot in slots:
            one = chosen[slot]
            tracks = list(zip(one.queries, one.scores, strict=True))
            soft = soft_masks(one.logits, padded_size((images.shape[1], images.shape[2])))
            self.namer.look("", slot, images[slot], tracks, soft, at_all=True)
        named = {query: self.namer.labels("", query, 1) for slot in slots for query in chosen[slot].queries}
        self.namer.forget("")
        return {query: best[0][0] for query, best in named.items() if best}

    def _answer(
        self, chosen: Chosen, names: dict[int, str], images: NDArray[np.uint8], frame: Size
    ) -> Answer:
        image = (images.shape[1], images.shape[2])
        logits = frame_logits(chosen.logits, padded_size(image), image, frame)
        return answer_of(logits, chosen.scores, [names.get(query) for query in chosen.queries], frame)

    def _published(self, images: NDArray[np.uint8], audio: Tensor, frame: Size) -> list[Answer]:
        """The published label maps, an object for each word in them."""
        parts = self.parts
        shown, heard = channels_first(images).to(parts.device), audio.to(parts.device)
        maps = label_clip(parts.localiser, parts.classifier, shown, heard, parts.words, frame)
        answers = []
        for labels in maps.cpu().numpy():
            numbers = [int(number) for number in np.unique(labels) if number]
            claims = [Claim(labels == number, 1.0, parts.words[number - 1]) for number in numbers]
            answers.append(Answer.of(claims, frame))
        return answers


def channels_first(images: NDArray[np.uint8]) -> Tensor:
    """(T, h, w, 3) to (T, 3, h, w)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)
