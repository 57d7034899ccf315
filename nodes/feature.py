"""The feature node (paper, Section 3.2): sound becomes an embedding, the frame is brought to its size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from model.checkpoint import Weights
from model.ears import AUDIO_ENCODERS
from model.options import AudioGrid
from model.vggish import RATE_HZ, GridExamples, second_examples
from nodes.picture import pictured
from streaming.config import Config
from streaming.errors import UserError
from streaming.messages import Features, Message, Snippet


class FeatureStage:
    """Snippets to features; keeps nothing of a source, unless the clip's audio grid asks for a little."""

    def __init__(
        self,
        audio_encoder: nn.Module,
        *,
        short_side: int,
        max_side: int,
        window: int,
        grid: AudioGrid,
        hop_s: float,
    ) -> None:
        self.audio_encoder = audio_encoder
        self.short_side, self.max_side = short_side, max_side
        self.window, self.grid, self.hop_s = window, grid, hop_s
        self._grids: dict[str, GridExamples] = {}
        self.count = 0

    @classmethod
    def from_config(cls, config: Config, weights: Weights) -> FeatureStage:
        m = config.model
        encoder = AUDIO_ENCODERS[m.audio_encoder]()
        weights.fill("audio_encoder", encoder)
        return cls(
            encoder.eval().requires_grad_(False),
            short_side=m.short_side,
            max_side=m.max_side,
            window=m.window,
            grid=m.audio_grid,
            hop_s=config.source.hop_s,
        )

    @torch.inference_mode()
    def process(self, message: Message) -> Iterable[Message]:
        if not isinstance(message, Snippet):
            return
        start = perf_counter()
        picture = pictured(message, short_side=self.short_side, max_side=self.max_side)
        embedding = self.audio_encoder(self._example(message)[None])[0].numpy()
        self.count += 1
        yield Features(
            **message.carry(feature=1000 * (perf_counter() - start)),
            **picture,
            audio_embedding=embedding,
        )

    def _example(self, snippet: Snippet) -> torch.Tensor:
        """The log-mel example (96, 64) a snippet hears, by the configured grid."""
        wave = torch.from_numpy(np.array(snippet.audio))
        if self.grid == "second":
            return second_examples(wave)
        grid = self._grids.setdefault(snippet.source, GridExamples(self.window, round(1 / self.hop_s)))
        return grid.example(wave, snippet.seq)

    def forget(self, source: str) -> None:
        self._grids.pop(source, None)

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        raise UserError(f"the feature node knows no request {name!r}")

    def stats(self) -> dict[str, Any]:
        return {"snippets": self.count, "sample_rate_hz": RATE_HZ}
