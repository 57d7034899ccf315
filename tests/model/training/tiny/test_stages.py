"""Lessons go on from those before them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from model.ears import Ears
from model.errors import ModelError
from model.options import LocaliserOptions
from model.training.saving import tensors_of, write_tensors
from model.training.stages import Context
from model.training.tiny import naming, stages
from model.training.tiny.locating import Locating
from model.training.tiny.seeing import Sight
from model.training.tiny.stages import LocateConfig, NameConfig, locate, name
from model.training.tiny.stock import Stock, StockPlan
from model.training.tiny.tags import sounding_tags
from tests.model.training.tiny.conftest import SMALL


@pytest.fixture
def context(tmp_path: Path, clips: Stock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Context]:
    """Makes the context of a lesson after those that see and hear, and after others."""
    monkeypatch.setattr(stages.WorldConfig, "stock", lambda *args: clips)
    monkeypatch.setattr(LocaliserOptions, "of", classmethod(lambda cls, model: model))
    torch.manual_seed(1)
    seen, heard = tmp_path / "see.safetensors", tmp_path / "hear.safetensors"
    write_tensors(tensors_of({"localiser": Sight(SMALL)}), seen)
    write_tensors(tensors_of({"audio_encoder": Ears(len(sounding_tags()), SMALL.audio_channels)}), heard)

    def make(**done: Path) -> Context:
        return Context(
            name="locate", model=SMALL, root=tmp_path, out=tmp_path, processes=1, seed=3, begins=True,
            done={"see": seen, "hear": heard, **done}, say=lambda line: None,
        )  # fmt: skip

    return make


def config(**changes: Any) -> LocateConfig:
    return LocateConfig(task="locate", batch=2, **changes)


def test_stills_are_learnt_one_at_a_time(
    context: Callable[..., Context], clips: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[StockPlan] = []

    def stock(folder: Path, plan: StockPlan, *_: object) -> Stock:
        asked.append(plan)
        return clips

    monkeypatch.undo()
    monkeypatch.setattr(LocaliserOptions, "of", classmethod(lambda cls, model: model))
    monkeypatch.setattr(stages, "stock", stock)
    task = locate(config(stills=True), context())
    batch = task.batch(0)
    assert batch.examples.shape[:2] == (2, 1)
    assert all(len(frames) == 1 for frames in batch.frames)
    assert torch.isfinite(task.module(batch, task.totals(batch))["loss"])
    locate(config(), context())
    assert [(plan.seconds, plan.split) for plan in asked] == [(1, "base"), (5, "base")]


def test_windows_go_on_from_what_stills_have_taught(context: Callable[..., Context], tmp_path: Path) -> None:
    stills = locate(config(stills=True), context())
    with torch.no_grad():
        for parameter in stills.module.localiser.parameters():
            parameter.add_(0.25)
    write_tensors(tensors_of(stills.parts()), tmp_path / "draw.safetensors")
    task = locate(config(begins_with="draw"), context(draw=tmp_path / "draw.safetensors"))
    assert task.batch(0).examples.shape[:2] == (2, SMALL.window)
    before, after = parts(stills), parts(task)
    place = "audio_mask_dec.audio_place.weight"
    assert torch.equal(after[place], before[place].expand(SMALL.window, -1))
    assert all(torch.equal(x, before[name]) for name, x in after.items() if name != place)


def test_masks_can_begin_as_those_of_a_mask2former(context: Callable[..., Context], tmp_path: Path) -> None:
    """What the file has is taken, all else is drawn; what sees is that of the lesson before."""
    taught = locate(config(), context())
    with torch.no_grad():
        for parameter in taught.module.localiser.parameters():
            parameter.add_(0.25)
    file = tmp_path / "mask2former.safetensors"
    held = tensors_of(taught.parts())
    mine = (
        "backbone.",
        "sem_seg_head.pixel_decoder.transformer.encoder.layers.",
        "sem_seg_head.predictor.query_",
    )
    write_tensors({name: x for name, x in held.items() if name.startswith(mine)}, file)
    fresh, there = parts(locate(config(), context())), parts(taught)
    found = parts(locate(config(mask2former=str(file)), context()))
    for entry, x in found.items():
        taken = entry.startswith(("pixel_decoder.layers.", "audio_mask_dec.query_"))
        assert torch.equal(x, (there if taken else fresh)[entry]), entry
    assert any(entry.startswith("pixel_decoder.layers.") for entry in found)


def test_the_image_tower_begins_as_what_has_learnt_to_see(
    context: Callable[..., Context], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(SMALL, backbone="tiny")
    monkeypatch.setattr(naming, "token_embeddings", lambda tokenizer, width: torch.zeros(49408, width))
    monkeypatch.setattr(naming, "other_words", lambda tag: [])
    monkeypatch.setattr(LocaliserOptions, "of", classmethod(lambda cls, model: options))
    sight = Sight(options)
    torch.nn.init.normal_(sight.backbone.stem.conv1.weight)
    write_tensors(tensors_of({"localiser": sight}), tmp_path / "seen.safetensors")
    here = replace(context(seen=tmp_path / "seen.safetensors"), model=SimpleNamespace(clip="ov-avss-tiny"))
    tower = name(NameConfig(task="name", batch=2, begins_with="seen"), here).module.clip.visual.trunk
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        res4, res5 = sight.backbone(images)[-2:]
        wanted = torch.cat((res4.mean((2, 3)), res5.mean((2, 3))), dim=1)
        torch.testing.assert_close(tower.eval()(images), wanted, rtol=1e-4, atol=1e-4)


def test_a_lesson_that_is_to_come_first_is_asked_for(context: Callable[..., Context]) -> None:
    with pytest.raises(ModelError, match=r"stages\.locate: found no stage `draw` before it, expected one"):
        locate(config(begins_with="draw"), context())


def parts(task: Locating) -> dict[str, torch.Tensor]:
    return task.parts()["localiser"].state_dict()
