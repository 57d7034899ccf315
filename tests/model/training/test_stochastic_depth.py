"""Blocks that are passed over, image by image."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from model.errors import ModelError
from model.swin import Block, partition, reassemble
from model.training.stochastic_depth import PassOver, pass_over_blocks
from tests.model.small import untrained


def block() -> Block:
    torch.manual_seed(0)
    return Block(8, heads=2, window=3, shift=0)


def test_an_image_keeps_a_branch_enlarged_or_loses_it() -> None:
    plain, changed = block(), block()
    PassOver(changed, 0.5)
    x = torch.randn(64, 7, 4, 8)  # padded to 9 x 6: six windows an image
    torch.manual_seed(3)
    found = changed(x, torch.zeros(6, 1, 9, 9))
    torch.manual_seed(3)
    attends, thinks = (2.0 * (torch.rand(64) >= 0.5).view(-1, 1, 1, 1) for _ in range(2))
    assert 0 < int((attends > 0).sum()) < 64

    windows = partition(F.pad(plain.norm1(x), (0, 0, 0, 2, 0, 2)), 3)
    attended = x + attends * reassemble(plain.attn(windows, None), 3, 9, 6)[:, :7, :4]
    torch.testing.assert_close(found, attended + thinks * plain.mlp(plain.norm2(attended)))


def test_rates_rise_and_only_training_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    monkeypatch.setattr("model.training.stochastic_depth.PassOver", lambda block, rate: rates.append(rate))
    pass_over_blocks(untrained(backbone="swinb"), 0.3)
    assert rates == pytest.approx([0.3 * i / 7 for i in range(8)])
    monkeypatch.undo()

    plain, changed = untrained(backbone="swinb"), untrained(backbone="swinb")
    changed.load_state_dict(plain.state_dict())
    pass_over_blocks(changed, 0.9)
    x = torch.randn(2, 3, 64, 64)
    for training in (False, True):
        found = changed.train(training).backbone(x)
        assert torch.equal(found[-1], plain.backbone(x)[-1]) is not training
    assert changed.state_dict().keys() == plain.state_dict().keys()


def test_a_resnet_has_no_such_blocks() -> None:
    pass_over_blocks(untrained(), 0.0)
    with pytest.raises(ModelError, match=r"drop_path: found 0\.3, expected 0: only Swin"):
        pass_over_blocks(untrained(), 0.3)
