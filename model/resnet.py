"""ResNet-50 (Section 3.2, visual representation): four feature maps at strides 4, 8, 16 and 32."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from model.layers import Conv, FrozenBatchNorm


class Bottleneck(nn.Module):
    """1x1, 3x3 (which carries the stride), 1x1, and a projected shortcut where the shape changes."""

    def __init__(self, c_in: int, c_mid: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.shortcut = (
            Conv(c_in, c_out, 1, stride=stride, norm=FrozenBatchNorm(c_out))
            if c_in != c_out or stride > 1
            else None
        )
        self.conv1 = Conv(c_in, c_mid, 1, norm=FrozenBatchNorm(c_mid), activation=F.relu_)
        self.conv2 = Conv(c_mid, c_mid, 3, stride=stride, norm=FrozenBatchNorm(c_mid), activation=F.relu_)
        self.conv3 = Conv(c_mid, c_out, 1, norm=FrozenBatchNorm(c_out))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return F.relu_(self.conv3(self.conv2(self.conv1(x))) + shortcut)


class Stem(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv(3, channels, 7, stride=2, norm=FrozenBatchNorm(channels), activation=F.relu_)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(self.conv1(x), kernel_size=3, stride=2, padding=1)


class ResNet(nn.Module):
    """Images (B, 3, H, W), normalised, to [res2, res3, res4, res5] at strides 4 to 32.

    The defaults are ResNet-50; normalisation is frozen as in detection.
    """

    def __init__(self, blocks: tuple[int, ...] = (3, 4, 6, 3), stem: int = 64) -> None:
        super().__init__()
        self.stem = Stem(stem)
        self.widths = [4 * stem * 2**i for i in range(len(blocks))]  # 256, 512, 1024, 2048
        c_in = stem
        for i, (depth, width) in enumerate(zip(blocks, self.widths, strict=True)):
            stage = nn.Sequential()
            for j in range(depth):
                stage.append(Bottleneck(c_in, width // 4, width, stride=2 if i > 0 and j == 0 else 1))
                c_in = width
            self.add_module(f"res{i + 2}", stage)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.stem(images)
        maps = []
        for i in range(len(self.widths)):
            x = self.get_submodule(f"res{i + 2}")(x)
            maps.append(x)
        return maps
