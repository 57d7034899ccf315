"""Swin Transformer (Section 3.2, visual representation): four feature maps at strides 4, 8, 16 and 32.

Attention inside windows of 12 x 12 patches; every second block shifts the windows by half, so that
neighbours meet. Sizes that windows do not divide are padded inside each block.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def partition(x: Tensor, window: int) -> Tensor:
    """(B, H, W, C) -> (B * windows, window * window, C)."""
    b, h, w, c = x.shape
    x = x.view(b, h // window, window, w // window, window, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, window * window, c)


def reassemble(windows: Tensor, window: int, h: int, w: int) -> Tensor:
    """(B * windows, window * window, C) -> (B, H, W, C)."""
    x = windows.view(-1, h // window, w // window, window, window, windows.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, h, w, windows.shape[-1])


def shift_mask(h: int, w: int, window: int, shift: int, device: torch.device) -> Tensor:
    """(windows, 1, window^2, window^2): -100 between patches that only the cyclic shift made neighbours."""
    region = torch.zeros(1, h, w, 1, device=device)
    cuts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    for i, rows in enumerate(cuts):
        for j, columns in enumerate(cuts):
            region[:, rows, columns] = 3 * i + j
    ids = partition(region, window).squeeze(-1)  # (windows, window^2)
    apart = ids[:, None, :] != ids[:, :, None]
    return apart[:, None].float() * -100.0


def relative_positions(window: int) -> Tensor:
    """(window^2, window^2) int64: where in the bias table a pair of patches looks."""
    y, x = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    place = torch.stack((y.flatten(), x.flatten()))
    apart = place[:, :, None] - place[:, None, :] + window - 1
    return apart[0] * (2 * window - 1) + apart[1]


class WindowAttention(nn.Module):
    relative_position_index: Tensor

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_positions(window), persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        n, patches, c = x.shape
        q, k, v = self.qkv(x).view(n, patches, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]
        if mask is not None:
            bias = (bias + mask).repeat(n // mask.shape[0], 1, 1, 1)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return self.proj(out.transpose(1, 2).reshape(n, patches, c))


class Perceptron(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, channels: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, window)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Perceptron(channels, 4 * channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (B, H, W, C); mask: the shift mask of the padded size."""
        _, h, w, _ = x.shape
        y = F.pad(self.norm1(x), (0, 0, 0, -w % self.window, 0, -h % self.window))
        hp, wp = y.shape[1:3]
        if self.shift:
            y = y.roll((-self.shift, -self.shift), dims=(1, 2))
        y = self.attn(partition(y, self.window), mask if self.shift else None)
        y = reassemble(y, self.window, hp, wp)
        if self.shift:
            y = y.roll((self.shift, self.shift), dims=(1, 2))
        x = x + y[:, :h, :w]
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    """Four neighbouring patches become one of twice the width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        corners = (x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2])
        return self.reduction(self.norm(torch.cat(corners, dim=-1)))


class Stage(nn.Module):
    def __init__(self, channels: int, depth: int, heads: int, window: int, last: bool) -> None:
        super().__init__()
        self.window, self.shift = window, window // 2
        self.blocks = nn.ModuleList(
            Block(channels, heads, window, shift=0 if i % 2 == 0 else window // 2) for i in range(depth)
        )
        self.downsample = None if last else PatchMerging(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, C) -> this stage's map, and what the next stage begins with."""
        _, h, w, _ = x.shape
        mask = shift_mask(h + -h % self.window, w + -w % self.window, self.window, self.shift, x.device)
        for block in self.blocks:
            x = block(x, mask)
        return x, x if self.downsample is None else self.downsample(x)


class PatchEmbedding(nn.Module):
    def __init__(self, channels: int, patch: int = 4) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Conv2d(3, channels, patch, stride=patch)
        self.norm = nn.LayerNorm(channels)

    def forward(self, images: Tensor) -> Tensor:
        h, w = images.shape[-2:]
        x = self.proj(F.pad(images, (0, -w % self.patch, 0, -h % self.patch)))
        return self.norm(x.permute(0, 2, 3, 1))  # (B, H/4, W/4, C)


class Swin(nn.Module):
    """Images (B, 3, H, W), normalised, to [res2, res3, res4, res5] at strides 4 to 32.

    The defaults are Swin-B with windows of 12, each output with a LayerNorm of its own.
    """

    def __init__(
        self,
        channels: int = 128,
        depths: tuple[int, ...] = (2, 2, 18, 2),
        heads: tuple[int, ...] = (4, 8, 16, 32),
        window: int = 12,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(channels)
        self.widths = [channels * 2**i for i in range(len(depths))]
        self.layers = nn.ModuleList(
            Stage(width, depth, head, window, last=width == self.widths[-1])
            for width, depth, head in zip(self.widths, depths, heads, strict=True)
        )
        for i, width in enumerate(self.widths):
            self.add_module(f"norm{i}", nn.LayerNorm(width))

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.patch_embed(images)
        maps = []
        for i, stage in enumerate(self.layers):
            this, x = stage(x)
            maps.append(self.get_submodule(f"norm{i}")(this).permute(0, 3, 1, 2).contiguous())
        return maps
