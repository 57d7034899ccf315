from __future__ import annotations

import torch

from model.layers import FrozenBatchNorm
from model.resnet import ResNet
from model.standin import fill_with_stand_in
from model.training.tiny.thaw import thaw


def network() -> ResNet:
    made = ResNet((1, 1, 1, 1), stem=8)
    fill_with_stand_in(made, 1)
    return made


def test_a_thawed_network_is_the_same_function_with_the_same_entries() -> None:
    frozen, thawed = network(), network()
    thaw(thawed)
    assert not any(isinstance(module, FrozenBatchNorm) for module in thawed.modules())
    assert {k: v.shape for k, v in frozen.state_dict().items()} == {
        k: v.shape for k, v in thawed.state_dict().items()
    }
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for a, b in zip(frozen.eval()(x), thawed.eval()(x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_it_learns_and_can_be_put_back() -> None:
    thawed, frozen = network(), network()
    thaw(thawed)
    before = thawed.state_dict()["res2.0.conv1.norm.running_mean"].clone()
    thawed.train()(torch.randn(4, 3, 64, 64))[-1].mean().backward()
    assert thawed.get_parameter("res2.0.conv1.norm.weight").grad is not None
    assert not torch.equal(thawed.state_dict()["res2.0.conv1.norm.running_mean"], before)
    frozen.load_state_dict(thawed.state_dict())
    again = network()
    thaw(again)
    again.load_state_dict(dict(thawed.state_dict()))  # as a checkpoint holds it
