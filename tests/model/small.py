"""A localiser that runs in a blink, and something for it to see and hear.

It has every box of the whole-size model, with fewer and narrower layers. Its weights are the stand-in ones,
which a checkpoint entry's name decides: two variants of the model differ by their structure alone.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

from model.checkpoint import StandInWeights
from model.localiser import Localiser
from model.options import LocaliserOptions
from model.resnet import ResNet
from model.swin import Swin

SMALL = LocaliserOptions(
    queries=12,
    channels=32,
    heads=4,
    encoder_layers=2,
    encoder_ffn=48,
    decoder_layers=4,
    decoder_ffn=48,
    audio_channels=16,
    fusion_channels=64,
)
SmallResNet = partial(ResNet, blocks=(1, 1, 1, 1), stem=8)
SmallSwin = partial(Swin, channels=8, depths=(2, 2, 2, 2), heads=(1, 2, 2, 4), window=3)
HEIGHT, WIDTH = 56, 84  # padded to 64 x 96: levels of 2 x 3, 4 x 6 and 8 x 12 pixels, masks of 16 x 24


def small_localiser(salt: int = 1, **changes: Any) -> Localiser:
    """`SMALL` with some options changed, stand-in weights in it, ready for inference."""
    localiser = untrained(**changes)
    StandInWeights(salt).fill("localiser", localiser)
    return localiser.for_inference()


def untrained(**changes: Any) -> Localiser:
    """`SMALL` with some options changed, as the constructor leaves it."""
    with patch("model.localiser.ResNet", SmallResNet), patch("model.localiser.Swin", SmallSwin):
        return Localiser(replace(SMALL, **changes))


def pictures(*lead: int, seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Smooth coloured noise (..., 3, height, width) uint8: neighbours are alike, as in a photograph."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(math.prod(lead), 3, height // 8 + 1, width // 8 + 1, generator=generator)
    fine = F.interpolate(coarse, (height, width), mode="bilinear")
    return (fine * 255).to(torch.uint8).view(*lead, 3, height, width)


def sounds(*lead: int, seed: int = 0, channels: int = SMALL.audio_channels) -> Tensor:
    """Audio embeddings (..., channels), rectified as VGGish's are."""
    generator = torch.Generator().manual_seed(1000 + seed)
    return torch.randn(*lead, channels, generator=generator).relu()
