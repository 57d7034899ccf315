"""The bundled model's audio encoder: it hears what VGGish hears at a hundredth of its size.

What it says of a second is the sum of the codes of all the tags it knows, each times the probability that it
is to be heard (see `alignment.py`): one vector for any number of sources, near to zero in silence.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.layers import Conv, FrozenBatchNorm
from model.options import AudioEncoder
from model.vggish import VGGish


class Ears(nn.Module):
    """Log-mel examples to audio embeddings: (B, 96, 64) -> (B, A).

    Args:
        tags: how many there are.
        channels: A, of the codes.
    """

    codes: Tensor

    def __init__(
        self, tags: int = 56, channels: int = 128, widths: tuple[int, ...] = (32, 64, 96, 160)
    ) -> None:
        super().__init__()

        def conv(c_in: int, c_out: int, kernel: int = 3, stride: int = 1) -> Conv:
            norm = FrozenBatchNorm(c_out)
            return Conv(c_in, c_out, kernel, stride=stride, norm=norm, activation=F.relu_)

        first, second, third, last = widths
        self.features = nn.Sequential(
            conv(1, first, 5, stride=2),
            conv(first, second, stride=2), conv(second, second), nn.MaxPool2d(2),
            conv(second, third), conv(third, third),
            conv(third, last), conv(last, last),
        )  # fmt: skip
        self.tags = nn.Linear(4 * last, tags)
        self.register_buffer("codes", torch.zeros(tags, channels))

    def tag_logits(self, examples: Tensor) -> Tensor:
        """(B, 96, 64) -> (B, tags): how sure it is to hear each."""
        # Log-mel values lie from -4.6, silence, to about 4.
        x = self.features(((examples + 2) / 2)[:, None])  # (B, C, 12, 8): time, pitch
        low, high = x.chunk(2, dim=-1)
        bands = [band.flatten(2) for band in (low, high)]
        return self.tags(torch.cat([*(b.mean(-1) for b in bands), *(b.amax(-1) for b in bands)], dim=-1))

    def forward(self, examples: Tensor) -> Tensor:
        return self.tag_logits(examples).sigmoid() @ self.codes


AUDIO_ENCODERS: dict[AudioEncoder, Callable[[], nn.Module]] = {"vggish": VGGish, "tiny": Ears}
