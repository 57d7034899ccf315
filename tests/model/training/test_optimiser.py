"""Who learns how fast, and who decays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

from model.errors import ModelError
from model.options import Backbone
from model.training.optimiser import OptimiserOptions, adamw, parameter_groups
from tests.model.small import untrained

OPTIONS = OptimiserOptions(lr=1.0, weight_decay=0.05, backbone_factor=0.1)


def told(module: nn.Module, options: OptimiserOptions = OPTIONS) -> dict[str, tuple[float, float]]:
    """Factor and decay of each parameter."""
    names = {parameter: name for name, parameter in module.named_parameters()}
    return {
        names[parameter]: (group["factor"], group["weight_decay"])
        for group in parameter_groups(module, options)
        for parameter in group["params"]
    }


@pytest.mark.parametrize("backbone", ["r50", "swinb"])
def test_every_parameter_is_in_one_group(backbone: Backbone) -> None:
    localiser = untrained(backbone=backbone)
    groups = parameter_groups(localiser, OPTIONS)
    parameters = [parameter for group in groups for parameter in group["params"]]
    assert len(parameters) == len(set(parameters)) == len(list(localiser.parameters()))


@pytest.mark.parametrize(
    ("name", "factor", "decay"),
    [
        ("backbone.layers.0.blocks.0.attn.qkv.weight", 0.1, 0.05),
        ("backbone.layers.0.blocks.0.attn.qkv.bias", 0.1, 0.05),  # biases decay, as in the published code
        ("backbone.layers.0.blocks.0.norm1.weight", 0.1, 0.0),
        ("backbone.norm3.bias", 0.1, 0.0),
        ("backbone.layers.1.blocks.1.attn.relative_position_bias_table", 0.1, 0.0),
        ("early_fusion.projections.0.0.weight", 1.0, 0.05),
        ("early_fusion.projections.0.1.weight", 1.0, 0.0),  # a group norm
        ("pixel_decoder.lateral.norm.bias", 1.0, 0.0),
        ("pixel_decoder.level_embed", 1.0, 0.05),  # a plain parameter there, an embedding in the decoder
        ("audio_mask_dec.level_embed.weight", 1.0, 0.0),
        ("audio_mask_dec.query_feat.weight", 1.0, 0.0),
        ("audio_mask_dec.decoder_norm.weight", 1.0, 0.0),
        ("audio_mask_dec.mask_head.layers.0.bias", 1.0, 0.05),
    ],
)
def test_as_the_published_code_has_it(name: str, factor: float, decay: float) -> None:
    assert told(untrained(backbone="swinb"))[name] == (factor, decay)


def test_the_places_that_are_looked_at_can_learn_at_a_pace_of_their_own() -> None:
    names = {
        name.partition(".self_attn.")[2]
        for name, (factor, _) in told(untrained(), replace(OPTIONS, offsets_factor=0.3)).items()
        if factor == 0.3
    }
    assert names == {"sampling_offsets.weight", "sampling_offsets.bias"}


def test_what_is_frozen_or_shared_is_taken_once_or_not_at_all() -> None:
    shared = nn.Linear(2, 2)
    module = nn.ModuleDict({"one": shared, "other": shared, "frozen": nn.Linear(2, 2).requires_grad_(False)})
    assert set(told(module)) == {"one.weight", "one.bias"}
    with pytest.raises(ModelError, match="nothing to train"):
        parameter_groups(module["frozen"], OPTIONS)


def test_adamw_is_told_all() -> None:
    made = adamw(parameter_groups(nn.Linear(2, 2), OPTIONS), OptimiserOptions(lr=0.5, beta1=0.8, eps=1e-6))
    (group,) = made.param_groups
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (
        0.5,
        (0.8, 0.999),
        1e-6,
        0.05,
    )
