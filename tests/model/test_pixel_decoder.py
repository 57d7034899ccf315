"""The pixel decoder against its definition: places sampled from pictures, level by level."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.layers import sine_2d, sine_axis
from model.pixel_decoder import DeformableAttention, PixelDecoder, SecondLook, pixel_centres
from model.standin import fill_with_stand_in
from tests.model.small import SMALL

SIZES = [(2, 3), (4, 6), (8, 12)]
PIXELS = sum(h * w for h, w in SIZES)
CHANNELS, HEADS, POINTS = 32, 4, 4
M = TypeVar("M", bound=nn.Module)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def filled(module: M) -> M:
    fill_with_stand_in(module, 8, name_of=lambda own: f"transformer.{own}")
    return module


def sampled(
    layer: DeformableAttention, query: Tensor, tokens: Tensor, sizes: list[tuple[int, int]]
) -> Tensor:
    """Multi-scale deformable attention with every level as a picture of each head's channels."""
    b, p, c = tokens.shape
    levels = len(sizes)
    offsets = layer.sampling_offsets(query).view(b, p, HEADS, levels, POINTS, 2)
    weights = layer.attention_weights(query).view(b, p, HEADS, levels * POINTS).softmax(-1)
    weights = weights.view(b, p, HEADS, levels, POINTS)
    values = layer.value_proj(tokens)
    centres = [((x + 0.5) / w, (y + 0.5) / h) for h, w in sizes for y in range(h) for x in range(w)]
    reference = torch.tensor(centres)[None, :, None, None]  # (1, P, 1, 1, 2)
    seen = torch.zeros(b, p, HEADS, c // HEADS)
    start = 0
    for level, (h, w) in enumerate(sizes):
        picture = (
            values[:, start : start + h * w].view(b, h, w, HEADS, -1).permute(0, 3, 4, 1, 2).flatten(0, 1)
        )
        start += h * w
        places = reference + offsets[:, :, :, level] / torch.tensor([w, h])
        grid = (2 * places - 1).transpose(1, 2).flatten(0, 1)  # (B * heads, P, points, 2)
        looks = F.grid_sample(picture, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        looks = looks.view(b, HEADS, -1, p, POINTS).permute(0, 3, 1, 4, 2)  # (B, P, heads, points, d)
        seen = seen + (looks * weights[:, :, :, level, :, None]).sum(3)
    return layer.output_proj(seen.flatten(2))


@pytest.mark.parametrize("learns", [False, True])  # which decides how it is computed
@pytest.mark.parametrize("reach", [0.0, 1.0, 8.0])  # offsets none, as usual, and mostly out of the picture
@pytest.mark.parametrize("sizes", [SIZES, [(3, 5)], [(1, 1), (2, 1), (5, 3)]])
def test_deformable_attention_samples_every_level(
    sizes: list[tuple[int, int]], reach: float, learns: bool
) -> None:
    layer = filled(DeformableAttention(CHANNELS, HEADS, len(sizes), POINTS))
    with torch.no_grad():
        layer.sampling_offsets.weight.mul_(10 * reach)
        layer.sampling_offsets.bias.mul_(reach)
    p = sum(h * w for h, w in sizes)
    layer.requires_grad_(learns)
    query, tokens = random(2, p, CHANNELS), random(2, p, CHANNELS, seed=1)
    found = layer(query, tokens, sizes, pixel_centres(sizes, tokens.device))
    assert found.requires_grad == learns
    torch.testing.assert_close(found, sampled(layer, query, tokens, sizes), rtol=1e-5, atol=1e-5)


def test_deformable_attention_can_be_trained() -> None:
    layer = filled(DeformableAttention(CHANNELS, HEADS, len(SIZES), POINTS))
    query, tokens = random(2, PIXELS, CHANNELS), random(2, PIXELS, CHANNELS, seed=1)
    towards = random(2, PIXELS, CHANNELS, seed=2)
    found, expected = [
        torch.autograd.grad((out * towards).sum(), list(layer.parameters()))
        for out in (
            layer(query, tokens, SIZES, pixel_centres(SIZES, tokens.device)),
            sampled(layer, query, tokens, SIZES),
        )
    ]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_centres_are_fractions_of_their_own_map() -> None:
    found = pixel_centres([(1, 2), (2, 1)], torch.device("cpu"))
    assert found.T.tolist() == [[0.25, 0.5], [0.75, 0.5], [0.5, 0.25], [0.5, 0.75]]


def test_the_position_code_is_sines_and_cosines_of_row_and_column() -> None:
    h, w, channels = 3, 5, 8
    found = sine_2d(h, w, channels)
    assert found.shape == (h * w, channels)
    for y in range(h):
        for x in range(w):
            expected = []
            for place, length in ((y + 1, h), (x + 1, w)):
                angle = place / (length + 1e-6) * 2 * math.pi
                for i in range(channels // 4):
                    period = 10_000 ** (2 * i / (channels // 2))
                    expected += [math.sin(angle / period), math.cos(angle / period)]
            torch.testing.assert_close(found[y * w + x], torch.tensor(expected), rtol=0, atol=1e-6)
    assert torch.equal(sine_axis(w, 4), sine_2d(1, w, 8)[:, 4:])


def enhanced(
    decoder: PixelDecoder, tokens: Tensor, res2: Tensor, images: Tensor
) -> tuple[list[Tensor], Tensor]:
    """The pixel decoder in published order: maps of every level, and the mask features."""
    position = torch.cat([sine_2d(h, w, CHANNELS) + decoder.level_embed[i] for i, (h, w) in enumerate(SIZES)])
    x = tokens
    for layer in decoder.layers:
        x = layer.norm1(x + sampled(layer.self_attn, x + position, x, SIZES))
        x = layer.norm2(x + layer.linear2(layer.linear1(x).clamp(min=0)))
    maps, start = [], 0
    for h, w in SIZES:
        maps.append(x[:, start : start + h * w].transpose(1, 2).reshape(-1, CHANNELS, h, w))
        start += h * w
    lateral, smooth = decoder.lateral, decoder.smooth
    fine = F.group_norm(F.conv2d(res2, lateral.weight), 32, lateral.norm.weight, lateral.norm.bias)
    fine = fine + F.interpolate(maps[-1], size=fine.shape[-2:], mode="bilinear", align_corners=False)
    fine = F.conv2d(fine, smooth.weight, padding=1)
    fine = F.group_norm(fine, 32, smooth.norm.weight, smooth.norm.bias).clamp(min=0)
    embeddings = F.conv2d(fine, decoder.mask_features.weight, decoder.mask_features.bias)
    if decoder.second_look is not None:
        embeddings = F.interpolate(embeddings, scale_factor=2, mode="bilinear", align_corners=False)
        embeddings = embeddings + looked_up(decoder.second_look, fine, images)
    return maps, embeddings


def looked_up(second: SecondLook, coarse: Tensor, images: Tensor) -> Tensor:
    """Edges from two convolutions of the picture, added to what is known at half their resolution."""

    def normed(x: Tensor, conv: nn.Module, **how: int) -> Tensor:
        return F.group_norm(F.conv2d(x, conv.weight, **how), 16, conv.norm.weight, conv.norm.bias)

    first, then = second.look
    edges = normed(normed(images, first, stride=2, padding=1).clamp(min=0), then, padding=1)
    known = normed(coarse, second.lateral)
    known = F.interpolate(known, scale_factor=2, mode="bilinear", align_corners=False)
    fine = normed((known + edges).clamp(min=0), second.smooth, padding=1).clamp(min=0)
    return F.conv2d(fine, second.out.weight, second.out.bias)


@pytest.mark.parametrize("second_look", [False, True])
@torch.no_grad()
def test_the_whole_decoder_is_its_steps(second_look: bool) -> None:
    decoder = filled(PixelDecoder(8, replace(SMALL, second_look=second_look)))
    tokens, res2, images = random(2, PIXELS, CHANNELS), random(2, 8, 16, 24, seed=1), random(2, 3, 64, 96)
    found = decoder(tokens, SIZES, res2, images)
    maps, mask_features = enhanced(decoder, tokens, res2, images)
    assert [tuple(x.shape) for x in found.maps] == [(2, CHANNELS, h, w) for h, w in SIZES]
    assert found.mask_features.shape == (2, CHANNELS, *((32, 48) if second_look else (16, 24)))
    for ours, theirs in zip(found.maps, maps, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.mask_features, mask_features, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_pictures_of_a_batch_do_not_see_each_other() -> None:
    decoder = filled(PixelDecoder(8, replace(SMALL, second_look=True)))
    tokens, res2, images = random(3, PIXELS, CHANNELS), random(3, 8, 16, 24, seed=1), random(3, 3, 64, 96)
    together = decoder(tokens, SIZES, res2, images).mask_features
    for i in range(3):
        alone = decoder(tokens[i : i + 1], SIZES, res2[i : i + 1], images[i : i + 1]).mask_features[0]
        torch.testing.assert_close(together[i], alone, rtol=1e-5, atol=1e-5)
