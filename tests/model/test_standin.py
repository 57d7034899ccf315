"""The stand-in weights: the shared rule, bit for bit, and what filling a module leaves alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model.standin import fill_with_stand_in, seeded_tensor

RULE = Path(__file__).parents[2] / ".." / "shared" / "parity" / "seeded_weights.py"

ENTRIES: list[tuple[str, tuple[int, ...]]] = [
    ("backbone.res2.0.conv1.weight", (64, 64, 1, 1)),
    ("backbone.stem.conv1.norm.running_var", (64,)),
    ("backbone.stem.conv1.norm.running_mean", (64,)),
    ("backbone.stem.conv1.norm.weight", (64,)),
    ("backbone.stem.conv1.norm.bias", (64,)),
    ("backbone.layers.0.blocks.0.attn.relative_position_bias_table", (529, 4)),
    ("x.transformer.encoder.vl_layer.b_attn.gamma_v", (256,)),
    ("x.transformer.encoder.vl_layer.b_attn.gamma_l", (128,)),
    ("x.transformer.encoder.layers.0.self_attn.sampling_offsets.weight", (192, 256)),
    ("x.transformer.encoder.layers.0.self_attn.sampling_offsets.bias", (192,)),
    ("x.transformer.level_embed", (3, 256)),
    ("x.predictor.query_feat.weight", (100, 256)),
    ("x.predictor.audio_query_embed.weight", (5, 256)),
    ("x.predictor.a2a.self_attn.out_proj.weight", (256, 256)),
    ("x.predictor.transformer_ffn_layers.0.linear2.weight", (256, 2048)),
    ("x.predictor.v2a.multihead_attn.in_proj_weight", (768, 256)),
    ("clip_adapter.clip_model.logit_scale", ()),
    ("clip_adapter.clip_model.visual.class_embedding", (768,)),
    ("clip_adapter.clip_model.visual.proj", (768, 512)),
]


@pytest.mark.skipif(not RULE.exists(), reason="the shared rule ../shared/parity/seeded_weights.py is absent")
@pytest.mark.parametrize(("name", "shape"), ENTRIES)
@pytest.mark.parametrize("salt", [0, 7])
def test_equals_the_shared_rule_bit_for_bit(name: str, shape: tuple[int, ...], salt: int) -> None:
    spec = importlib.util.spec_from_file_location("shared_rule", RULE)
    assert spec is not None
    assert spec.loader is not None
    rule = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rule)
    expected = np.asarray(rule.seeded_tensor(name, shape, salt))
    found = seeded_tensor(name, shape, salt)
    assert found.dtype == expected.dtype == np.float32
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("name", "shape", "first", "last"),
    [
        ("backbone.res2.0.conv1.weight", (64, 64, 1, 1), "-0x1.39af840000000p-4", "-0x1.0db9f80000000p-2"),
        ("backbone.stem.conv1.norm.running_var", (64,), "0x1.0a3a000000000p+0", "0x1.5ad6240000000p+0"),
        ("a.gamma_l", (128,), "0x1.82fcde0000000p-2", "0x1.02e6a40000000p-1"),
        ("e.sampling_offsets.bias", (192,), "-0x1.41e2240000000p-4", "-0x1.e9dbe40000000p-1"),
        ("p.query_feat.weight", (100, 256), "-0x1.5897420000000p-2", "-0x1.7cd0560000000p+0"),
        ("a2a.self_attn.out_proj.weight", (256, 256), "-0x1.77d7e20000000p-9", "0x1.61f3c60000000p-9"),
        ("b.relative_position_bias_table", (529, 4), "0x1.ba4ad60000000p-4", "-0x1.b14c540000000p-2"),
        ("n.weight", (8,), "0x1.e0ddd40000000p-1", "0x1.1177540000000p+0"),
        ("n.bias", (8,), "-0x1.bde2740000000p-8", "0x1.395ee80000000p-4"),
    ],
)
def test_recorded_values(name: str, shape: tuple[int, ...], first: str, last: str) -> None:
    values = seeded_tensor(name, shape, 3).reshape(-1)
    assert (float(values[0]).hex(), float(values[-1]).hex()) == (first, last)


def test_a_module_is_filled_in_place_and_its_counters_are_left_alone() -> None:
    norm = nn.BatchNorm1d(4)
    norm.num_batches_tracked += 5
    kept = norm.running_var
    fill_with_stand_in(norm, 1, name_of=lambda name: f"backbone.norm.{name}")
    assert norm.running_var is kept
    assert norm.num_batches_tracked == 5
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        expected = seeded_tensor(f"backbone.norm.{leaf}", (4,), 1)
        np.testing.assert_array_equal(getattr(norm, leaf).detach().numpy(), expected)


def test_tensors_that_are_not_plain_float32_take_the_same_values() -> None:
    tensors = {
        "half.weight": torch.zeros(6, 5, dtype=torch.bfloat16),
        "turned.weight": torch.zeros(5, 6).T,
        "index": torch.arange(3),
    }
    fill_with_stand_in(tensors, 2)
    half = torch.from_numpy(seeded_tensor("half.weight", (6, 5), 2)).bfloat16()
    assert torch.equal(tensors["half.weight"], half)
    assert torch.equal(tensors["turned.weight"], torch.from_numpy(seeded_tensor("turned.weight", (6, 5), 2)))
    assert tensors["index"].tolist() == [0, 1, 2]
