"""The model node of OpenAVS: text of sounds in, masks of what makes them out, with nouns and identities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from model.localiser import padded_size
from model.openavs.live import Heard, LiveOpenAvs, Step
from model.openavs.rules import Rules
from model.tracks import TrackOptions
from nodes.model import IDS_OF_ONE
from nodes.openavs.providers import eyes_of, scale_of, translation_of
from streaming.config import Config
from streaming.errors import UserError
from streaming.memory import Memory
from streaming.messages import End, Features, Message, SoundingMasks


def rules_of(config: Config) -> Rules:
    """The `openavs.rules` section, what the ears' scale says where it does not, and what of `tracks` means
    the same."""
    scale = scale_of(config)
    given = config.openavs.rules.model_dump(exclude_none=True)
    on: dict[str, Any] = {"person_on": scale.person_on, "other_on": scale.other_on}
    return Rules(**(on | given), silence_dbfs=config.tracks.silence_dbfs)


def track_options(config: Config) -> TrackOptions:
    """The rules have decided what sounds, so every object that comes to the tracks is one."""
    t = config.tracks
    return TrackOptions(
        sounding_on=0.0,
        sounding_off=0.0,
        min_area=t.min_area,
        guide_radius=t.guide_radius,
        guide_eps=t.guide_eps,
        embedding_weight=t.embedding_weight,
        min_affinity=t.min_affinity,
        return_similarity=t.return_similarity,
        keep_snippets=round(t.keep_s / config.source.hop_s),
    )


def heard(message: Features) -> Heard:
    """A message as the chain takes it."""
    return Heard(
        message.source, message.generation, message.seq, message.t_ns, message.image,
        {sound["name"]: sound["p"] for sound in message.sounds}, message.audio_dbfs,
    )  # fmt: skip


class SeeingStage:
    """Features with text to sounding masks with nouns."""

    def __init__(self, live: LiveOpenAvs) -> None:
        self.live = live
        self.count = self.new_tracks = 0

    @classmethod
    def from_config(cls, config: Config, memory: Memory | None = None) -> SeeingStage:
        """Tracks of an earlier model node are not known to this one, so no id of theirs is used again."""
        incarnation = (memory or Memory()).incarnation
        eyes = eyes_of(config)
        return cls(
            LiveOpenAvs(
                translation_of(config, eyes.nouns),
                eyes,
                rules_of(config),
                track_options(config),
                first_id=1 + (incarnation - 1) * IDS_OF_ONE,
                most_silent=config.candidates,
            )
        )

    def process(self, message: Message) -> Iterable[Message]:
        if isinstance(message, End):
            self.live.forget(message.source)
        if isinstance(message, Features):
            yield self._masks(message, self.live.step(heard(message)))

    def _masks(self, message: Features, step: Step) -> SoundingMasks:
        self.count += 1
        self.new_tracks += sum(one.new for one in step.found)
        return SoundingMasks(
            **message.carry(**step.stage_ms),
            image=message.image,
            mask_logits=step.mask_logits.astype(np.float16),
            tracks=[
                {"id": one.track_id, "sounding": round(one.score, 4), "noun": one.noun} for one in step.found
            ],
            padded_size=padded_size((message.image.shape[0], message.image.shape[1])),
            frame_size=message.frame_size,
            frame_t_ns=message.frame_t_ns,
            has_audio=message.has_audio,
            audio_dbfs=message.audio_dbfs,
            window_fill=1,
            candidate_logits=step.silent_logits.astype(np.float16),
            candidates=[{"sounding": 0.0} for _ in step.silent],
            offscreen_text=step.offscreen_text,
        )

    def forget(self, source: str) -> None:
        """Nothing to do: what is remembered belongs to one generation, and ids go on counting."""

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        raise UserError(f"the model node knows no request {name!r}")

    def stats(self) -> dict[str, Any]:
        return {"snippets": self.count, "objects": self.new_tracks, **self.live.translation.stats()}
