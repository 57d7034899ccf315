"""A clip with its truth, the files it is read from, and a set of such clips.

Frames show the seconds of a clip in order; `seconds` says which, so that frames drawn at random keep their
own sound. An object is one sounding thing, or one category where the data tell no things apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.data.categories import Categories
from model.data.files import read_picture
from model.data.sound import read_sound
from model.errors import ModelError
from model.options import AudioGrid
from model.vggish import RATE_HZ, clip_examples, second_examples

Masks = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Things:
    """All there is in a clip, whether or not it sounds: what a world knows and AVSBench does not say.

    Attributes:
        names: of each thing, its category, or its name if it is of none.
        masks: (things, T, H, W), the pixels that show it; none where it is hidden or has left.
        sounding: (things, T), whether it sounds, seen or not.
        offscreen: (T,), whether something sounds that is never in the picture.
    """

    names: tuple[str, ...]
    masks: Masks
    sounding: Masks
    offscreen: Masks

    @property
    def silent(self) -> Masks:
        """(T,), whether nothing sounds at all."""
        return ~(self.sounding.any(axis=0) | self.offscreen)

    def take(self, positions: Sequence[int]) -> Things:
        """The same things in these frames only."""
        at = list(positions)
        return replace(
            self, masks=self.masks[:, at], sounding=self.sounding[:, at], offscreen=self.offscreen[at]
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """What is seen and heard, and the truth about it.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        sound: (samples,) float32, 16 kHz mono, all of the clip's, however few frames are taken.
        seconds: of each frame, the number of the second that it ends, from 0.
        masks: (K, T, H, W), every object with a pixel in one frame at least; empty where unsupervised.
        category_ids: of each object, its number in the set's `Categories`.
        supervised: (T,), the frames of which the truth is known.
        classes: the clip's list of categories, which may be empty.
        label: which of AVSBench's parts it belongs to: v1s, v1m, v2, s4 or ms3.
        things: everything there is, where a world says so.
    """

    uid: str
    label: str
    frames: NDArray[np.uint8]
    sound: NDArray[np.float32]
    seconds: tuple[int, ...]
    masks: Masks
    category_ids: tuple[int, ...]
    supervised: Masks
    classes: tuple[str, ...]
    things: Things | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.frames.shape[1], self.frames.shape[2]

    def take(self, positions: Sequence[int]) -> Clip:
        """The clip with these of its frames only, and with the objects that they show."""
        at = list(positions)
        masks, ids = seen(self.masks[:, at], self.category_ids)
        return replace(
            self,
            frames=self.frames[at],
            seconds=tuple(self.seconds[position] for position in at),
            masks=masks,
            category_ids=ids,
            supervised=self.supervised[at],
            things=None if self.things is None else self.things.take(at),
        )

    def label_maps(self) -> NDArray[np.uint8]:
        """The category number of every pixel, 0 where nothing sounds; of two objects the later one shows.

        Shape: (T, H, W).
        """
        maps = np.zeros(self.frames.shape[:3], np.uint8)
        for mask, id_ in zip(self.masks, self.category_ids, strict=True):
            maps[mask] = id_
        return maps

    def examples(self, grid: AudioGrid) -> Tensor:
        """The log-mel example that each frame hears (`model.options.AudioGrid`), shape (T, 96, 64).

        Sound that ends early is followed by silence; on the clip's grid, as in the reference, by zeros.
        """
        if grid == "clip":
            return clip_examples(torch.from_numpy(self.sound), max(self.seconds) + 1)[list(self.seconds)]
        return second_examples(torch.from_numpy(self.waves()))

    def waves(self) -> NDArray[np.float32]:
        """The second of sound that each frame ends, silence where there is none. Shape: (T, 16000)."""
        whole = np.zeros((max(self.seconds) + 1) * RATE_HZ, np.float32)
        kept = self.sound[: len(whole)]
        whole[: len(kept)] = kept
        return whole.reshape(-1, RATE_HZ)[list(self.seconds)]


class Truth(Protocol):
    """What is known of a clip's frames, as it lies on disk."""

    def read(self, positions: Sequence[int], size: tuple[int, int]) -> tuple[Masks, tuple[int, ...]]:
        """Masks (K, len(positions), H, W) and category numbers of the K objects. Raises `ModelError`."""
        ...


class AllThings(Protocol):
    """What is known of everything in a clip, as it lies on disk."""

    def read(self, seconds: Sequence[int], size: tuple[int, int]) -> Things:
        """The things in the pictures that end these seconds. Raises `ModelError`."""
        ...


@dataclass(frozen=True, kw_only=True)
class ClipFiles:
    """A clip on disk: paths in order, and how to read its truth. As `Clip`, but for the whole clip."""

    uid: str
    label: str
    frames: tuple[Path, ...]
    seconds: tuple[int, ...]
    audio: Path
    classes: tuple[str, ...]
    supervised: tuple[bool, ...]
    truth: Truth
    things: AllThings | None = None

    def load(self, positions: Sequence[int] | None = None) -> Clip:
        """Reads the whole clip, or these of its frames, in this order.

        Raises:
            ModelError: a file cannot be read, or contradicts another.
        """
        positions = range(len(self.frames)) if positions is None else positions
        frames = [read_picture(self.frames[position]) for position in positions]
        for position, frame in zip(positions, frames, strict=True):
            if frame.shape != frames[0].shape:
                found, expected = (f"{a.shape[1]} x {a.shape[0]} pixels" for a in (frame, frames[0]))
                raise ModelError(f"{self.frames[position]}: found {found}, expected {expected}, as before it")
        supervised = np.array([self.supervised[position] for position in positions], np.bool_)
        known = np.flatnonzero(supervised).tolist()
        size = frames[0].shape[:2]
        objects, ids = self.truth.read([positions[place] for place in known], (size[0], size[1]))
        masks = np.zeros((len(ids), len(frames), *size), np.bool_)
        masks[:, known] = objects
        masks, ids = seen(masks, ids)
        seconds = tuple(self.seconds[position] for position in positions)
        return Clip(
            uid=self.uid,
            label=self.label,
            frames=np.stack(frames),
            sound=read_sound(self.audio),
            seconds=seconds,
            masks=masks,
            category_ids=ids,
            supervised=supervised,
            classes=self.classes,
            things=None if self.things is None else self.things.read(seconds, (size[0], size[1])),
        )


@dataclass(frozen=True)
class ClipSet:
    """Clips of one kind, read when asked for; a data set in the sense of torch."""

    categories: Categories
    files: tuple[ClipFiles, ...]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Clip:
        """Reads a whole clip. Raises `ModelError`, and `IndexError` past the last one."""
        return self.files[index].load()


def seen(masks: Masks, ids: tuple[int, ...]) -> tuple[Masks, tuple[int, ...]]:
    """Leaves out the objects of (K, T, H, W) that no frame shows."""
    shown: Masks = np.asarray(masks.any(axis=(1, 2, 3)))
    return masks[shown], tuple(id_ for id_, kept in zip(ids, shown, strict=True) if kept)
