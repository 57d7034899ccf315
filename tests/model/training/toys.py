"""Things to train that take milliseconds: a small network, and the small localiser on clips drawn here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.data.augment import Augmentation
from model.data.categories import AVSBENCH_OV
from model.data.clips import Clip, ClipSet, seen
from model.training.localise import Localise, LocaliseOptions
from model.training.losses import LossOptions
from model.training.points import PointOptions
from model.training.task import Task
from tests.model.small import SMALL, untrained

SAMPLES = 4  # in a micro-batch of the small network


class Network(nn.Module):
    """Learns a product of two numbers; the loss is a sum where it is told what to divide it by."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.backbone = nn.Linear(2, 16)
        self.norm = nn.LayerNorm(16)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(16, 1)

    def forward(self, batch: tuple[Tensor, Tensor], totals: Tensor | None) -> dict[str, Tensor]:
        x, y = (part.to(self.head.weight.dtype) for part in batch)
        errors = (self.head(self.dropout(self.norm(self.backbone(x).relu()))) - y) ** 2
        loss = errors.mean() if totals is None else errors.sum() / totals[0]
        return {"loss": loss, "largest": errors.max()}


class Products(Task):
    """Micro-batches of products; `uneven` ones are of different sizes and divided by all there are."""

    def __init__(
        self, seed: int = 0, dropout: float = 0.0, uneven: bool = False, batch_size: int = SAMPLES
    ) -> None:
        torch.manual_seed(seed)
        self.module = Network(dropout)
        self.uneven, self.batch_size = uneven, batch_size

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        samples = [self.sample(number * self.batch_size + i) for i in range(self.batch_size)]
        if self.uneven:
            samples = samples[: 1 + number % self.batch_size]
        x = torch.stack(samples)
        return x, x.prod(1, keepdim=True)

    @staticmethod
    def sample(number: int) -> Tensor:
        return torch.randn(2, generator=torch.Generator().manual_seed(number), dtype=torch.float64)

    def totals(self, batch: tuple[Tensor, Tensor]) -> Tensor | None:
        return torch.tensor([float(len(batch[0]))]) if self.uneven else None


class Ears(nn.Module):
    """In the place of VGGish: a mean over time and a projection, rectified."""

    def __init__(self) -> None:
        super().__init__()
        self.projection = nn.Linear(64, SMALL.audio_channels)

    def forward(self, examples: Tensor) -> Tensor:
        return F.relu(self.projection(examples.mean(1)))


@dataclass(frozen=True)
class Drawn:
    """The truth of a clip of squares that is never on disk; stands for its files too."""

    number: int
    size: tuple[int, int]
    objects: int
    supervised: tuple[bool, ...]

    def load(self, positions: Any = None) -> Clip:
        """Bright squares that move to the right over a dark ground; each has a column of its own."""
        frames, (h, w) = len(self.supervised), self.size
        masks = np.zeros((self.objects, frames, h, w), np.bool_)
        rng = np.random.default_rng(self.number)
        pictures = np.broadcast_to(rng.integers(0, 80, (h, w, 3), np.uint8), (frames, h, w, 3)).copy()
        for k in range(self.objects):
            top, left = 8 + int(rng.integers(h - 32)), (w // self.objects) * k
            for t in range(frames):
                masks[k, t, top : top + 20, left + 2 * t : left + 2 * t + 20] = True
            pictures[masks[k]] = 120 + rng.integers(0, 130, 3, np.uint8)
        positions = list(range(frames) if positions is None else positions)
        known = np.array(self.supervised)[positions]
        shown, ids = seen(masks[:, positions] & known[None, :, None, None], tuple(range(1, self.objects + 1)))
        return Clip(
            uid=f"clip{self.number}",
            label="v1m",
            frames=pictures[positions],
            sound=rng.normal(0, 0.1, 16_000 * frames).astype(np.float32),
            seconds=tuple(positions),
            masks=shown,
            category_ids=ids,
            supervised=known,
            classes=(),
        )


def clip_set(*drawn: Drawn) -> ClipSet:
    return ClipSet(AVSBENCH_OV, drawn)  # type: ignore[arg-type]


ALL, FIRST = (True, True, True), (True, False, False)
CLIPS = (
    Drawn(1, (40, 64), 2, ALL),
    Drawn(2, (64, 64), 1, FIRST),
    Drawn(3, (40, 90), 3, ALL),
    Drawn(4, (64, 50), 1, ALL),
)
AS_THEY_ARE = Augmentation(frames=3, short_sides=(40,), flip=0.0)


def localise(*clips: Drawn, weights: int = 0, **changes: Any) -> Localise:
    """The small localiser on clips drawn here, those above unless given."""
    torch.manual_seed(weights)
    options: Mapping[str, Any] = {
        "augmentation": AS_THEY_ARE,
        "loss": LossOptions(points=PointOptions(count=200)),
        "short_side": 40,
    }
    return Localise(
        untrained(window=3),
        Ears(),
        clip_set(*(clips or CLIPS)),
        options=LocaliseOptions(**{**options, **changes}),
    )


def whole_run(path: Path) -> dict[str, Tensor]:
    """The weights in a run's last checkpoint."""
    last = sorted(path.glob("step-*.pt"))[-1]
    return torch.load(last, weights_only=True)["module"]
