"""A clip as the nodes see one come: a snippet each second, and the answer for a frame given when it comes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.data.clips import Clip
from model.evaluation.answers import Answer
from model.evaluation.parts import Parts, answer_of
from model.level import level_dbfs
from model.live import Observed, Step
from model.localiser import padded_size
from model.masks import frame_logits, soft_masks
from model.naming import PAIR_THRESHOLD, Namer, published_choice
from model.vggish import GridExamples
from model.window import SECOND_NS

FLOAT16_MAX = 60_000.0


class Streaming:
    """Sliding window, tracks, hysteresis, gate on loudness and label cache, all forgotten after each clip."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.live = parts, parts.live
        self.namer = Namer(parts.classifier, parts.words, labels=parts.labels, options=parts.regions)

    @torch.inference_mode()
    def __call__(self, clip: Clip, *, bare: bool = False) -> list[Answer]:
        images, waves = self.parts.images(clip), clip.waves()
        heard = self.parts.embeddings(self._examples(clip, waves)).numpy()
        answers = []
        for seq, (image, wave, embedding) in enumerate(zip(images, waves, heard, strict=True)):
            level = 0.0 if bare else round(level_dbfs(wave), 3)
            step = self.live.step(Observed(clip.uid, 0, seq, seq * SECOND_NS, image, embedding, level))
            answers.append(self._answer(clip, seq, image, step, bare))
        self.live.forget(clip.uid)
        self.namer.forget(clip.uid)
        return answers

    def _examples(self, clip: Clip, waves: NDArray[np.float32]) -> Tensor:
        """The log-mel examples (T, 96, 64) that are cut out of a stream."""
        if self.parts.audio_grid == "second":
            return clip.examples("second")
        grid = GridExamples(self.parts.window)
        return torch.stack([grid.example(torch.from_numpy(wave), seq) for seq, wave in enumerate(waves)])

    def _answer(self, clip: Clip, seq: int, image: NDArray[np.uint8], step: Step, bare: bool) -> Answer:
        # Masks, scores and probabilities are rounded as the nodes do it.
        logits = step.mask_logits.clamp(-FLOAT16_MAX, FLOAT16_MAX).cpu().numpy().astype(np.float16)
        tracks = [(sighting.track_id, round(sighting.score, 4)) for sighting in step.sightings]
        size = (image.shape[0], image.shape[1])
        whole = frame_logits(logits, padded_size(size), size, clip.size)
        scores = [score for _, score in tracks]
        if bare and self.live.selection == "sounding":
            return answer_of(whole, scores, [None] * len(tracks), clip.size)
        self.namer.look(clip.uid, seq, image, tracks, soft_masks(logits, padded_size(size)))
        labels = [self._labels(clip.uid, id_) for id_, _ in tracks]
        shown = [i for i, one in enumerate(whole) if labels[i] and (one > 0).any()]
        if self.live.selection == "class-score":
            shown = [shown[i] for i in published_choice([[p for _, p in labels[i]] for i in shown])]
            scores = [best[0][1] if best else 0.0 for best in labels]
        names = [labels[i][0][0] for i in shown]
        return answer_of(whole[shown], [scores[i] for i in shown], names, clip.size)

    def _labels(self, source: str, track_id: int) -> list[tuple[str, float]]:
        """As many of a track's labels as can take part in the published choice."""
        best = self.namer.labels(source, track_id, int(1 / PAIR_THRESHOLD))
        return [(name, round(p, 4)) for name, p in best]
