"""What torch can do here, and whether weights are what was put on the shelf."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from model import health
from model.checkpoint import SHELF
from model.errors import ModelError
from model.health import SUMS, checked_weights, devices


def test_weights_that_come_with_the_project_are_all_on_the_list_and_whole() -> None:
    assert sorted(checked_weights()) == sorted(path.name for path in SHELF.glob("*.safetensors"))


def test_notes_of_the_weights_name_the_same_digest() -> None:
    for line in (SHELF / SUMS).read_text().splitlines():
        digest, name = line.split()
        assert digest in (SHELF / name).with_suffix(".md").read_text()


def test_weights_with_other_bytes_or_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"SHA256SUMS: cannot be read \(No such file"):
        checked_weights(tmp_path)
    (tmp_path / SUMS).write_text(f"{'0' * 64}  mine.safetensors\n")
    with pytest.raises(ModelError, match=r"mine.safetensors: cannot be read \(No such file"):
        checked_weights(tmp_path)
    (tmp_path / "mine.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"its SHA-256 begins with e3b0c44298fc, expected 000000000000"):
        checked_weights(tmp_path)


def test_the_processor_is_always_there_and_every_gpu_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices()[0].name == "cpu"
    about = SimpleNamespace(name="NVIDIA Something", total_memory=80 << 30)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: about)
    monkeypatch.setattr(health, "computes_bfloat16", lambda device: device.type == "cuda")
    assert devices()[1:] == [health.Device(f"cuda:{i}", "NVIDIA Something", True, 80 << 10) for i in range(2)]
