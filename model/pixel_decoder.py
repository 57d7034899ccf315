"""The pixel decoder (Section 3.3): a multi-scale deformable attention Transformer over the fused sequence.

It returns the enhanced maps that AudioMaskDec reads and the high-resolution per-pixel embeddings that masks
are dot products with.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.layers import Conv, sine_2d
from model.options import LocaliserOptions

Size = tuple[int, int]
AT_ONCE = 4  # images whose samples a processor's cache holds, forwards and backwards


def pixel_centres(sizes: list[Size], device: torch.device) -> Tensor:
    """(2, P): x and y of every pixel of every level, as fractions of its map."""
    points = []
    for h, w in sizes:
        y = ((torch.arange(h, device=device) + 0.5) / h)[:, None].expand(h, w)
        x = ((torch.arange(w, device=device) + 0.5) / w)[None].expand(h, w)
        points.append(torch.stack((x.flatten(), y.flatten())))
    return torch.cat(points, dim=1)


class DeformableAttention(nn.Module):
    """Each pixel looks at a few learnt places of every level instead of everywhere."""

    def __init__(self, channels: int, heads: int, levels: int, points: int = 4) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(channels, heads * levels * points * 2)
        self.attention_weights = nn.Linear(channels, heads * levels * points)
        self.value_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)

    def forward(self, query: Tensor, tokens: Tensor, sizes: list[Size], centres: Tensor) -> Tensor:
        """query, tokens: (B, P, C) with the levels one after the other; centres: (2, P) -> (B, P, C)."""
        b, p, c = tokens.shape
        values = self.value_proj(tokens)
        weights = across(self.attention_weights, query).float().view(b, self.heads, -1, p).softmax(2)
        weights = weights.view(b, self.heads, self.levels, self.points, p)
        offsets = across(self.sampling_offsets, query).float().view(*weights.shape[:4], 2, p)
        learns = any(x.requires_grad for x in (values, offsets, weights))
        gather = self.sampled if learns else self.summed
        return self.output_proj(gather(values, sizes, centres, offsets, weights).view(b, p, c))

    def sampled(
        self, values: Tensor, sizes: list[Size], centres: Tensor, offsets: Tensor, weights: Tensor
    ) -> Tensor:
        """Maps sampled at places: what learns quickly.

        values (B, P, C); offsets (B, heads, levels, points, 2, P) in pixels of the level looked at, what lies
        outside it counting as zero; weights (B, heads, levels, points, P) -> (B, P, C).
        """
        b, p, c = values.shape
        if b > AT_ONCE and values.device.type == "cpu":
            parts = zip(*(x.split(AT_ONCE) for x in (values, offsets, weights)), strict=True)
            return torch.cat([self.sampled(v, sizes, centres, o, w) for v, o, w in parts])
        found = values.new_zeros(b * self.heads, c // self.heads, p, dtype=torch.float32)
        levels = values.float().split([h * w for h, w in sizes], dim=1)
        for level, ((h, w), x) in enumerate(zip(sizes, levels, strict=True)):
            maps = x.unflatten(2, (self.heads, -1)).permute(0, 2, 3, 1).reshape(b * self.heads, -1, h, w)
            size = torch.tensor([w, h], dtype=torch.float32, device=x.device)[:, None]
            places = 2 * (centres + offsets[:, :, level] / size) - 1  # (B, heads, points, 2, P)
            grid = places.flatten(0, 1).transpose(2, 3)  # (B * heads, points, P, 2)
            seen = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
            found = found + (seen * weights[:, :, level].flatten(0, 1)[:, None]).sum(2)
        return found.unflatten(0, (b, self.heads)).flatten(1, 2).transpose(1, 2).to(values.dtype)

    def summed(
        self, values: Tensor, sizes: list[Size], centres: Tensor, offsets: Tensor, weights: Tensor
    ) -> Tensor:
        """The same function as a weighted sum of rows of the value table, four corners a place: many times
        faster on a processor where nothing is learnt. Pixels stay the last dimension until the sum, where
        long rows keep the arithmetic quick.
        """
        b, p, _ = values.shape
        values = values.view(b * p * self.heads, -1)  # a row per pixel and head
        heads = torch.arange(self.heads, dtype=torch.int32, device=values.device)[:, None, None]
        images = torch.arange(b, dtype=torch.int32, device=values.device).view(b, 1, 1, 1)
        table = images * (p * self.heads) + heads  # the row of an image's first pixel, per head
        rows, shares = [], []
        for level, (h, w) in enumerate(sizes):
            columns = neighbours(centres[0] * w + offsets[:, :, level, :, 0] - 0.5, w)
            lines = neighbours(centres[1] * h + offsets[:, :, level, :, 1] - 0.5, h)
            for y, share_y in lines:
                line, share_y = table + y * (w * self.heads), share_y * weights[:, :, level]
                rows += [line + x * self.heads for x, _ in columns]
                shares += [share_y * share_x for _, share_x in columns]
            table = table + h * w * self.heads
        row = torch.cat(rows, dim=2).permute(0, 3, 1, 2)  # (B, P, heads, 4 * levels * points)
        share = torch.cat(shares, dim=2).permute(0, 3, 1, 2).to(values.dtype)
        return F.embedding_bag(row.flatten(0, 2), values, per_sample_weights=share.flatten(0, 2), mode="sum")


def across(layer: nn.Linear, x: Tensor) -> Tensor:
    """A linear layer with the pixels last in its result: (B, P, C) -> (B, C', P)."""
    return layer.weight @ x.transpose(1, 2) + layer.bias[:, None]


def neighbours(where: Tensor, length: int) -> list[tuple[Tensor, Tensor]]:
    """The two pixels an axis coordinate lies between, and the share of each (zero outside the map)."""
    low = where.floor()
    past = where - low
    return [
        (pixel.clamp(0, length - 1).int(), share * ((pixel >= 0) & (pixel < length)))
        for pixel, share in ((low, 1 - past), (low + 1, past))
    ]


class EncoderLayer(nn.Module):
    """Deformable attention and a feed-forward network, each normalised after its residual."""

    def __init__(self, channels: int, heads: int, levels: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = DeformableAttention(channels, heads, levels)
        self.norm1 = nn.LayerNorm(channels)
        self.linear1 = nn.Linear(channels, hidden)
        self.linear2 = nn.Linear(hidden, channels)
        self.norm2 = nn.LayerNorm(channels)

    def forward(self, x: Tensor, position: Tensor, sizes: list[Size], centres: Tensor) -> Tensor:
        x = self.norm1(x + self.self_attn(x + position, x, sizes, centres))
        return self.norm2(x + self.linear2(F.relu_(self.linear1(x))))


@dataclass(frozen=True)
class Pixels:
    """What the pixel decoder says of snippets: enhanced maps (strides 32, 16, 8) and embeddings."""

    maps: list[Tensor]  # (B, C, h, w) each
    mask_features: Tensor  # (B, C, H / 4, W / 4), or H / 2, W / 2 after a second look


class SecondLook(nn.Module):
    """What to add to embeddings that are brought to twice their size: where the picture itself has its edges.

    Not in the paper, whose masks are a quarter of the picture in size. What a thing is does not matter here,
    so what is learnt from some categories holds for others.
    """

    WIDTH = 48

    def __init__(self, channels: int) -> None:
        super().__init__()
        w = self.WIDTH
        self.look = nn.Sequential(
            Conv(3, w, 3, stride=2, norm=nn.GroupNorm(16, w), activation=F.relu_),
            Conv(w, w, 3, norm=nn.GroupNorm(16, w)),
        )
        self.lateral = Conv(channels, w, 1, norm=nn.GroupNorm(16, w))
        self.smooth = Conv(w, w, 3, norm=nn.GroupNorm(16, w), activation=F.relu_)
        self.out = nn.Conv2d(w, channels, 1)

    def forward(self, coarse: Tensor, images: Tensor) -> Tensor:
        """(B, C, H / 4, W / 4) and images (B, 3, H, W), normalised, to (B, C, H / 2, W / 2)."""
        edges = self.look(images.contiguous())
        return self.out(self.smooth(F.relu(edges + resized(self.lateral(coarse), edges))))


class PixelDecoder(nn.Module):
    """The fused sequence (B, P, C), res2 (B, D, H / 4, W / 4) and images (B, 3, H, W) to `Pixels`."""

    def __init__(self, res2_width: int, options: LocaliserOptions, levels: int = 3) -> None:
        super().__init__()
        c = options.channels
        self.level_embed = nn.Parameter(torch.zeros(levels, c))
        self.layers = nn.ModuleList(
            EncoderLayer(c, options.heads, levels, options.encoder_ffn) for _ in range(options.encoder_layers)
        )
        self.lateral = Conv(res2_width, c, 1, norm=nn.GroupNorm(32, c))
        self.smooth = Conv(c, c, 3, norm=nn.GroupNorm(32, c), activation=F.relu_)
        self.second_look = SecondLook(c) if options.second_look else None
        self.mask_features = nn.Conv2d(c, c, 1)

    def forward(self, tokens: Tensor, sizes: list[Size], res2: Tensor, images: Tensor) -> Pixels:
        position = torch.cat(
            [
                sine_2d(h, w, tokens.shape[-1], tokens.device) + self.level_embed[i]
                for i, (h, w) in enumerate(sizes)
            ]
        ).to(tokens.dtype)
        centres = pixel_centres(sizes, tokens.device)
        for layer in self.layers:
            tokens = layer(tokens, position, sizes, centres)
        maps = [
            level.transpose(1, 2).unflatten(2, size)
            for level, size in zip(tokens.split([h * w for h, w in sizes], dim=1), sizes, strict=True)
        ]
        fine = self.lateral(res2.contiguous())  # group normalisation is slow to learn through otherwise
        fine = self.smooth(fine + resized(maps[-1], fine))
        mask_features = self.mask_features(fine)
        if self.second_look is not None:
            finer = self.second_look(fine, images)
            mask_features = resized(mask_features, finer) + finer
        return Pixels(maps, mask_features)


def resized(x: Tensor, like: Tensor) -> Tensor:
    """(B, C, h, w) to the size of another map, bilinear."""
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)
