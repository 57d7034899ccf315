"""What is left on disk is whole, or is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from model.checkpoint import CheckpointWeights
from model.errors import ModelError
from model.training.saving import Checkpoint, checkpoints, first_difference, tensors_of, whole, write_tensors
from tests.model.small import untrained


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint(step, {"seed": 1}, {"w": torch.ones(2)}, {"state": {}})


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    path = checkpoint(7).write(tmp_path, keep=1)
    found = Checkpoint.read(path)
    assert (found.step, found.settings, found.optimiser) == (7, {"seed": 1}, {"state": {}})
    assert torch.equal(found.module["w"], torch.ones(2))


def test_the_newest_stay_and_nothing_else_is_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.pt").write_text("mine")
    for step in (9, 10, 100):
        checkpoint(step).write(tmp_path, keep=2)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000010.pt", "step-00000100.pt"]
    assert (tmp_path / "notes.pt").is_file()
    assert checkpoints(tmp_path / "nowhere") == []


def test_a_file_that_is_torn_is_told(tmp_path: Path) -> None:
    path = checkpoint(7).write(tmp_path, keep=1)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(
        ModelError, match=r"step-00000007\.pt: cannot be read .*remove it, and the one before"
    ):
        Checkpoint.read(path)


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"before")

    def half(draft: Path) -> None:
        draft.write_bytes(b"half")
        raise OSError("No space left on device")

    with pytest.raises(ModelError, match=r"a\.bin: cannot be written: No space left"):
        whole(target, half)
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert target.read_bytes() == b"before"

    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        checkpoint(1).write(tmp_path / "file" / "folder", keep=1)


def test_differences_are_told_by_their_place() -> None:
    before = {"stage": {"lr": 0.1, "sizes": (1, 2)}, "seed": 1}
    assert first_difference(before, {"stage": {"lr": 0.1, "sizes": [1, 2]}, "seed": 1}) is None
    assert first_difference(before, {**before, "seed": 2}) == "seed was 1 and is 2 now"
    assert (
        first_difference(before, {**before, "stage": {"lr": 0.1}}) == "stage.sizes was (1, 2) and is None now"
    )
    assert first_difference(before, {**before, "new": 3}) == "new was None and is 3 now"


def test_weights_are_read_as_the_authors_checkpoint_is(tmp_path: Path) -> None:
    localiser, ears = untrained(), nn.Sequential(nn.Linear(3, 4))
    path = tmp_path / "model.safetensors"
    write_tensors(tensors_of({"localiser": localiser, "audio_encoder": ears}), path, {"step": "3"})
    assert "audio_encoder.audio_backbone.0.weight" in load_file(path)

    other = untrained()
    CheckpointWeights(path).fill("localiser", other)
    assert all(torch.equal(a, b) for a, b in zip(localiser.parameters(), other.parameters(), strict=True))
