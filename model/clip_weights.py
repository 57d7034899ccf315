"""A CLIP from a file of its own: OpenAI's, one of open_clip, or what an OV-AVSS checkpoint has of it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from model.checkpoint import checkpoint_name
from model.training.initialise import clip_tensors


class ClipWeights:
    """Weights of a CLIP and of nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @torch.no_grad()
    def fill(self, part: str, module: nn.Module) -> None:
        """Raises `ModelError` for a file that cannot be read, or has not all of this CLIP."""
        assert part == "clip", part
        found = clip_tensors(module, self.path)
        for own, value in module.state_dict().items():
            value.copy_(found[checkpoint_name("clip", own)])
