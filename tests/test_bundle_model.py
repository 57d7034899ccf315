"""A trained model on its way to the shelf."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.checkpoint import CheckpointWeights
from model.errors import ModelError
from model.health import checked_weights
from tools.bundle_model import bundle

PARTS = ("backbone.w", "audio_encoder.audio_backbone.w", "clip_adapter.clip_model.w")


def test_it_is_written_in_half_precision_and_loads_as_what_it_was(tmp_path: Path) -> None:
    torch.manual_seed(1)
    whole = {name: torch.randn(300, 20) for name in PARTS} | {"backbone.steps": torch.tensor(7)}
    save_file(whole, tmp_path / "model.safetensors")
    told = bundle(tmp_path / "model.safetensors", tmp_path / "shelf" / "mine.safetensors")
    made = load_file(tmp_path / "shelf" / "mine.safetensors")
    assert made["backbone.steps"] == 7
    for name in PARTS:
        assert made[name].dtype == torch.float16
        torch.testing.assert_close(made[name].float(), whole[name], rtol=2**-11, atol=2**-24)
    size = (tmp_path / "shelf" / "mine.safetensors").stat().st_size
    assert size < 0.51 * (tmp_path / "model.safetensors").stat().st_size
    assert f"0.02 M numbers, {size / 1e6:.1f} MB" in told
    assert checked_weights(tmp_path / "shelf") == ["mine.safetensors"]
    bundle(tmp_path / "model.safetensors", tmp_path / "shelf" / "other.safetensors")
    bundle(tmp_path / "model.safetensors", tmp_path / "shelf" / "mine.safetensors")
    assert checked_weights(tmp_path / "shelf") == ["other.safetensors", "mine.safetensors"]
    layer = torch.nn.ParameterDict({"w": torch.zeros(300, 20)})
    CheckpointWeights(tmp_path / "shelf" / "mine.safetensors").fill("audio_encoder", layer)
    assert layer["w"].dtype == torch.float32
    assert torch.equal(layer["w"], made[PARTS[1]].float())


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({name: torch.zeros(1) for name in PARTS[:2]}, "found no clip; expected a whole model"),
        ({name: torch.tensor([1e6]) for name in PARTS}, "too large for half precision, .*backbone.w"),
        (None, "no such file; train a model first"),
    ],
)
def test_what_cannot_stand_there_is_told_in_one_line(tmp_path: Path, tensors: dict | None, said: str) -> None:
    if tensors is not None:
        save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=said):
        bundle(tmp_path / "model.safetensors", tmp_path / "shelf" / "mine.safetensors")
    assert not (tmp_path / "shelf").exists()
