"""The first lesson: what things look like, from pictures that come with tags and nothing else.

A picture is a part of the gallery's, at first of little but one thing on plain ground, later of several among
clutter, and more and more strangely coloured. Its tags say what is in it; where that is, the dense map has to
find out, or it could not explain the tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from model.alignment import Alignment
from model.localiser import BACKBONES, standardise
from model.options import LocaliserOptions
from model.training.task import Task, seed_for
from model.training.tiny.colours import mirrored, recoloured
from model.training.tiny.stock import Stock
from model.training.tiny.tags import codes, tags
from model.training.tiny.thaw import thaw


@dataclass(frozen=True, kw_only=True)
class SeeingOptions:
    """The lesson, `batches` long; shares are of that."""

    batch_size: int = 48
    batches: int = 1
    seed: int = 42
    sides: tuple[int, ...] = (64, 64, 96)
    late_sides: tuple[int, ...] = (64, 96, 128)  # from `late` on
    late: float = 0.6
    full_colours: float = 0.6  # from where on they are at their strangest
    plain: tuple[float, float] = (0.9, 0.15)  # share of pictures on plain ground: at first, and later


class Sight(nn.Module):
    """The parts of a localiser that see, by the names they have there."""

    def __init__(self, options: LocaliserOptions) -> None:
        super().__init__()
        self.backbone = BACKBONES[options.backbone]()
        coarser = self.backbone.widths[1:]
        self.alignment = Alignment(coarser, len(tags()), options.audio_channels)
        self.alignment.codes.copy_(codes(options.audio_channels))


class Seeing(nn.Module):
    """Tags explained by a dense map, called as the trainer calls."""

    def __init__(self, sight: Sight) -> None:
        super().__init__()
        self.sight = sight
        for module in sight.modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        thaw(sight)
        sight.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, batch: tuple[Tensor, Tensor], totals: None) -> dict[str, Tensor]:
        """Images (B, 3, H, W) float, 0 to 255, and tags (B, tags) bool."""
        images, present = batch
        maps = self.sight.backbone(standardise(images).contiguous(memory_format=torch.channels_last))
        seen = self.sight.alignment(maps[1:])
        if seen.shape[-1] > 12:  # as well learnt on a coarser map, at a quarter of the cost
            seen = F.avg_pool2d(seen, 2)
        logits = self.sight.alignment.tags(seen.flatten(2).transpose(1, 2)).float()  # (B, P, tags)
        found = evidence(logits)
        share = present.float() / present.sum(1, keepdim=True).clamp(min=1)
        loss = -(found.log_softmax(-1) * share).sum() / len(images)
        right = present.gather(1, found.argmax(1, keepdim=True)).float().mean()
        return {"loss": loss, "right": right}


def evidence(logits: Tensor) -> Tensor:
    """Logits of a picture's tags (B, tags) from its places' (B, P, tags): half of all, half of the best."""
    return 0.5 * (logits.softmax(1) * logits).sum(1) + 0.5 * logits.mean(1)


class SeeingTask(Task):
    """Teaches a backbone and its alignment from a stock of gallery pictures."""

    def __init__(self, localiser: LocaliserOptions, stock: Stock, options: SeeingOptions) -> None:
        self.stock, self.options = stock, options
        torch.manual_seed(seed_for(options.seed))
        self.module: Seeing = Seeing(Sight(localiser))
        self.batch_size = options.batch_size
        self.facts = {"clips": len(stock)}
        self._number_of = {name: number for number, name in enumerate(tags())}

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        options = self.options
        done = number / options.batches
        rng = np.random.default_rng((options.seed, number))
        side = int(rng.choice(options.sides if done < options.late else options.late_sides))
        images, present = [], torch.zeros(options.batch_size, len(tags()), dtype=torch.bool)
        while len(images) < options.batch_size:
            drawn = self._picture(rng, side, done)
            if drawn is not None:
                present[len(images), [self._number_of[name] for name in drawn[1]]] = True
                images.append(drawn[0])
        pictures = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
        generator = torch.Generator().manual_seed(seed_for(options.seed, number))
        pictures = mirrored(pictures, generator)
        return recoloured(pictures, min(1.0, done / options.full_colours), generator), present

    def _picture(
        self, rng: np.random.Generator, side: int, done: float
    ) -> tuple[NDArray[np.uint8], list[str]] | None:
        """A part of a picture about one thing, and the names of the things that are mostly in it."""
        clip, thing = self.stock.draw_thing(rng)
        shown, names = self.stock.shown[clip, 0], self.stock.names[clip]
        areas = np.bincount(shown.ravel(), minlength=len(names) + 1)[1:]
        rows, columns = square_about(rng, shown == thing + 1, 1.2 + min(1.0, 2 * done))
        picture, part = self.stock.frames[clip, 0, rows, columns], shown[rows, columns]
        inside = np.bincount(part.ravel(), minlength=len(names) + 1)[1:]
        present = (inside > areas / 2) & (inside > 0.02 * part.size)
        first, later = self.options.plain
        if rng.uniform() < max(later, first - 2 * done):
            picture = np.where(part[..., None] > 0, picture, rng.integers(0, 256, 3, dtype=np.uint8))
        how = cv2.INTER_AREA if len(picture) > side else cv2.INTER_LINEAR
        shrunk = np.asarray(cv2.resize(picture, (side, side), interpolation=how), np.uint8)
        return (
            (shrunk, [name for name, there in zip(names, present, strict=True) if there])
            if present.any()
            else None
        )

    def parts(self) -> Mapping[str, nn.Module]:
        return {"localiser": self.module.sight}


def square_about(rng: np.random.Generator, mask: NDArray[np.bool_], widest: float) -> tuple[slice, slice]:
    """Rows and columns of a square that holds most of a thing, at most `widest` times as long."""
    ys, xs = np.nonzero(mask)
    middle = np.array([ys.min() + ys.max() + 1, xs.min() + xs.max() + 1]) / 2
    longest, whole = max(np.ptp(ys), np.ptp(xs)) + 1, len(mask)
    side = int(np.clip(longest * rng.uniform(1.05, widest), 32, whole))
    middle += rng.uniform(-0.5, 0.5, 2) * max(0.0, side - 0.8 * longest)
    top, left = np.clip(middle - side / 2, 0, whole - side).astype(int).tolist()
    return slice(top, top + side), slice(left, left + side)
