"""Swin against torchvision's as a whole, and its windows against attention over the whole picture."""

from __future__ import annotations

import re
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.swin_transformer import SwinTransformer

from model.standin import fill_with_stand_in
from model.swin import Block, PatchMerging, Stage, Swin, shift_mask
from tests.model.small import SmallSwin

M = TypeVar("M", bound=nn.Module)


def filled(module: M) -> M:
    fill_with_stand_in(module, 3, name_of=lambda own: f"backbone.{own}")
    return module.double().requires_grad_(False)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def torchvision_name(own: str) -> str:
    """The name torchvision's Swin gives an entry of ours, its output norms aside."""
    own = own.replace("patch_embed.proj", "features.0.0").replace("patch_embed.norm", "features.0.2")
    own = re.sub(r"^layers\.(\d)\.blocks", lambda stage: f"features.{2 * int(stage[1]) + 1}", own)
    own = re.sub(r"^layers\.(\d)\.downsample", lambda stage: f"features.{2 * int(stage[1]) + 2}", own)
    return own.replace("mlp.fc1", "mlp.0").replace("mlp.fc2", "mlp.3")


@pytest.mark.parametrize(("height", "width"), [(96, 144), (100, 132)])  # whole windows, and ones to be padded
@torch.no_grad()
def test_equals_torchvision(height: int, width: int) -> None:
    swin = filled(SmallSwin(depths=(2, 2), heads=(1, 2)))
    theirs = SwinTransformer([4, 4], 8, [2, 2], [1, 2], [3, 3], stochastic_depth_prob=0.0).double().eval()
    renamed = {
        torchvision_name(own): value
        for own, value in swin.state_dict().items()
        if not re.match(r"norm\d", own)
    }
    report = theirs.load_state_dict(renamed, strict=False)
    assert not report.unexpected_keys
    assert {name.split(".")[-1] for name in report.missing_keys if name.startswith("features")} == {
        "relative_position_index"
    }
    x = theirs.features[0](random(2, 3, height, width))
    for i, found in enumerate(swin(random(2, 3, height, width))):
        x = theirs.features[2 * i + 1](x if i == 0 else theirs.features[2 * i](x))
        expected = swin.get_submodule(f"norm{i}")(x).permute(0, 3, 1, 2)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def attention_over_the_picture(block: Block, x: Tensor) -> Tensor:
    """The same block without windows: every patch against every other, and a rule for who may see whom."""
    b, h, w, c = x.shape
    m, heads, attn = block.window, block.attn.heads, block.attn
    hp, wp = -(-h // m) * m, -(-w // m) * m
    y = torch.zeros(b, hp, wp, c, dtype=x.dtype)
    y[:, :h, :w] = block.norm1(x)
    q, k, v = attn.qkv(y.view(b, hp * wp, c)).view(b, hp * wp, 3, heads, c // heads).permute(2, 0, 3, 1, 4)
    logits = q @ k.transpose(-1, -2) / (c // heads) ** 0.5
    for i in range(hp * wp):
        for j in range(hp * wp):
            (yi, xi), (yj, xj) = divmod(i, wp), divmod(j, wp)
            # Windows start half a window into the picture and do not go round its border.
            window_i = ((yi - block.shift) // m, (xi - block.shift) // m)
            window_j = ((yj - block.shift) // m, (xj - block.shift) // m)
            if window_i == window_j:
                entry = (yi - yj + m - 1) * (2 * m - 1) + (xi - xj + m - 1)
                logits[:, :, i, j] += attn.relative_position_bias_table[entry]
            else:
                logits[:, :, i, j] = -torch.inf
    seen = (logits.softmax(-1) @ v).transpose(1, 2).reshape(b, hp, wp, c)
    x = x + attn.proj(seen)[:, :h, :w]
    return x + block.mlp(block.norm2(x))


@pytest.mark.parametrize("shift", [0, 1, 2])
@pytest.mark.parametrize(("height", "width"), [(8, 12), (5, 7), (3, 4), (4, 2)])
@torch.no_grad()
def test_a_block_is_attention_among_the_patches_of_a_window(height: int, width: int, shift: int) -> None:
    block = filled(Block(channels=8, heads=2, window=4, shift=shift))
    x = random(2, height, width, 8)
    padded = (height + -height % 4, width + -width % 4)
    mask = shift_mask(*padded, 4, shift or 2, x.device)
    torch.testing.assert_close(block(x, mask), attention_over_the_picture(block, x), rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_four_neighbours_become_one_column_by_column() -> None:
    merging = PatchMerging(2).double()
    merging.norm = nn.Identity()
    merging.reduction = nn.Identity()
    x = random(1, 3, 4, 2)  # an odd height: the row below it is zero
    found = merging(x)
    assert found.shape == (1, 2, 2, 8)
    nothing = torch.zeros(2, dtype=x.dtype)
    assert torch.equal(found[0, 0, 1], torch.cat((x[0, 0, 2], x[0, 1, 2], x[0, 0, 3], x[0, 1, 3])))
    assert torch.equal(found[0, 1, 0], torch.cat((x[0, 2, 0], nothing, x[0, 2, 1], nothing)))


def test_every_second_block_shifts_by_half_a_window() -> None:
    stage = Stage(8, depth=4, heads=2, window=12, last=True)
    assert [block.shift for block in stage.blocks] == [0, 6, 0, 6]


@torch.no_grad()
def test_maps_are_at_strides_4_to_32_also_for_sizes_that_nothing_divides() -> None:
    swin = filled(SmallSwin())
    assert [tuple(x.shape) for x in swin(random(1, 3, 64, 96))] == [
        (1, 8, 16, 24),
        (1, 16, 8, 12),
        (1, 32, 4, 6),
        (1, 64, 2, 3),
    ]
    odd = swin(random(1, 3, 70, 45))
    assert [tuple(x.shape[2:]) for x in odd] == [(18, 12), (9, 6), (5, 3), (3, 2)]
    assert all(x.isfinite().all() for x in odd)


def test_the_default_is_swin_b_with_windows_of_twelve() -> None:
    with torch.device("meta"):
        swin = Swin()
    assert swin.widths == [128, 256, 512, 1024]
    assert [len(stage.blocks) for stage in swin.layers] == [2, 2, 18, 2]
    assert [stage.blocks[0].attn.heads for stage in swin.layers] == [4, 8, 16, 32]
    assert swin.layers[0].blocks[0].attn.relative_position_bias_table.shape == (23 * 23, 4)
