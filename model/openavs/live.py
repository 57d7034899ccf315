"""OpenAVS over a stream: sounds -> nouns -> masks -> tracks, a step per snippet, for any number of sources.

Reads like the paper's figure; when a noun may claim a region is for `rules.py` to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from model.edges import along_edges
from model.live import timed
from model.localiser import padded_size
from model.openavs.closer import CloserLook
from model.openavs.interfaces import Prompts, PromptTranslation, Region, Sounds, TextToMask
from model.openavs.rules import Ears, Judge, Rules
from model.selection import Candidates
from model.tracks import Sighting, Tracker, TrackOptions

MOST_NOUNS = 1024  # that are told apart: after so many, one is taken for another by its looks, not its name
CERTAIN = 8.0  # the logit of a pixel in the middle of a region; its edge is at 0


@dataclass(frozen=True, eq=False)
class Heard:
    """The next snippet of a source, as OpenAVS is given it."""

    source: str
    generation: int
    seq: int
    t_ns: int
    image: NDArray[np.uint8]  # (H, W, 3) RGB
    sounds: Sounds
    audio_dbfs: float


@dataclass(frozen=True)
class Found:
    """An object that sounds: which track, called by which noun, by a sound of which score."""

    track_id: int
    noun: str
    score: float
    new: bool


@dataclass(frozen=True)
class Step:
    """What one snippet holds."""

    found: list[Found]
    mask_logits: NDArray[np.float32]  # (n, H / 2, W / 2) of the padded picture; along edges, (n, H, W)
    silent: list[str]  # nouns that are seen and do not sound, largest first; where they are wanted
    silent_logits: NDArray[np.float32]  # (m, ...) alike
    offscreen_text: str | None  # the surest sound, when nothing that is seen makes any
    stage_ms: dict[str, float] = field(default_factory=dict)


@dataclass
class _Source:
    """The state of one generation of one source, at one size of picture."""

    kind: tuple[int, tuple[int, ...]]
    ears: Ears
    judge: Judge
    tracker: Tracker
    closer: CloserLook


class LiveOpenAvs:
    """The chain behind the ears, and what it remembers of every source.

    A region keeps its identity by where it is and by its noun. A new generation starts afresh; ids go on
    counting.

    Args:
        most_silent: how many objects at most are told that are seen and held for silent.
    """

    def __init__(
        self,
        translation: PromptTranslation,
        eyes: TextToMask,
        rules: Rules,
        tracks: TrackOptions,
        *,
        first_id: int = 1,
        most_silent: int = 0,
    ) -> None:
        self.translation, self.eyes, self.rules, self.tracks = translation, eyes, rules, tracks
        self.first_id, self.most_silent = first_id, most_silent
        self._places: dict[str, int] = {}  # in the order in which they came up
        self._sources: dict[str, _Source] = {}

    def step(self, snippet: Heard) -> Step:
        """Take in the next snippet of a source."""
        state, ms = self._state(snippet), dict[str, float]()
        with timed(ms, "translate"):
            sounds = state.ears.hear(snippet.t_ns, snippet.audio_dbfs, snippet.sounds)
            prompts = None if sounds is None else self.translation.prompts(sounds)
        with timed(ms, "see"):
            regions = self._seen(snippet.image, state, prompts)
        with timed(ms, "track"):
            areas = {noun: region.area for noun, region in regions.items()}
            scores = state.judge.decide(prompts, areas)
            silent = self._silent(regions, scores)
            logits = {noun: region_logits(regions[noun]) for noun in (*scores, *silent)}
            found = self._tracked(state.tracker, snippet, scores, logits)
            told = self._drawn(
                [*(logits[one.noun] for one in found), *(logits[noun] for noun in silent)], snippet.image
            )
        unseen = sounds is not None and not found
        return Step(
            found,
            told[: len(found)],
            silent,
            told[len(found) :],
            self.translation.offscreen_text(sounds) if unseen and sounds else None,
            ms,
        )

    def _seen(self, image: NDArray[np.uint8], state: _Source, prompts: Prompts | None) -> dict[str, Region]:
        """What is asked for, and all else that the eyes know where that is of use."""
        wanted = state.judge.wanted(prompts)
        of_use = self.most_silent or (self.rules.closer and wanted)
        asked = self.eyes.nouns if of_use and self.eyes.nouns is not None else wanted
        regions = self.eyes.regions(image, asked) if asked else {}
        if not self.rules.closer:
            return regions
        state.closer.saw(regions)
        unseen = state.judge.unseen(prompts, {noun: region.area for noun, region in regions.items()})
        return regions | state.closer(image, unseen, regions)

    def _drawn(self, logits: list[NDArray[np.float32]], image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Masks as they are told."""
        shape = tuple(side // 2 for side in padded_size((image.shape[0], image.shape[1])))
        masks, guide = stacked(logits, shape), self.tracks.guide
        return along_edges(torch.from_numpy(masks), image, guide).numpy() if guide.radius else masks

    def forget(self, source: str) -> None:
        """Let go of everything about a source, its ids included."""
        self._sources.pop(source, None)

    def _tracked(
        self,
        tracker: Tracker,
        snippet: Heard,
        scores: dict[str, float],
        logits: dict[str, NDArray[np.float32]],
    ) -> list[Found]:
        """Those that sound, by track."""
        nouns = list(scores)
        shape = next(iter(logits.values())).shape if logits else (1, 1)
        places = [self._places.setdefault(noun, len(self._places)) % MOST_NOUNS for noun in nouns]
        who = F.one_hot(torch.tensor(places, dtype=torch.long), MOST_NOUNS).float()
        candidates = Candidates(
            torch.tensor([scores[noun] for noun in nouns]),
            who,
            torch.from_numpy(stacked([logits[noun] for noun in nouns], shape))[:, None],
            torch.arange(len(nouns)),
        )
        sightings: list[Sighting] = tracker.update(candidates, [snippet.seq])
        return [Found(s.track_id, nouns[s.candidate], s.score, s.new) for s in sightings]

    def _silent(self, regions: dict[str, Region], scores: dict[str, float]) -> list[str]:
        seen = [noun for noun, region in regions.items() if region.area >= self.tracks.min_area]
        quiet = [noun for noun in seen if noun not in scores]
        return sorted(quiet, key=lambda noun: -regions[noun].area)[: self.most_silent]

    def _state(self, snippet: Heard) -> _Source:
        state, kind = self._sources.get(snippet.source), (snippet.generation, snippet.image.shape)
        if state is None or state.kind != kind:
            first_id = self.first_id if state is None else state.tracker.next_id
            state = _Source(
                kind,
                Ears(self.rules),
                Judge(self.rules),
                Tracker(self.tracks, first_id),
                CloserLook(self.eyes),
            )
            self._sources[snippet.source] = state
        return state


def region_logits(region: Region) -> NDArray[np.float32]:
    """A mask (H, W) as logits at half the padded picture's size.

    By how probable each pixel is, or where the eyes do not say, by how much of it the mask covers.
    """
    h, w = region.mask.shape
    padded = np.zeros(padded_size((h, w)), np.float32)
    padded[:h, :w] = region.mask if region.soft is None else region.soft
    share = cv2.resize(padded, (padded.shape[1] // 2, padded.shape[0] // 2), interpolation=cv2.INTER_AREA)
    if region.soft is None:
        return np.asarray(CERTAIN * (2 * share - 1), np.float32)
    share = np.clip(share, 1e-4, 1 - 1e-4)
    return np.asarray(np.clip(np.log(share / (1 - share)), -CERTAIN, CERTAIN), np.float32)


def stacked(masks: list[NDArray[np.float32]], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(n, *shape), also of none."""
    return np.stack(masks) if masks else np.zeros((0, *shape), np.float32)
