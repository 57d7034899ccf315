"""ResNet against torchvision's, entry by entry renamed."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck as TorchvisionBottleneck
from torchvision.models.resnet import ResNet as TorchvisionResNet
from torchvision.ops import FrozenBatchNorm2d

from model.layers import Conv, FrozenBatchNorm
from model.resnet import ResNet
from model.standin import fill_with_stand_in

BLOCKS = (2, 1, 1, 1)  # one block without a projected shortcut


def torchvision_name(own: str) -> str:
    """The name torchvision's ResNet gives an entry of ours."""
    own = own.removeprefix("stem.")
    own = re.sub(r"^res(\d)\.", lambda stage: f"layer{int(stage[1]) - 1}.", own)
    own = re.sub(r"conv(\d)\.norm", r"bn\1", own)
    return own.replace("shortcut.norm", "downsample.1").replace("shortcut.weight", "downsample.0.weight")


@pytest.fixture(scope="module")
def resnet() -> ResNet:
    resnet = ResNet(BLOCKS)
    fill_with_stand_in(resnet, 1, name_of=lambda own: f"backbone.{own}")
    return resnet.double().requires_grad_(False)


def images(height: int = 64, width: int = 96) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@torch.no_grad()
def test_equals_torchvision(resnet: ResNet) -> None:
    with torch.device("meta"):
        theirs = TorchvisionResNet(TorchvisionBottleneck, list(BLOCKS), norm_layer=FrozenBatchNorm2d)
    theirs.fc = nn.Identity()
    renamed = {torchvision_name(own): value for own, value in resnet.state_dict().items()}
    theirs.load_state_dict(renamed, strict=True, assign=True)
    x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images()))))
    found = resnet(images())
    assert len(found) == 4
    for layer, ours in zip((theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4), found, strict=True):
        x = layer(x)
        torch.testing.assert_close(ours, x, rtol=1e-10, atol=1e-10)


def test_the_default_is_resnet_50() -> None:
    with torch.device("meta"):
        resnet = ResNet()
        theirs = TorchvisionResNet(TorchvisionBottleneck, [3, 4, 6, 3], norm_layer=FrozenBatchNorm2d)
    ours = {torchvision_name(own): value.shape for own, value in resnet.state_dict().items()}
    expected = {
        name: value.shape for name, value in theirs.state_dict().items() if not name.startswith("fc.")
    }
    assert ours == expected
    assert resnet.widths == [256, 512, 1024, 2048]


@torch.no_grad()
def test_maps_are_at_strides_4_to_32(resnet: ResNet) -> None:
    shapes = [tuple(x.shape) for x in resnet(images(96, 128))]
    assert shapes == [(2, 256, 24, 32), (2, 512, 12, 16), (2, 1024, 6, 8), (2, 2048, 3, 4)]


@torch.no_grad()
def test_folding_the_normalisation_changes_nothing_but_the_work(resnet: ResNet) -> None:
    before = resnet(images())
    folded = ResNet(BLOCKS).double()
    folded.load_state_dict(resnet.state_dict())
    for module in folded.modules():
        if isinstance(module, Conv):
            module.fold()
    assert not any(isinstance(module, FrozenBatchNorm) for module in folded.modules())
    for a, b in zip(folded(images()), before, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_frozen_normalisation_is_batch_normalisation_in_evaluation() -> None:
    norm = FrozenBatchNorm(6)
    fill_with_stand_in(norm, 2)
    reference = nn.BatchNorm2d(6).eval()
    reference.load_state_dict(norm.state_dict(), strict=False)
    x = torch.randn(2, 6, 3, 5, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(norm(x), reference(x), rtol=1e-6, atol=1e-6)
    assert not list(norm.parameters())
