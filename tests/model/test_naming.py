"""Names without messages: who is looked at, and what the published code would report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from model.classifier import OpenVocabularyClassifier
from model.labels import LabelOptions
from model.naming import Namer, published_choice
from model.options import ClassifierOptions

IMAGE = np.full((40, 60, 3), 128, np.uint8)


class Eye:
    """In place of CLIP: sees the first word in everything, and counts what it is shown."""

    image_size = 8

    def __init__(self) -> None:
        self.shown: list[int] = []

    def encode_regions(self, regions: Tensor) -> Tensor:
        self.shown.append(len(regions))
        return torch.eye(3)[:1].expand(len(regions), -1)

    def encode_words(self, words: Sequence[str]) -> Tensor:
        return torch.eye(3)[: len(words)]


def namer_of(eye: Eye, **labels: int) -> Namer:
    classifier = cast(OpenVocabularyClassifier, eye)
    return Namer(classifier, ["dog", "cat"], labels=LabelOptions(**labels), options=ClassifierOptions())


def soft(*boxes: tuple[int, int, int, int]) -> Tensor:
    """Masks on the padded picture, 64 x 64."""
    masks = torch.zeros(len(boxes), 64, 64)
    for mask, (y0, x0, y1, x1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = 0.9
    return masks


SEEN, ELSEWHERE, IN_PADDING = (5, 5, 25, 25), (10, 30, 30, 55), (45, 5, 60, 60)


def test_only_what_is_due_is_looked_at_unless_all_is_asked_for() -> None:
    eye = Eye()
    namer = namer_of(eye, max_age=5)
    tracks = [(1, 0.9), (2, 0.8)]
    for seq in range(3):
        namer.look("a", seq, IMAGE, tracks, soft(SEEN, ELSEWHERE))
        assert [namer.labels("a", id_, 2)[0][0] for id_, _ in tracks] == ["dog", "dog"]
    assert eye.shown == [2]
    namer.look("a", 3, IMAGE, tracks, soft(SEEN, ELSEWHERE), at_all=True)
    assert eye.shown == [2, 2]


def test_what_lies_in_the_padding_is_never_looked_at() -> None:
    eye = Eye()
    namer = namer_of(eye)
    for at_all in (False, True):
        namer.look("a", 0, IMAGE, [(1, 0.9), (2, 0.8)], soft(IN_PADDING, SEEN), at_all=at_all)
    assert eye.shown == [1, 1]
    assert namer.labels("a", 1, 2) == []


def test_other_words_and_a_forgotten_source() -> None:
    eye = Eye()
    namer = namer_of(eye)
    namer.look("a", 0, IMAGE, [(1, 0.9)], soft(SEEN))
    namer.use(["harp", "flute"])
    assert namer.words == ("harp", "flute")
    assert namer.labels("a", 1, 1)[0][0] == "harp"
    namer.forget("a")
    assert namer.labels("a", 1, 1) == []


def test_the_published_choice_is_the_ten_best_pairs_above_the_threshold() -> None:
    assert published_choice([]) == []
    assert published_choice([[0.3, 0.3], [0.31], [0.9, 0.05]]) == [1, 2]
    assert published_choice([[0.6]] * 14) == list(range(10)), "of equals the first"
    twice = [[0.5, 0.45]] * 5
    assert published_choice([[0.44], *twice]) == [1, 2, 3, 4, 5], "second words take places"
    assert published_choice([[0.4], [0.2]], threshold=0.1, kept=1) == [0]
