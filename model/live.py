"""OV-AVSS over a stream: one step a snippet, for any number of sources, alone or several at once.

Backbone, early fusion and pixel decoder see each snippet once; AudioMaskDec runs over the newest T; queries
become candidates and candidates become tracks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from model.audio_mask_dec import Sounding
from model.edges import along_edges
from model.localiser import Localiser, normalise
from model.memory import joined, single, window_of
from model.options import Selection
from model.selection import Silent, none_of, select, silent
from model.tracks import Sighting, Tracker, TrackOptions
from model.window import Remembered, SlidingWindow, fill


@dataclass(frozen=True, eq=False)
class Observed:
    """The next snippet of a source, as the model is given it."""

    source: str
    generation: int
    seq: int
    t_ns: int
    image: np.ndarray  # (H, W, 3) uint8 RGB at model size
    audio_embedding: np.ndarray  # (A,) float32
    audio_dbfs: float = 0.0


@dataclass(frozen=True)
class Step:
    """What one snippet changed: who sounds now, and where in its frame."""

    sightings: list[Sighting]
    mask_logits: (
        Tensor  # (n, h, w) float32 of the newest frame, at a stride of the padded size, one per sighting
    )
    window_fill: int
    stage_ms: dict[str, float]
    silent: Silent = field(default_factory=Silent.none)  # seen, and held for silent; where that is wanted


@dataclass
class _Source:
    """The state of one generation of one source, at one size of picture."""

    kind: tuple[int, tuple[int, ...]]
    window: SlidingWindow
    tracker: Tracker


class LiveLocaliser:
    """The sliding window, and the tracks in it, per source.

    A new generation of a source starts afresh: nothing of another scene leaks into it. Ids go on counting,
    in each source from `first_id`. Up to `most_silent` silent objects are
    told beside those that sound.
    """

    def __init__(
        self,
        localiser: Localiser,
        options: TrackOptions,
        selection: Selection = "sounding",
        silence_dbfs: float | None = -70.0,
        first_id: int = 1,
        most_silent: int = 0,
    ) -> None:
        self.localiser = localiser
        # The published code lets every query through; only class probabilities decide, later.
        self.options = (
            options if selection == "sounding" else replace(options, sounding_on=0.0, sounding_off=0.0)
        )
        self.selection: Selection = selection
        # Below this level nothing can be sounding, whatever the window's earlier seconds held.
        self.silence_dbfs = silence_dbfs
        self.first_id, self.most_silent = first_id, most_silent
        self._sources: dict[str, _Source] = {}

    def step(self, snippet: Observed) -> Step:
        """Take in the next snippet of a source."""
        return self.steps([snippet])[0]

    @torch.inference_mode()
    def steps(self, snippets: Sequence[Observed]) -> list[Step]:
        """Take in the next snippets of as many sources, one of each, those of a size in one pass.

        Batches round differently, so a source's answers may differ in their last digits by who came along.
        """
        assert len({snippet.source for snippet in snippets}) == len(snippets), "one snippet of each source"
        alike: dict[tuple[int, ...], list[Observed]] = {}
        for snippet in snippets:
            alike.setdefault(snippet.image.shape, []).append(snippet)
        taken = {
            snippet.source: step
            for group in alike.values()
            for snippet, step in zip(group, self._pass(group), strict=True)
        }
        return [taken[snippet.source] for snippet in snippets]

    def _pass(self, snippets: list[Observed]) -> Iterator[Step]:
        """Snippets of one size. Each has waited for all of them: their milliseconds are those of the pass."""
        states = [self._state(one.source, (one.generation, one.image.shape)) for one in snippets]
        ms: dict[str, float] = {}
        device = next(self.localiser.parameters()).device
        with timed(ms, "observe"):
            pictures = torch.from_numpy(np.stack([one.image for one in snippets])).permute(0, 3, 1, 2)
            audio = torch.from_numpy(np.stack([one.audio_embedding for one in snippets]))
            memory = self.localiser.observe(normalise(pictures.to(device)), audio.to(device))
            for place, (one, state) in enumerate(zip(snippets, states, strict=True)):
                state.window.push(Remembered(one.seq, one.t_ns, single(memory, place)))
        slots = [state.window.slots() for state in states]
        with timed(ms, "decode"):
            windows = [window_of([slot.memory for slot in window]) for window in slots]
            sounding = self.localiser.decode(joined(windows))
        with timed(ms, "track"):
            answers = [
                self._track(one, state, sounding.of_window(place), slots[place])
                for place, (one, state) in enumerate(zip(snippets, states, strict=True))
            ]
            unheard = [
                self._silent(one, sounding.of_window(place), logits)
                for place, (one, (_, logits)) in enumerate(zip(snippets, answers, strict=True))
            ]
            masks = [
                (self._drawn(logits, one), self._drawn(quiet.mask_logits, one))
                for one, (_, logits), quiet in zip(snippets, answers, unheard, strict=True)
            ]
        for (sightings, _), quiet, (loud, still), window in zip(answers, unheard, masks, slots, strict=True):
            yield Step(sightings, loud, fill(window), dict(ms), replace(quiet, mask_logits=still))

    def _track(
        self, snippet: Observed, state: _Source, sounding: Sounding, slots: list[Remembered]
    ) -> tuple[list[Sighting], Tensor]:
        """Who sounds in a window, and their masks (n, H / 4, W / 4) in its newest snippet."""
        if self.silence_dbfs is not None and snippet.audio_dbfs < self.silence_dbfs:
            candidates = none_of(sounding)
        else:
            candidates = select(
                sounding,
                (snippet.image.shape[0], snippet.image.shape[1]),
                selection=self.selection,
                threshold=self.options.sounding_off,
                nms_iou=self.options.nms_iou,
                min_area=self.options.min_area,
                min_part=self.options.min_part,
                max_objects=self.options.max_objects,
            )
        sightings = state.tracker.update(candidates, [slot.seq for slot in slots])
        return sightings, candidates.mask_logits[[s.candidate for s in sightings], -1]

    def _silent(self, snippet: Observed, sounding: Sounding, taken: Tensor) -> Silent:
        if not self.most_silent:
            return Silent.none()
        return silent(
            sounding,
            (snippet.image.shape[0], snippet.image.shape[1]),
            taken=taken,
            most=self.most_silent,
            threshold=self.options.sounding_on,
            nms_iou=self.options.nms_iou,
            min_area=self.options.min_area,
        )

    def _drawn(self, logits: Tensor, snippet: Observed) -> Tensor:
        """Masks of the newest frame as they are told."""
        guide = self.options.guide
        return along_edges(logits, snippet.image, guide) if guide.radius else logits

    def forget(self, source: str) -> None:
        """Let go of everything about a source, its ids included."""
        self._sources.pop(source, None)

    def _state(self, source: str, kind: tuple[int, tuple[int, ...]]) -> _Source:
        state = self._sources.get(source)
        if state is None or state.kind != kind:
            first_id = self.first_id if state is None else state.tracker.next_id
            window = SlidingWindow(self.localiser.options.window)
            state = _Source(kind, window, Tracker(self.options, first_id))
            self._sources[source] = state
        return state


@contextmanager
def timed(into: dict[str, float], name: str) -> Iterator[None]:
    """Put the milliseconds a block took into a dictionary."""
    start = perf_counter()
    yield
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()  # a GPU's work is only queued when a block ends
    into[name] = 1000 * (perf_counter() - start)
