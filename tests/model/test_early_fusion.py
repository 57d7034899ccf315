"""Early fusion against its published form: one full attention matrix, used from both sides."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn

from model.early_fusion import LOGIT_LIMIT, Add, BiAttention, EarlyFusion
from model.standin import fill_with_stand_in
from tests.model.small import SMALL

WIDTHS = [24, 16, 8]  # of res5, res4, res3
SIZES = [(2, 3), (4, 6), (8, 12)]
M = TypeVar("M", bound=nn.Module)


def filled(module: M) -> M:
    published = {"gate_visual": "gamma_v", "gate_audio": "gamma_l"}
    fill_with_stand_in(module, 6, name_of=lambda own: ".".join(published.get(x, x) for x in own.split(".")))
    return module.requires_grad_(False)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def published(layer: BiAttention, pixels: Tensor, audio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Both directions from one (P, 1) attention matrix per head; also the matrix: (B, heads, P, 1)."""

    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (layer.heads, -1)).transpose(1, 2)

    v, a = layer.norm_visual(pixels), layer.norm_audio(audio[:, None])
    d = layer.visual_query.out_features // layer.heads
    queries, keys = split(layer.visual_query(v)) / d**0.5, split(layer.audio_key(a))
    matrix = (queries @ keys.transpose(-1, -2)).clamp(-50_000, 50_000)
    turned = matrix.transpose(-1, -2)
    turned = (turned - turned.amax(-1, keepdim=True)).clamp(-50_000, 50_000)
    told = matrix.softmax(-1) @ split(layer.audio_value(a))  # over the audio axis
    heard = turned.softmax(-1) @ split(layer.visual_value(v))  # over the pixels
    v = v + layer.gate_visual * layer.visual_out(told.transpose(1, 2).flatten(2))
    a = a + layer.gate_audio * layer.audio_out(heard.transpose(1, 2).flatten(2))
    return v, a[:, 0], matrix


@pytest.mark.parametrize("loudness", [1.0, 30.0, 1e7])
def test_bi_attention_equals_the_published_form(loudness: float) -> None:
    layer = filled(BiAttention(visual=32, audio=16, inner=64, heads=4)).double()
    layer.audio_key.weight.mul_(loudness)
    pixels, audio = random(3, 40, 32).double() + 1, random(3, 16, seed=1).double()
    found_pixels, found_audio = layer(pixels, audio)
    expected_pixels, expected_audio, matrix = published(layer, pixels, audio)
    torch.testing.assert_close(found_pixels, expected_pixels, rtol=1e-12, atol=1e-12)
    # The logits of Eq. 1 are always in float32.
    torch.testing.assert_close(found_audio, expected_audio, rtol=1e-5, atol=1e-5 if loudness == 1 else 1e-4)
    assert (matrix.abs().max() >= LOGIT_LIMIT) == (loudness > 1e6)


def test_hearing_and_seeing_change_each_other() -> None:
    layer = filled(BiAttention(visual=32, audio=16, inner=64, heads=4))
    pixels, audio = random(1, 40, 32), random(1, 16, seed=1)
    base_pixels, base_audio = layer(pixels, audio)
    louder_pixels, _ = layer(pixels, random(1, 16, seed=2))
    _, other_audio = layer(random(1, 40, 32, seed=3), audio)
    assert (louder_pixels - base_pixels).abs().max() > 1e-2
    assert (other_audio - base_audio).abs().max() > 1e-3
    # A single audio token: what it adds is the same for every pixel.
    added = base_pixels - layer.norm_visual(pixels)
    torch.testing.assert_close(added, added[:, :1].expand_as(added), rtol=0, atol=1e-6)


def fusion(**changes: str) -> EarlyFusion:
    return filled(EarlyFusion(WIDTHS, replace(SMALL, **changes)))


def maps() -> list[Tensor]:
    return [random(2, c, *size, seed=c) for c, size in zip(WIDTHS, SIZES, strict=True)]


def projected(fused: EarlyFusion) -> Tensor:
    """The levels as they go into the exchange, pixel by pixel in reading order, coarsest first."""
    rows = []
    for project, x in zip(fused.projections, maps(), strict=True):
        conv, norm = project
        y = norm(torch.einsum("oc,bchw->bohw", conv.weight[:, :, 0, 0], x) + conv.bias[:, None, None])
        rows += [y[:, :, i, j] for i in range(x.shape[2]) for j in range(x.shape[3])]
    return torch.stack(rows, dim=1)


def test_the_levels_become_one_sequence_strongest_semantics_first() -> None:
    fused = fusion(fusion="none")
    audio = random(2, 16)
    tokens, unchanged = fused(maps(), audio)
    assert tokens.shape == (2, sum(h * w for h, w in SIZES), 32)
    torch.testing.assert_close(tokens, projected(fused), rtol=1e-5, atol=1e-5)
    assert unchanged is audio


def test_multi_level_fusion_exchanges_with_the_whole_sequence() -> None:
    fused = fusion()
    assert isinstance(fused.exchange, BiAttention)
    tokens, audio = fused(maps(), random(2, 16))
    expected_tokens, expected_audio, _ = published(fused.exchange, projected(fused), random(2, 16))
    torch.testing.assert_close(tokens, expected_tokens, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(audio, expected_audio, rtol=1e-5, atol=1e-5)


def test_one_level_fusion_exchanges_with_the_map_of_stride_32_alone() -> None:
    fused = fusion(fusion_levels="one")
    assert isinstance(fused.exchange, BiAttention)
    tokens, audio = fused(maps(), random(2, 16))
    coarse, finer = projected(fused).tensor_split([6], dim=1)
    expected_coarse, expected_audio, _ = published(fused.exchange, coarse, random(2, 16))
    torch.testing.assert_close(tokens[:, :6], expected_coarse, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(tokens[:, 6:], finer, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(audio, expected_audio, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("levels", ["multi", "one"])
def test_adding_is_one_way(levels: str) -> None:
    fused = fusion(fusion="add", fusion_levels=levels)
    assert isinstance(fused.exchange, Add)
    audio = random(2, 16)
    tokens, unchanged = fused(maps(), audio)
    assert torch.equal(unchanged, audio)
    added = tokens - projected(fused)
    reached = slice(None) if levels == "multi" else slice(6)
    told = fused.exchange.projection(audio)[:, None].expand_as(added)
    torch.testing.assert_close(added[:, reached], told[:, reached], rtol=1e-5, atol=1e-5)
    if levels == "one":
        torch.testing.assert_close(added[:, 6:], torch.zeros_like(added[:, 6:]), rtol=0, atol=1e-5)
