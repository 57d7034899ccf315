"""What is measured of a clip beside the published scores: is what sounds found, is what is silent left alone.

Names play no part here: pixels are claimed or not. Everything is a mean over frames, or over objects and
frames; base and novel are told apart by what sounds (or is silent) in the very frame.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.data.categories import Categories
from model.data.clips import Clip, Masks
from model.evaluation.answers import Answer

Split = Literal["base", "novel", "other"]


class Mean:
    """The mean of numbers, or the share of cases in which something is true."""

    def __init__(self) -> None:
        self.total, self.count = 0.0, 0

    def add(self, value: float | bool) -> None:
        self.total += float(value)
        self.count += 1

    @property
    def value(self) -> float | None:
        """None of nothing."""
        return self.total / self.count if self.count else None


class BySplit:
    """A mean over everything, and one over what is of each split."""

    def __init__(self, categories: Categories) -> None:
        self.categories = categories
        self.all = Mean()
        self.of: dict[Split, Mean] = defaultdict(Mean)


class SoundingIoU(BySplit):
    """J: how well what is claimed covers what sounds, over the frames in which something visible sounds.

    `of[split]` counts the frames in which an object of the split sounds, and there the pixels that do not
    belong to sounding objects of other splits: those are neither right nor wrong. `all` counts everything;
    where all that sounds is of one split, both are the same.
    """

    def add(self, clip: Clip, answers: Sequence[Answer]) -> None:
        splits: list[Split] = [
            split_of(self.categories.names[id_], self.categories) for id_ in clip.category_ids
        ]
        for place, answer in known(clip, answers):
            truth = clip.masks[:, place]
            everything = any_of(truth)
            if not everything.any():
                continue
            claimed = answer.claimed
            self.all.add(iou(claimed, everything))
            for split in set(splits):
                of_split = any_of(truth[[one == split for one in splits]])
                if of_split.any():
                    self.of[split].add(iou(claimed & ~(everything & ~of_split), of_split))


class Covered(BySplit):
    """The share of visible objects of which more than half is claimed, each object in each frame."""

    def add(self, claimed: NDArray[np.bool_], objects: Masks, names: Sequence[str]) -> None:
        """Count the objects (K, H, W) of a frame that have a pixel in it."""
        for mask, name in zip(objects, names, strict=True):
            if mask.any():
                hit = bool(2 * (mask & claimed).sum() > mask.sum())
                self.all.add(hit)
                self.of[split_of(name, self.categories)].add(hit)


class SoundingAndSilent:
    """Who is found while sounding, who is claimed while silent, and what is claimed where nothing can be.

    The last three need to know of silent things and of what is out of sight, as worlds tell.
    """

    def __init__(self, categories: Categories) -> None:
        self.categories = categories
        self.recall = Covered(categories)  # of visible objects that sound
        self.silent = Covered(categories)  # of visible things that do not, of sounding kinds and others
        self.on_silence = Mean()  # frames of silent seconds in which anything is claimed
        self.on_offscreen = Mean()  # frames in which all that sounds is out of sight, and anything is claimed

    def add(self, clip: Clip, answers: Sequence[Answer]) -> None:
        names = [self.categories.names[id_] for id_ in clip.category_ids]
        for place, answer in known(clip, answers):
            claimed = answer.claimed
            self.recall.add(claimed, clip.masks[:, place], names)
            if (things := clip.things) is None:
                continue
            mute = np.flatnonzero(~things.sounding[:, place])
            self.silent.add(claimed, things.masks[mute, place], [things.names[k] for k in mute])
            if things.silent[place]:
                self.on_silence.add(bool(claimed.any()))
            elif not things.masks[things.sounding[:, place], place].any():
                self.on_offscreen.add(bool(claimed.any()))


def any_of(masks: Masks) -> Masks:
    """The pixels of any of the masks (K, H, W)."""
    return np.asarray(masks.any(axis=0))


def iou(claimed: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks (H, W) that are not both empty."""
    return float((claimed & truth).sum() / (claimed | truth).sum())


def split_of(name: str, categories: Categories) -> Split:
    """Base, novel, or a thing of neither: one that never sounds."""
    if name in categories.base:
        return "base"
    return "novel" if name in categories.novel else "other"


def known(clip: Clip, answers: Sequence[Answer]) -> list[tuple[int, Answer]]:
    """The answers for frames of which the truth is known, with their places."""
    pairs = enumerate(zip(clip.supervised, answers, strict=True))
    return [(place, answer) for place, (supervised, answer) in pairs if supervised]
