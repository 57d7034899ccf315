"""Predictors over sets of clips, each clip with its own sound, with none, and with that of another clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from model.data.clips import ClipSet
from model.data.sound import read_sound
from model.errors import ModelError
from model.evaluation.answers import Predictor
from model.evaluation.scores import Layout, Scorer

Task = tuple[ClipSet, int]


def evaluate(
    sets: Sequence[ClipSet],
    predictors: Mapping[str, Predictor],
    layout: Layout = "avsbench-ov",
    *,
    controls: bool = True,
    forget: Callable[[], None] = lambda: None,
    watched: Callable[[Sequence[Task]], Iterable[Task]] = iter,
) -> dict[str, Scorer]:
    """The scores of each predictor over all clips of all sets, by its name.

    Args:
        sets: all with the same categories.
        controls: whether clips are also answered with wrong sounds.
        forget: called before each clip.
        watched: passes on the clips to come, and may tell of it.

    Raises:
        ModelError: a file cannot be read, or the sets do not fit together.
    """
    categories = sets[0].categories
    if any(clips.categories != categories for clips in sets):
        raise ModelError(
            "the sets have different categories, or number them differently; expected the same in all: "
            "evaluate them one at a time"
        )
    scorers = {name: Scorer(categories, layout) for name in predictors}
    for clips, index in watched([(one, index) for one in sets for index in range(len(one))]):
        forget()
        clip = clips[index]
        for name, predictor in predictors.items():
            scorers[name].add(clip, predictor(clip))
        if not controls:
            continue
        off = replace(clip, sound=np.zeros_like(clip.sound))
        for name, predictor in predictors.items():
            scorers[name].add_off(clip, predictor(off, bare=True))
        if (other := partner(index, len(clips))) is not None:
            shuffled = replace(clip, sound=read_sound(clips.files[other].audio))
            for name, predictor in predictors.items():
                scorers[name].add_shuffled(clip, predictor(shuffled, bare=True))
    return scorers


def partner(index: int, count: int) -> int | None:
    """Whose sound a clip is given: that of the clip half the set further on; None if there is no other.

    Neighbours are not taken: in AVSBench they may be cut from one video.
    """
    return (index + count // 2) % count if count > 1 else None


def thinned(clips: ClipSet, count: int | None) -> ClipSet:
    """At most `count` clips, spread evenly over the set."""
    if count is None or count >= len(clips):
        return clips
    return replace(clips, files=tuple(clips.files[k * len(clips) // count] for k in range(count)))
