"""Scores the teacher `lessons` (docs/openavs.md) on clips with known truth, as `evaluate` scores students.

    python -m benchmarks.lessons DATA [--clips N]

Prints the scores of `evaluate`'s streaming half for DATA's test part: a second at a time, names as they come.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from model.data.avsbench_ov import read_avsbench_ov
from model.data.clips import Clip
from model.evaluation.answers import Answer, Claim
from model.evaluation.evaluate import evaluate, thinned
from model.level import level_dbfs
from model.localiser import padded_size
from model.masks import frame_masks
from model.openavs.live import Heard, LiveOpenAvs
from model.pictures import model_size, resized
from nodes.openavs.providers import ears_of, eyes_of, translation_of
from nodes.openavs.seeing import rules_of, track_options
from streaming.config import load

SECOND_NS = 1_000_000_000


class Chain:
    """OpenAVS as a predictor."""

    def __init__(self, model: str) -> None:
        config = load(model=model)
        self.ears, self.sides = ears_of(config), (config.model.short_side, config.model.max_side)
        self.live = LiveOpenAvs(
            translation_of(config), eyes_of(config), rules_of(config), track_options(config)
        )

    def __call__(self, clip: Clip, *, bare: bool = False) -> list[Answer]:
        answers = []
        for seq, (frame, wave) in enumerate(zip(clip.frames, clip.waves(), strict=True)):
            image = resized(frame, model_size(clip.size, *self.sides))
            sounds, level = self.ears.sounds(wave), 0.0 if bare else round(level_dbfs(wave), 3)
            step = self.live.step(Heard(clip.uid, 0, seq, seq * SECOND_NS, image, sounds, level))
            size = (image.shape[0], image.shape[1])
            logits = step.mask_logits.astype(np.float16)
            masks = frame_masks(logits, padded_size(size), size, clip.size)
            claims = [Claim(mask, one.score, one.noun) for one, mask in zip(step.found, masks, strict=True)]
            answers.append(Answer.of([one for one in claims if one.mask.any()], clip.size))
        self.live.forget(clip.uid)
        return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--clips", type=int)
    args = parser.parse_args()
    torch.set_num_threads(1)
    clips = thinned(read_avsbench_ov(args.data, "test"), args.clips)
    scorer = evaluate([clips], {"chain": Chain("lessons")}, controls=False)["chain"]
    print(json.dumps(scorer.figures(), indent=1))


if __name__ == "__main__":
    main()
