"""The second lesson: what things sound like, from seconds that come with tags: what is heard, seen or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.ears import Ears
from model.training.task import Task, seed_for
from model.training.tiny.stock import Stock
from model.training.tiny.tags import codes, sounding_tags
from model.training.tiny.thaw import thaw

HOLE_S, HOLE_MELS = 16, 8  # at most, of what is left out of an example: hundredths of a second, and of pitch


@dataclass(frozen=True, kw_only=True)
class HearingOptions:
    batch_size: int = 128
    seed: int = 42


class Hearing(nn.Module):
    """Each tag is to be heard or not, whatever else is; called as the trainer calls."""

    def __init__(self, ears: Ears) -> None:
        super().__init__()
        self.ears = ears
        thaw(ears)
        ears.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, batch: tuple[Tensor, Tensor], totals: None) -> dict[str, Tensor]:
        """Log-mel examples (B, 96, 64) and tags (B, sounding tags) bool."""
        examples, heard = batch
        logits = self.ears.tag_logits(examples).float()
        loss = F.binary_cross_entropy_with_logits(logits, heard.float(), reduction="none").sum(1).mean()
        wrong = ((logits > 0) != heard).any(1).float().mean()
        return {"loss": loss, "wrong": wrong}


class HearingTask(Task):
    """Teaches ears from the sound tracks of a stock."""

    def __init__(self, channels: int, stock: Stock, options: HearingOptions) -> None:
        self.stock, self.options = stock, options
        torch.manual_seed(seed_for(options.seed))
        ears = Ears(len(sounding_tags()), channels)
        ears.codes.copy_(codes(channels)[: len(sounding_tags())])
        self.module: Hearing = Hearing(ears)
        self.batch_size = options.batch_size
        self.facts = {"clips": len(stock)}
        self._heard = heard_tags(stock)

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.options.seed, number))
        flat = self.stock.examples.reshape(-1, *self.stock.examples.shape[-2:])
        chosen = np.sort(rng.integers(len(flat), size=self.options.batch_size))
        examples = flat[chosen].astype(np.float32)
        for example in examples:
            _leave_out(rng, example, HOLE_S)
            _leave_out(rng, example.T, HOLE_MELS)
        return torch.from_numpy(examples), torch.from_numpy(self._heard[chosen])

    def parts(self) -> Mapping[str, nn.Module]:
        return {"audio_encoder": self.module.ears}


def heard_tags(stock: Stock) -> np.ndarray:
    """(N * K * T, sounding tags) bool: what is to be heard in each second of each track."""
    number_of = {name: number for number, name in enumerate(sounding_tags())}
    n, k, t, _ = stock.heard.shape
    found = np.zeros((n, k, t, len(number_of)), np.bool_)
    for clip, names in enumerate(stock.names):
        for place, name in enumerate(names):
            if name in number_of:
                found[clip, :, :, number_of[name]] |= stock.heard[clip, :, :, place]
        for track, unseen in enumerate(stock.offscreen[clip]):
            found[clip, track, :, number_of[unseen]] |= stock.heard[clip, track, :, -1]
    return found.reshape(n * k * t, -1)


def _leave_out(rng: np.random.Generator, rows: np.ndarray, most: int) -> None:
    """Of every other example, sets some neighbouring rows to its mean."""
    if rng.uniform() < 0.5:
        count = int(rng.integers(1, most))
        start = int(rng.integers(len(rows) - count))
        rows[start : start + count] = rows.mean()
