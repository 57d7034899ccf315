"""Where picture and sound can be compared: what a pixel looks like, in the space of what is heard.

Not in the paper. Eq. 1 and 2 have to learn from masks and sounds together which sights go with which sounds,
and what they learn that way ends with the categories that have masks. Here the backbone and the audio encoder
have both been taught beforehand, each by itself, by tags (names of what is in a picture, or to be heard in a
second, without saying where), and both are frozen. A tag has a code, a fixed unit vector. What is heard is
the sum of the codes of all tags, each times its probability; so is what is seen, of a pixel or of an object;
and their dot product is how probable it is that the one is the source of the other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.layers import Conv, FrozenBatchNorm


class Alignment(nn.Module):
    """Maps of strides 8, 16 and 32 to a dense map of stride 8, and from its values to what is seen.

    Args:
        widths: channels of the three maps, finest first.
        tags: how many tags there are.
        channels: of the audio embedding, and so of the codes.

    Attributes:
        doubt: in training, up to this share of its certainty is taken back, as much for all of a batch. What
            was learnt by heart is told with more certainty than anything met later; what rests on it should
            not get used to that.
    """

    codes: Tensor
    doubt = 0.0

    def __init__(self, widths: list[int], tags: int, channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1, bias=False) for width in widths)
        self.mix = Conv(channels, channels, 3, norm=FrozenBatchNorm(channels), activation=F.relu_)
        self.norm = FrozenBatchNorm(channels)
        self.out = nn.Conv2d(channels, channels, 1)
        self.tags = nn.Linear(channels, tags)
        self.register_buffer("codes", torch.zeros(tags, channels))
        self._certainty = 1.0

    def forward(self, maps: list[Tensor]) -> Tensor:
        """[res3, res4, res5] (B, width, h, w) -> (B, D, H / 8, W / 8), linear in what `meaning` reads."""
        self._certainty = 1 - self.doubt * float(torch.rand(())) if self.training and self.doubt else 1.0
        x = None
        for level, project in zip(maps[::-1], list(self.lateral)[::-1], strict=True):
            finer = project(level)
            x = finer if x is None else finer + F.interpolate(x, finer.shape[-2:], mode="nearest")
        assert x is not None
        return self.out(self.mix(F.relu(self.norm(x))))

    def meaning(self, seen: Tensor) -> Tensor:
        """What values of the map, single or averaged over an object, look like: (..., D) -> (..., A).

        In float32 throughout: few numbers, of which much is made.
        """
        logits = F.linear(seen.float(), self.tags.weight.float(), self.tags.bias.float())
        return ((self._certainty * logits).softmax(-1) @ self.codes.float()).to(seen.dtype)
