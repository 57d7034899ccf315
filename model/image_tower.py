"""The image tower of the small CLIP: the small localiser's backbone, so that it can begin where that ends.

`open_clip` builds image towers of its own kinds, and any that timm knows by name; importing this makes timm
know `ov_avss_tiny`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from timm.models import register_model
from torch import Tensor, nn

from model.localiser import BACKBONES


class ImageTower(nn.Module):
    """Images (B, 3, H, W), normalised, to (B, num_features): the means of the two coarsest maps."""

    default_cfg: ClassVar[dict[str, Any]] = {}  # timm's word for what its files of weights need

    def __init__(self) -> None:
        super().__init__()
        self.backbone = BACKBONES["tiny"]()
        self.num_features = sum(self.backbone.widths[-2:])

    def reset_classifier(self, num_classes: int, **_: Any) -> None:
        """It never had one; `open_clip` asks all of timm's models to let go of theirs."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([x.mean((2, 3)) for x in self.backbone(images)[-2:]], dim=1)


@register_model
def ov_avss_tiny(pretrained: bool = False, **_: Any) -> ImageTower:
    return ImageTower()
