"""Who sounds when: patterns of whole seconds, drawn without regard to what the things look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

SILENT_SECONDS = 0.12
MUTE_CLIPS = 0.2  # where one is kept mute; chance leaves one mute in more, half of all clips with several
OFFSCREEN_CLIPS = 0.3
AT_ONCE = 2  # how many sound at most, what is off-screen included


@dataclass(frozen=True)
class Turns:
    """Shapes: (things, seconds) bool, (seconds,) bool."""

    sounding: NDArray[np.bool_]
    offscreen: NDArray[np.bool_]


def draw_turns(rng: Generator, things: int, seconds: int) -> Turns:
    """Draws in which second which visible thing of a sounding kind sounds, and when one off-screen does."""
    speakers = list(rng.permutation(things))
    if things > 1 and rng.uniform() < MUTE_CLIPS:
        speakers = speakers[: int(rng.integers(1, things))]
    sounding = np.zeros((things, seconds), np.bool_)
    manner = rng.choice(["steady", "turns", "free"], p=[0.35, 0.35, 0.3])
    if manner == "steady":
        sounding[speakers[: int(rng.choice([1, 2], p=[0.4, 0.6]))]] = True
    elif manner == "turns":
        chosen = speakers[:1]
        for second in range(seconds):
            if rng.uniform() < 0.5:
                chosen = list(rng.permutation(speakers)[: int(rng.choice([1, 1, 2]))])
            sounding[chosen, second] = True
    else:
        for speaker in speakers:
            sounding[speaker] = _runs(rng, seconds, share=0.55, change=0.6)
    for second in np.flatnonzero(~sounding.any(axis=0)):
        sounding[rng.choice(speakers), second] = True
    offscreen = np.zeros(seconds, np.bool_)
    if rng.uniform() < OFFSCREEN_CLIPS:
        offscreen = _runs(rng, seconds, share=0.55, change=0.5)
        if rng.uniform() < 0.5:  # it is heard alone
            sounding[:, offscreen] = False
    _limit(rng, sounding, AT_ONCE - offscreen.astype(int))
    silent = _runs(rng, seconds, share=SILENT_SECONDS, change=0.8)
    sounding[:, silent] = False
    return Turns(sounding, offscreen & ~silent)


def _runs(rng: Generator, seconds: int, share: float, change: float) -> NDArray[np.bool_]:
    """A row that is true for a share of its seconds, in runs: each second is drawn anew with that chance."""
    row, now = np.zeros(seconds, np.bool_), bool(rng.uniform() < share)
    for second in range(seconds):
        if rng.uniform() < change:
            now = bool(rng.uniform() < share)
        row[second] = now
    return row


def _limit(rng: Generator, sounding: NDArray[np.bool_], most: NDArray[np.int_]) -> None:
    for second in range(sounding.shape[1]):
        loud = rng.permutation(np.flatnonzero(sounding[:, second]))
        sounding[loud[most[second] :], second] = False
