"""What training does to a clip before it shows it: some of its frames, one of some sizes, flipped or not.

All is drawn from (seed, epoch, index of the clip) and nothing else, so that a run that was interrupted goes
on with what it would have seen, whichever process loads the clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.data.clips import Clip, ClipSet, Masks, seen
from model.data.resize import resize_frames, resize_masks
from model.errors import ModelError
from model.pictures import model_size


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The reference's choices. Raises `ModelError` if one makes no sense.

    Attributes:
        frames: how many frames of a clip are shown, T.
        reach: how many frames the others may be before or after the one that is drawn first.
        short_sides: in pixels, one of them for each clip; `max_side` bounds the long side.
        flip: the share of clips that is mirrored, left for right.
    """

    frames: int = 5
    reach: int = 20
    short_sides: tuple[int, ...] = (240, 360, 480)
    max_side: int = 1333
    flip: float = 0.5

    def __post_init__(self) -> None:
        for name, value in (("frames", self.frames), ("reach", self.reach), ("max_side", self.max_side)):
            if value < 1:
                raise ModelError(f"{name}: found {value}, expected 1 or more")
        if not self.short_sides or min(self.short_sides) < 1:
            raise ModelError(f"short_sides: found {self.short_sides}, expected sizes in pixels")
        if not 0 <= self.flip <= 1:
            raise ModelError(f"flip: found {self.flip}, expected a share from 0 to 1")


@dataclass(frozen=True)
class Draw:
    """What was drawn for one clip."""

    positions: tuple[int, ...]
    short_side: int
    flip: bool


def draw(options: Augmentation, supervised: Sequence[bool], seed: int, epoch: int, index: int) -> Draw:
    """Draws for clip `index` in an epoch; the same three give the same.

    Args:
        supervised: of each of the clip's frames, whether its truth is known.
    """
    rng = np.random.default_rng((seed, epoch, index))
    return Draw(
        positions=draw_positions(rng, supervised, options.frames, options.reach),
        short_side=int(rng.choice(options.short_sides)),
        flip=bool(rng.random() < options.flip),
    )


def draw_positions(
    rng: np.random.Generator, supervised: Sequence[bool], count: int, reach: int
) -> tuple[int, ...]:
    """Sorted positions of `count` frames: a supervised one, and others at most `reach` from it.

    All are different while there are enough; where there are not, all are taken, and some again.
    """
    first = int(rng.choice(np.flatnonzero(supervised)))
    near = range(max(0, first - reach), min(len(supervised), first + reach + 1))
    others = [position for position in near if position != first]
    chosen = [first, *rng.permutation(others)[: count - 1]]
    again = rng.choice([first, *others], max(0, count - len(chosen)))
    return tuple(sorted(int(position) for position in (*chosen, *again)))


def augmented(clip: Clip, short_side: int, max_side: int, flip: bool) -> Clip:
    """Resizes and mirrors frames and masks alike; an object too small to be left a pixel is left out."""
    size = model_size(clip.size, short_side, max_side)

    def changed(masks: Masks) -> Masks:
        return np.ascontiguousarray(resize_masks(masks, size)[..., :: -1 if flip else 1])

    frames = resize_frames(clip.frames, size)[:, :, :: -1 if flip else 1]
    masks, ids = seen(changed(clip.masks), clip.category_ids)
    return replace(
        clip,
        frames=np.ascontiguousarray(frames),
        masks=masks,
        category_ids=ids,
        things=clip.things and replace(clip.things, masks=changed(clip.things.masks)),
    )


@dataclass(frozen=True)
class TrainingClips:
    """A set as one epoch shows it; a data set in the sense of torch.

    In a loader's workers it is a copy: begin an epoch with `of_epoch`, and a loader of its own.
    """

    clips: ClipSet
    options: Augmentation
    seed: int
    epoch: int = 0

    def of_epoch(self, epoch: int) -> TrainingClips:
        return replace(self, epoch=epoch)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Clip:
        """Reads, resizes and mirrors a clip. Raises `ModelError`, and `IndexError` past the last one."""
        files = self.clips.files[index]
        drawn = draw(self.options, files.supervised, self.seed, self.epoch, index)
        clip = files.load(drawn.positions)
        return augmented(clip, drawn.short_side, self.options.max_side, drawn.flip)
