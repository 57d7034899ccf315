"""OV-AVSS over a stream: one `step` a snippet, for any number of sources.

Backbone, early fusion and pixel decoder see each snippet once; AudioMaskDec runs over the newest T; queries
become candidates and candidates become tracks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from model.audio_mask_dec import Memory, window_of
from model.localiser import Localiser, normalise
from model.options import Selection
from model.selection import none_of, select
from model.tracks import Sighting, Tracker, TrackOptions
from model.window import Remembered, SlidingWindow, fill


@dataclass(frozen=True)
class Step:
    """What one snippet changed: who sounds now, and where in its frame."""

    sightings: list[Sighting]
    mask_logits: Tensor  # (n, H / 4, W / 4) float32 of the newest frame, padded size, one per sighting
    window_fill: int
    stage_ms: dict[str, float]


@dataclass
class _Source:
    """The state of one generation of one source, at one size of picture."""

    kind: tuple[int, tuple[int, ...]]
    window: SlidingWindow
    tracker: Tracker


class LiveLocaliser:
    """The sliding window, and the tracks in it, per source.

    A new generation of a source starts afresh: nothing of another scene leaks into it. Ids go on counting,
    in each source from `first_id`.
    """

    def __init__(
        self,
        localiser: Localiser,
        options: TrackOptions,
        selection: Selection = "sounding",
        silence_dbfs: float | None = -70.0,
        first_id: int = 1,
    ) -> None:
        self.localiser = localiser
        # The published code lets every query through; only class probabilities decide, later.
        self.options = (
            options if selection == "sounding" else replace(options, sounding_on=0.0, sounding_off=0.0)
        )
        self.selection: Selection = selection
        # Below this level nothing can be sounding, whatever the window's earlier seconds held.
        self.silence_dbfs = silence_dbfs
        self.first_id = first_id
        self._sources: dict[str, _Source] = {}

    @torch.inference_mode()
    def step(
        self,
        source: str,
        generation: int,
        seq: int,
        t_ns: int,
        image: np.ndarray,
        audio_embedding: np.ndarray,
        audio_dbfs: float = 0.0,
    ) -> Step:
        """Take in the next snippet: image (H, W, 3) uint8 RGB at model size, audio_embedding (A,) float32."""
        state = self._state(source, (generation, image.shape))
        ms: dict[str, float] = {}
        device = next(self.localiser.parameters()).device
        with timed(ms, "observe"):
            picture = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(device)
            audio = torch.from_numpy(np.array(audio_embedding))[None].to(device)
            memory = self.localiser.observe(normalise(picture), audio)
            state.window.push(Remembered(seq, t_ns, single(memory)))
        slots = state.window.slots()
        with timed(ms, "decode"):
            sounding = self.localiser.decode(window_of([slot.memory for slot in slots]))
        with timed(ms, "track"):
            if self.silence_dbfs is not None and audio_dbfs < self.silence_dbfs:
                candidates = none_of(sounding)
            else:
                candidates = select(
                    sounding,
                    (image.shape[0], image.shape[1]),
                    selection=self.selection,
                    threshold=self.options.sounding_off,
                    nms_iou=self.options.nms_iou,
                    min_area=self.options.min_area,
                    min_part=self.options.min_part,
                    max_objects=self.options.max_objects,
                )
            sightings = state.tracker.update(candidates, [slot.seq for slot in slots])
            logits = candidates.mask_logits[[s.candidate for s in sightings], -1]
        return Step(sightings, logits, fill(slots), ms)

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


def single(memory: Memory) -> Memory:
    """The only snippet of a batch of one, without the batch dimension."""
    return memory.mapped(lambda x: x[0])


@contextmanager
def timed(into: dict[str, float], name: str) -> Iterator[None]:
    """Put the milliseconds a block took into a dictionary."""
    start = perf_counter()
    yield
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()  # a GPU's work is only queued when a block ends
    into[name] = 1000 * (perf_counter() - start)
