"""The three steps of OpenAVS (arXiv 2505.01448), each an interface that providers stand behind.

Audio to text, prompt translation, text to mask: text is all that passes from the ears to the eyes, so each
step can be exchanged alone and nothing is trained.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Sounds = Mapping[str, float]  # what is heard, in text, and how surely, 0 to 1
PERSON = "person"


@dataclass(frozen=True)
class Family:
    """Things that a sound may be of, when it does not tell which: an animal, a vehicle."""

    members: tuple[str, ...]
    score: float


@dataclass(frozen=True)
class Prompts:
    """What to look for, and how surely it is heard.

    people: which nouns mean somebody; the rules ask more of these.
    speech, singing, music: how surely those are heard, for the rule of narration.
    """

    nouns: Mapping[str, float]
    families: Sequence[Family] = ()
    speech: float = 0.0
    singing: float = 0.0
    music: float = 0.0
    people: frozenset[str] = frozenset({PERSON})


@dataclass(frozen=True)
class Region:
    """Where a noun is seen: a mask of picture size, and its share of the picture.

    soft: how probable the noun is of each pixel, where the eyes can say; inside the mask, above a half.
    """

    mask: NDArray[np.bool_] = field(repr=False)  # (H, W)
    area: float
    soft: NDArray[np.float32] | None = field(default=None, repr=False)  # (H, W)


class AudioToText(Protocol):
    """What is heard, in text."""

    def sounds(self, wave: NDArray[np.float32]) -> dict[str, float]:
        """Samples of 16 kHz mono in [-1, 1] (16,000,) -> texts with scores; weak ones may be left out."""
        ...


class PromptTranslation(Protocol):
    """From text of sounds to nouns of things that can be seen."""

    def prompts(self, sounds: Sounds) -> Prompts:
        """What the sounds ask the eyes to look for."""
        ...

    def offscreen_text(self, sounds: Sounds) -> str | None:
        """The surest sound in words, for when its source is not in the picture; None: none is sure."""
        ...

    def stats(self) -> dict[str, Any]:
        """What there is to be told of it among a node's counters."""
        ...


class TextToMask(Protocol):
    """From nouns to where they are seen."""

    nouns: frozenset[str] | None  # all that can be found; None: whatever is asked for

    def regions(self, image: NDArray[np.uint8], nouns: Collection[str]) -> dict[str, Region]:
        """A picture (H, W, 3), RGB, and what to look for, surest first -> what of it is there."""
        ...
