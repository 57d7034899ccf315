"""Small building blocks shared by the boxes of Figure 2."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FrozenBatchNorm(nn.Module):
    """Batch normalisation with fixed statistics and a fixed affine, as detectors keep it."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    eps = 1e-5

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def forward(self, x: Tensor) -> Tensor:
        scale, shift = self.scale_and_shift()
        return x * scale[:, None, None] + shift[:, None, None]


class Conv(nn.Conv2d):
    """A convolution that carries its own normalisation and activation."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        *,
        stride: int = 1,
        norm: nn.Module | None = None,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(c_in, c_out, kernel, stride=stride, padding=kernel // 2, bias=norm is None)
        self.norm = norm
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        if self.norm is not None:
            x = self.norm(x)
        return x if self.activation is None else self.activation(x)

    def fold(self) -> None:
        """Move a frozen normalisation into the weights: the same function with one pass less."""
        if isinstance(self.norm, FrozenBatchNorm):
            scale, shift = self.norm.scale_and_shift()
            self.weight = nn.Parameter(self.weight.detach() * scale[:, None, None, None], requires_grad=False)
            self.bias = nn.Parameter(shift.clone(), requires_grad=False)
            self.norm = None


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


def sine_axis(length: int, channels: int, device: torch.device | None = None) -> Tensor:
    """Sine position code of 1 .. length, scaled to end at 2 pi: (length, channels)."""
    position = torch.arange(1, length + 1, dtype=torch.float32, device=device)
    position = position / (length + 1e-6) * (2 * math.pi)
    pair = torch.arange(channels, dtype=torch.float32, device=device) // 2
    angle = position[:, None] / 10_000 ** (2 * pair / channels)
    return torch.where(torch.arange(channels, device=device) % 2 == 0, angle.sin(), angle.cos())


def sine_2d(height: int, width: int, channels: int, device: torch.device | None = None) -> Tensor:
    """Sine position code of a feature map, half the channels for each axis: (height * width, channels)."""
    y = sine_axis(height, channels // 2, device)[:, None].expand(-1, width, -1)
    x = sine_axis(width, channels // 2, device)[None].expand(height, -1, -1)
    return torch.cat((y, x), dim=-1).flatten(0, 1)
