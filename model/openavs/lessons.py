"""The steps of OpenAVS out of what the bundled model was taught by tags alone: for the generated world.

Its ears were taught which sounds are in a second, its backbone and alignment which things are in a picture,
never where (docs/training.md, lessons `hear` and `see`). Names are all that passes from one to the other. No
mask, and nothing of what sounds in which picture, was ever shown to any of it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model.checkpoint import CheckpointWeights
from model.ears import Ears
from model.edges import Guide, along_edges
from model.localiser import Localiser, normalise
from model.openavs.interfaces import Region
from model.options import LocaliserOptions
from model.training.tiny.tags import sounding_tags, tags
from model.vggish import second_examples

FLOOR = 0.01  # of 56 scores most are next to nothing
THERE = 0.3  # a thing is in the picture where one pixel is as sure of it
INSIDE = 0.03  # and covers the pixels that are as sure: 12 times what chance would have it
GUIDE = Guide(8, 3e-4)  # the map is coarse, an eighth of the picture


class LessonEars:
    """Audio to text. Raises `ModelError` for weights of another model."""

    def __init__(self, weights: Path) -> None:
        self._ears = Ears(len(sounding_tags())).eval().requires_grad_(False)
        CheckpointWeights(weights).fill("audio_encoder", self._ears)

    @torch.inference_mode()
    def sounds(self, wave: NDArray[np.float32]) -> dict[str, float]:
        """Samples (16,000,) of 16 kHz mono -> names of what sounds with scores, surest first."""
        examples = second_examples(torch.from_numpy(np.array(wave)))
        scores = self._ears.tag_logits(examples[None]).sigmoid()[0]
        heard = zip(sounding_tags(), scores.tolist(), strict=True)
        return {name: round(p, 4) for name, p in sorted(heard, key=lambda pair: -pair[1]) if p >= FLOOR}


class LessonSight:
    """Text to mask: a thing is where the dense map of tags says so. Raises `ModelError` as the ears do."""

    nouns: frozenset[str] | None = frozenset(sounding_tags())

    def __init__(self, weights: Path, options: LocaliserOptions) -> None:
        localiser = Localiser(options)
        CheckpointWeights(weights).fill("localiser", localiser)
        localiser.for_inference()
        assert localiser.alignment is not None, "a model with fusion by similarity has one"
        self._backbone, self._alignment = localiser.backbone, localiser.alignment

    @torch.inference_mode()
    def regions(self, image: NDArray[np.uint8], nouns: Collection[str]) -> dict[str, Region]:
        """A picture (H, W, 3), RGB -> what of these is in it, by how probable it is of each pixel."""
        h, w = image.shape[:2]
        pictures = normalise(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None])
        seen = self._alignment(self._backbone(pictures.contiguous(memory_format=torch.channels_last))[1:])
        logits = self._alignment.tags(seen.permute(0, 2, 3, 1).float())[0]  # (h / 8, w / 8, tags)
        named = logits.softmax(-1).permute(2, 0, 1)[: len(sounding_tags())]
        regions = {}
        for place in torch.nonzero(named.flatten(1).amax(1) > THERE)[:, 0].tolist():
            if tags()[place] not in nouns:
                continue
            logits = named[place][None].clamp(1e-6, 1 - 1e-6).logit() - math.log(INSIDE / (1 - INSIDE))
            soft = along_edges(logits, image, GUIDE)[0, :h, :w].sigmoid().numpy()
            mask = soft > 0.5
            regions[tags()[place]] = Region(mask, float(mask.mean()), soft)
        return regions
