"""What TensorBoard is given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model.errors import ModelError
from model.training.board import Board
from model.training.trainer import Recipe, Trainer, Upkeep
from tests.model.training.toys import Products, localise


def shown(folder: Path) -> Any:
    return EventAccumulator(str(folder)).Reload()


def test_every_loss_and_the_pace_are_curves_and_pictures_are_there(tmp_path: Path) -> None:
    task = localise()
    task.held_out = task.clips.clips
    Trainer(
        task, Recipe(steps=4), Upkeep(log_every=2, pictures_every=3, validate_every=4), board=tmp_path
    ).run()  # fmt: skip
    found = shown(tmp_path)
    names = set(found.Tags()["scalars"])
    assert names >= {"loss/loss", "loss/sound", "loss/mask", "loss/dice", "loss/sound_0", "loss/dice_3"}
    assert names >= {"step/lr", "step/gradient_norm", "speed/step_s", "speed/samples_per_s", "validation/j"}
    assert [event.step for event in found.Scalars("loss/loss")] == [2, 4]
    assert found.Scalars("step/lr")[0].value == pytest.approx(1e-4)
    (tag,) = found.Tags()["images"]
    assert tag == "truth above, prediction below"
    assert [event.step for event in found.Images(tag)] == [3, 4]


def test_a_curve_is_the_mean_since_the_point_before(tmp_path: Path) -> None:
    task = Products()
    trainer = Trainer(task, Recipe(steps=4), Upkeep(log_every=4), board=tmp_path)
    other = Trainer(Products(), Recipe(steps=4))
    losses = [other.take([task.batch(step)])["loss"].item() for step in range(4)]
    trainer.run()
    (event,) = shown(tmp_path).Scalars("loss/loss")
    assert event.value == pytest.approx(sum(losses) / 4)


def test_what_comes_again_is_not_there_twice(tmp_path: Path) -> None:
    for first in (0, 2):  # a run that was interrupted after its third step, and goes on from its second
        with Board(tmp_path, first) as board:
            for step in range(first + 1, 4):
                board.scalars(step, {"loss": float(step)})
    assert [event.step for event in shown(tmp_path).Scalars("loss")] == [1, 2, 3]


def test_without_a_folder_nothing_is_written_and_nothing_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with Board(None) as board:
        board.scalars(1, {"loss": 1.0})
        board.pictures(1, {"picture": torch.zeros(3, 2, 2, dtype=torch.uint8)})


def test_without_tensorboard_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ModelError, match="pip install tensorboard"):
        Board(tmp_path)
