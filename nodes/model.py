"""The model node (paper, Section 3.3): features in, sounding masks with identities out.

It keeps the sliding window and the tracks of every source; everything it does with them is in
`model/live.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from model.checkpoint import Weights
from model.live import LiveLocaliser, Observed, Step
from model.localiser import Localiser, padded_size
from model.options import LocaliserOptions
from model.precision import device_of
from model.tracks import TrackOptions
from streaming.config import Config
from streaming.errors import UserError
from streaming.memory import Memory
from streaming.messages import End, Features, Message, SoundingMasks

FLOAT16_MAX = 60_000.0
BATCH_OF_A_GPU = 8
IDS_OF_ONE = 1_000_000  # more objects than one process will ever see


def localiser_options(config: Config) -> LocaliserOptions:
    """What of the configuration decides the network's shape."""
    return LocaliserOptions.of(config.model)


def track_options(config: Config) -> TrackOptions:
    """The `tracks` section, less what only decides silence."""
    return TrackOptions(
        **config.tracks.model_dump(exclude={"silence_dbfs", "offscreen_dbfs", "keep_s"}),
        keep_snippets=round(config.tracks.keep_s / config.source.hop_s),
    )


def most_at_once(config: Config) -> int:
    """How many sources' snippets the model takes in one pass.

    On a processor that gains nothing; and alone, each has the same answers to the last digit, whoever shares
    the model with it.
    """
    if config.model.batch != "auto":
        return config.model.batch
    return BATCH_OF_A_GPU if device_of(config.model.device).type == "cuda" else 1


def observed(message: Features) -> Observed:
    """A message as the model takes it."""
    return Observed(
        message.source, message.generation, message.seq, message.t_ns, message.image,
        message.audio_embedding, message.audio_dbfs,
    )  # fmt: skip


class ModelStage:
    """Features to sounding masks."""

    def __init__(self, live: LiveLocaliser, most_at_once: int = 1) -> None:
        self.live, self.most_at_once = live, most_at_once
        self.count = self.new_tracks = 0

    @classmethod
    def from_config(cls, config: Config, weights: Weights, memory: Memory | None = None) -> ModelStage:
        """Tracks of an earlier model node are not known to this one, so no id of theirs is used again."""
        incarnation = (memory or Memory()).incarnation
        localiser = Localiser(localiser_options(config))
        weights.fill("localiser", localiser)
        localiser.for_inference(config.model.precision, device_of(config.model.device))
        return cls(
            LiveLocaliser(
                localiser,
                track_options(config),
                config.model.resolved_selection,
                silence_dbfs=config.tracks.silence_dbfs if config.model.behaviour == "paper" else None,
                first_id=1 + (incarnation - 1) * IDS_OF_ONE,
                most_silent=config.candidates,
            ),
            most_at_once=min(len(config.all_sources), most_at_once(config)),
        )

    def process(self, message: Message) -> Iterable[Message]:
        return self.process_together([message])

    def process_together(self, messages: Sequence[Message]) -> Iterable[Message]:
        """Features of as many sources, and ends."""
        for message in messages:
            if isinstance(message, End):
                self.live.forget(message.source)
        seen = [message for message in messages if isinstance(message, Features)]
        steps = self.live.steps([observed(message) for message in seen]) if seen else []
        for message, step in zip(seen, steps, strict=True):
            yield self._masks(message, step)

    def _masks(self, message: Features, step: Step) -> SoundingMasks:
        self.count += 1
        self.new_tracks += sum(sighting.new for sighting in step.sightings)
        return SoundingMasks(
            **message.carry(**step.stage_ms),
            image=message.image,
            mask_logits=_halved(step.mask_logits),
            tracks=[{"id": s.track_id, "sounding": round(s.score, 4)} for s in step.sightings],
            padded_size=padded_size((message.image.shape[0], message.image.shape[1])),
            frame_size=message.frame_size,
            frame_t_ns=message.frame_t_ns,
            has_audio=message.has_audio,
            audio_dbfs=message.audio_dbfs,
            window_fill=step.window_fill,
            candidate_logits=_halved(step.silent.mask_logits),
            candidates=[{"sounding": round(score, 4)} for score in step.silent.scores.tolist()],
        )

    def forget(self, source: str) -> None:
        """Nothing to do: a window belongs to one generation, and ids must go on counting over them."""

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        raise UserError(f"the model node knows no request {name!r}")

    def stats(self) -> dict[str, Any]:
        return {"snippets": self.count, "objects": self.new_tracks}


def _halved(logits: Tensor) -> np.ndarray:
    """In half the precision, as masks travel."""
    return logits.clamp(-FLOAT16_MAX, FLOAT16_MAX).cpu().numpy().astype(np.float16)
