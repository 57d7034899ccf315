"""Weights as they are drawn before any training."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from model.audio_mask_dec import Attention
from model.options import Backbone
from model.pixel_decoder import DeformableAttention
from model.training.fresh import draw_weights
from tests.model.small import pictures, sounds, untrained


def test_each_head_looks_its_own_way_and_ever_further() -> None:
    localiser = untrained()
    draw_weights(localiser)
    attention = next(m for m in localiser.modules() if isinstance(m, DeformableAttention))
    assert not attention.sampling_offsets.weight.any()
    looks = attention.sampling_offsets.bias.detach().view(4, 3, 4, 2)  # heads, levels, points, x and y
    expected = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    for level in range(3):
        for point in range(4):
            torch.testing.assert_close(looks[:, level, point], (point + 1) * expected, atol=1e-6, rtol=0)
    assert not attention.attention_weights.weight.any()
    assert not attention.attention_weights.bias.any()


@pytest.mark.parametrize("backbone", ["r50", "swinb"])
def test_the_seed_decides_every_weight(backbone: Backbone) -> None:
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        localiser = untrained(backbone=backbone)
        draw_weights(localiser)
        drawn.append(localiser.state_dict())
    one, again, other = drawn
    assert all(torch.equal(value, again[name]) for name, value in one.items())
    random = [name for name, value in one.items() if value.ndim > 1 and value.std() > 0]
    assert len(random) > 80
    assert [name for name in random if torch.equal(one[name], other[name])] == []


def test_matrices_have_the_spread_that_keeps_a_signal() -> None:
    localiser = untrained()
    draw_weights(localiser)
    attention = next(m for m in localiser.modules() if isinstance(m, Attention))
    for weight in (attention.in_proj_weight, attention.out_proj.weight):
        rows, columns = weight.shape
        assert weight.std().item() == pytest.approx(math.sqrt(2 / (rows + columns)), rel=0.1)
    assert not attention.in_proj_bias.any()
    convolution = localiser.backbone.get_submodule("res4.0.conv2")
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.weight.std().item() == pytest.approx(
        math.sqrt(2 / (9 * convolution.out_channels)), rel=0.1
    )


@pytest.mark.parametrize("backbone", ["r50", "swinb"])
def test_what_comes_out_is_neither_nothing_nor_too_much(backbone: Backbone) -> None:
    localiser = untrained(backbone=backbone)
    torch.manual_seed(0)
    draw_weights(localiser)
    images = pictures(1, 5, height=64, width=96).float() / 64 - 2
    with torch.no_grad():
        answer = localiser.eval()(images, sounds(1, 5))
    spread = answer.mask_logits().std().item()
    assert 0.05 < spread < 50
    assert answer.scores.isfinite().all()
