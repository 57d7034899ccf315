"""The feature node of OpenAVS: a snippet's sound becomes text, its frame the model's size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Any

import numpy as np

from model.openavs.interfaces import AudioToText
from nodes.openavs.providers import ears_of
from nodes.picture import pictured
from streaming.config import Config
from streaming.errors import UserError
from streaming.messages import Features, Message, Snippet

MOST_TEXTS = 64
NO_EMBEDDING = np.zeros(0, np.float32)


class HearingStage:
    """Snippets to features that carry text: what is heard, and the picture at the model's size."""

    def __init__(self, ears: AudioToText, *, short_side: int, max_side: int) -> None:
        self.ears, self.short_side, self.max_side = ears, short_side, max_side
        self.count = 0

    @classmethod
    def from_config(cls, config: Config) -> HearingStage:
        m = config.model
        return cls(ears_of(config), short_side=m.short_side, max_side=m.max_side)

    def process(self, message: Message) -> Iterable[Message]:
        if not isinstance(message, Snippet):
            return
        start = perf_counter()
        picture = pictured(message, short_side=self.short_side, max_side=self.max_side)
        sounds = self.ears.sounds(message.audio) if message.has_audio else {}
        self.count += 1
        yield Features(
            **message.carry(feature=1000 * (perf_counter() - start)),
            **picture,
            audio_embedding=NO_EMBEDDING,
            sounds=[{"name": name, "p": p} for name, p in list(sounds.items())[:MOST_TEXTS]],
        )

    def forget(self, source: str) -> None:
        """Nothing to do: each snippet is heard by itself."""

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        raise UserError(f"the feature node knows no request {name!r}")

    def stats(self) -> dict[str, Any]:
        return {"snippets": self.count}
