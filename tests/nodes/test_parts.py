"""The parts of a stream as its configuration makes them, for evaluation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import open_clip
import pytest
import torch

from model.data.avsbench_ov import read_avsbench_ov
from model.evaluation.offline import Offline
from model.evaluation.streaming import Streaming
from nodes.parts import parts_of
from streaming.config import Config, load, setting
from streaming.errors import UserError
from tests.model.data.laid_out import world
from tests.model.small import SMALL, SmallResNet
from tests.nodes.test_classification import TINY

CLIP = "small-for-parts"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A localiser and a CLIP that are made in a blink."""
    options = replace(SMALL, audio_channels=128)
    monkeypatch.setattr("model.localiser.ResNet", SmallResNet)
    monkeypatch.setattr("nodes.model.localiser_options", lambda config: options)
    file = tmp_path_factory.mktemp("clip") / f"{CLIP}.json"
    file.write_text(json.dumps(TINY))
    open_clip.add_model_config(file)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    del open_clip.factory._MODEL_CONFIGS[CLIP]


def configured(*settings: str) -> Config:
    about = (f"model.clip={CLIP}", "model.checkpoint=stand-in", "model.device=cpu", "vocabulary.cache_dir=")
    return load(model="r50", settings=[setting(text) for text in (*about, *settings)])


def test_a_configured_model_answers_for_a_clip_of_a_world(tmp_path: Path) -> None:
    world(tmp_path, "test", clips=1)
    clips = read_avsbench_ov(tmp_path, "test")
    parts = parts_of(
        configured("model.short_side=64", "tracks.sounding_on=0.1", "tracks.sounding_off=0.1"),
        clips.categories.base,
    )
    assert tuple(parts.words) == clips.categories.base
    assert {one.dtype for one in parts.localiser.parameters()} == {torch.float32}, (
        "auto would be another here"
    )
    for predictor in (Offline(parts), Streaming(parts)):
        answers = predictor(clips[0])
        assert len(answers) == 2
        names = {claim.name for answer in answers for claim in answer.claims}
        assert names
        assert names <= set(parts.words)


def test_settings_reach_their_parts() -> None:
    parts = parts_of(
        configured(
            "model.behaviour=reference",
            "model.audio_grid=clip",
            "model.short_side=100",
            "model.max_side=200",
            "model.precision=bfloat16",
            "tracks.nms_iou=0.7",
            "labels.looks_kept=3",
            "vocabulary.words=dog, tuba",
        )
    )
    assert (parts.live.selection, parts.live.silence_dbfs) == ("class-score", None)
    assert (parts.audio_grid, parts.short_side, parts.max_side) == ("clip", 100, 200)
    assert parts.regions.crop_anchor == "top-left"
    assert (parts.live.options.nms_iou, parts.labels.looks) == (0.7, 3)
    assert tuple(parts.words) == ("dog", "tuba")
    assert parts.localiser.pixel_decoder.level_embed.dtype == torch.bfloat16


def test_another_hop_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"source\.hop_s: found 0\.5, expected 1\.0: clips have a frame a second"
    ):
        parts_of(configured("source.hop_s=0.5"))
