"""Clips of different sizes as one micro-batch, without a pixel of padding that depends on the company.

The published code pads a picture to multiples of 32 and masks nothing: its padding is black, and is looked
at. That is kept, clip by clip; clips that have then the same size go through the model together. Padding
all to the largest, as is usual, would show each clip another black border in another batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.data.clips import Clip
from model.localiser import normalise, padded
from model.options import AudioGrid
from model.training.losses import Targets


@dataclass(frozen=True)
class ClipBatch:
    """B clips of T frames.

    Attributes:
        frames: of each clip, (T, 3, H, W) uint8 RGB, its own H and W.
        examples: (B, T, 96, 64), the log-mel example of each frame.
        targets: masks are padded, right and bottom, as the pictures will be.
        seeds: of each clip, what its random points are drawn from.
    """

    frames: Sequence[Tensor]
    examples: Tensor
    targets: Targets
    seeds: Sequence[int]

    @classmethod
    def of(cls, clips: Sequence[Clip], seeds: Sequence[int], grid: AudioGrid) -> ClipBatch:
        """Raises `ModelError` for a clip without a supervised frame."""
        masks = [torch.from_numpy(clip.masks) for clip in clips]
        return cls(
            frames=[torch.from_numpy(clip.frames).permute(0, 3, 1, 2).contiguous() for clip in clips],
            examples=torch.stack([clip.examples(grid) for clip in clips]),
            targets=Targets(
                masks=[padded(x) for x in masks],
                supervised=torch.stack([torch.from_numpy(clip.supervised) for clip in clips]),
            ),
            seeds=list(seeds),
        )

    def __len__(self) -> int:
        return len(self.frames)

    def to(self, device: torch.device | str) -> ClipBatch:
        """The same on a device."""
        frames = [x.to(device) for x in self.frames]
        return ClipBatch(frames, self.examples.to(device), self.targets.to(device), self.seeds)

    def alike(self) -> list[list[int]]:
        """Which clips have the same padded size, so that they can go through the model together."""
        groups: dict[torch.Size, list[int]] = defaultdict(list)
        for b, masks in enumerate(self.targets.masks):
            groups[masks.shape[-2:]].append(b)
        return list(groups.values())

    def images(self, chosen: Sequence[int]) -> Tensor:
        """Clips of the same padded size, normalised and padded: (B', T, 3, H, W) float32."""
        return torch.stack([normalise(self.frames[b]) for b in chosen])

    def targets_of(self, chosen: Sequence[int]) -> Targets:
        """The truth of some of the clips."""
        targets = self.targets
        return Targets(
            masks=[targets.masks[b] for b in chosen],
            supervised=targets.supervised[list(chosen)],
            sounding=None if targets.sounding is None else [targets.sounding[b] for b in chosen],
        )
