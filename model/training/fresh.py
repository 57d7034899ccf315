"""Weights as Mask2Former draws them before training, for all that no file of weights fills.

The constructors of the boxes leave torch's defaults, which is all that a checkpoint needs; training from
them would begin with queries that look nowhere in particular and activations of the wrong size.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from model.audio_mask_dec import Attention, FeedForward
from model.early_fusion import Add, BiAttention, EarlyFusion
from model.localiser import Localiser
from model.pixel_decoder import DeformableAttention, EncoderLayer, PixelDecoder
from model.resnet import ResNet
from model.swin import Swin


@torch.no_grad()
def draw_weights(localiser: Localiser) -> None:
    """Draws anew what Mask2Former has a rule of its own for; the rest stays as the constructors drew it."""
    _backbone(localiser.backbone)
    for module in localiser.modules():
        match module:
            case DeformableAttention():
                _even_looks(module)
            case EarlyFusion():
                for projection in module.projections:
                    _xavier(projection.get_submodule("0"))
            case BiAttention() | Add():
                for child in module.children():
                    if isinstance(child, nn.Linear):
                        _xavier(child)
            case EncoderLayer() | FeedForward():
                nn.init.xavier_uniform_(module.linear1.weight)
                nn.init.xavier_uniform_(module.linear2.weight)
            case Attention():
                nn.init.xavier_uniform_(module.in_proj_weight)
                nn.init.zeros_(module.in_proj_bias)
                _xavier(module.out_proj)
            case PixelDecoder():
                nn.init.normal_(module.level_embed)
                finer = () if module.second_look is None else module.second_look.modules()
                for convolution in (module.lateral, module.smooth, module.mask_features, *finer):
                    if isinstance(convolution, nn.Conv2d):
                        nn.init.kaiming_uniform_(convolution.weight, a=1)
                        if convolution.bias is not None:
                            nn.init.zeros_(convolution.bias)
                if module.second_look is not None:  # at first there is nothing to add
                    nn.init.zeros_(module.second_look.out.weight)
            case nn.Embedding():
                nn.init.normal_(module.weight)


def _xavier(layer: nn.Module) -> None:
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _backbone(backbone: nn.Module) -> None:
    for module in backbone.modules():
        if isinstance(backbone, ResNet) and isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(backbone, Swin) and isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for name, parameter in backbone.named_parameters():
        if name.endswith("relative_position_bias_table"):
            nn.init.trunc_normal_(parameter, std=0.02)


def _even_looks(attention: DeformableAttention) -> None:
    """At first each head looks its own way, one, two, three ... pixels far, and weighs all alike."""
    angle = torch.arange(attention.heads) * (2 * math.pi / attention.heads)
    towards = torch.stack([angle.cos(), angle.sin()], dim=-1)
    towards = towards / towards.abs().amax(-1, keepdim=True)  # (heads, 2), on the edge of a square
    far = torch.arange(1, attention.points + 1)[:, None] * towards[:, None, None]  # (heads, 1, points, 2)
    nn.init.zeros_(attention.sampling_offsets.weight)
    attention.sampling_offsets.bias.copy_(far.expand(-1, attention.levels, -1, -1).flatten())
    nn.init.zeros_(attention.attention_weights.weight)
    nn.init.zeros_(attention.attention_weights.bias)
    _xavier(attention.value_proj)
    _xavier(attention.output_proj)
