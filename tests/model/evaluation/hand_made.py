"""Clips of a few pixels, and predictors that know what to say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.data.categories import Categories
from model.data.clips import Clip, Masks, Things
from model.evaluation.answers import Answer, Claim

DOG, CAT, HARP = 1, 2, 3
ANIMALS = Categories({"dog": DOG, "cat": CAT, "harp": HARP}, base=("dog", "cat"), novel=("harp",))
SIZE = (4, 6)


def pixels(text: str) -> Masks:
    """A mask from rows such as "##.... ......", any character but a dot being inside."""
    return np.array([[character != "." for character in row] for row in text.split()])


def clip(
    objects: Sequence[tuple[int, Sequence[str]]],
    things: Sequence[tuple[str, str, Sequence[str]]] | None = None,
    offscreen: str = "",
    frames: int = 1,
    supervised: Sequence[bool] | None = None,
    size: tuple[int, int] = SIZE,
) -> Clip:
    """A clip of `frames` frames.

    Args:
        objects: category number and a mask per frame, of what sounds.
        things: name, "x" or "." per frame for sounding or not, and a mask per frame.
        offscreen: "x" or "." per frame.
    """
    masks = np.zeros((len(objects), frames, *size), np.bool_)
    for number, (_, shown) in enumerate(objects):
        masks[number] = [pixels(one) for one in shown]
    known = None
    if things is not None:
        known = Things(
            names=tuple(name for name, _, _ in things),
            masks=np.array([[pixels(one) for one in shown] for _, _, shown in things]).reshape(
                len(things), frames, *size
            ),
            sounding=np.array([[mark == "x" for mark in marks] for _, marks, _ in things]).reshape(
                -1, frames
            ),
            offscreen=np.array([mark == "x" for mark in offscreen or "." * frames]),
        )
    return Clip(
        uid="a",
        label="v1m",
        frames=np.zeros((frames, *size, 3), np.uint8),
        sound=np.zeros(frames * 16_000, np.float32),
        seconds=tuple(range(frames)),
        masks=masks,
        category_ids=tuple(id_ for id_, _ in objects),
        supervised=np.array(supervised or [True] * frames),
        classes=(),
        things=known,
    )


def claims(*masks: str, names: Sequence[str] = (), scores: Sequence[float] = ()) -> Answer:
    """An answer for one frame."""
    return Answer.of(
        [
            Claim(pixels(mask), scores[i] if scores else 0.9, names[i] if names else None)
            for i, mask in enumerate(masks)
        ],
        SIZE,
    )


class Perfect:
    """Says the truth, whatever it hears."""

    def __init__(self, categories: Categories) -> None:
        self.names = categories.names

    def __call__(self, clip: Clip, *, bare: bool = False) -> list[Answer]:
        return [
            Answer.of(
                [
                    Claim(masks[t], 1.0, self.names[id_])
                    for masks, id_ in zip(clip.masks, clip.category_ids, strict=True)
                    if masks[t].any()
                ],
                clip.size,
            )
            for t in range(len(clip.frames))
        ]


def empty(clip: Clip, *, bare: bool = False) -> list[Answer]:
    """Hears nothing."""
    return [Answer.of((), clip.size)] * len(clip.frames)
