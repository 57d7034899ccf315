"""A snippet becomes the model's picture and what it hears."""

from __future__ import annotations

import random
from dataclasses import fields
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from model.checkpoint import StandInWeights
from model.level import SILENCE_DBFS
from model.options import AudioGrid
from model.pictures import model_size, resized
from model.vggish import VGGish, clip_examples, second_examples
from nodes.feature import FeatureStage
from streaming.config import Config, load, setting
from streaming.errors import UserError
from streaming.messages import Features, Message, Snippet, decode, encode
from tests.nodes.samples import NS, SAMPLES, end, noise, preview, snippet

SOUND = np.random.default_rng(0).uniform(-0.5, 0.5, 12 * SAMPLES).astype(np.float32)


class Ear(nn.Module):
    """In place of VGGish: the embedding is the log-mel example itself, so that a test can see it."""

    def forward(self, examples: Tensor) -> Tensor:
        return examples.flatten(1)


def stage_of(grid: AudioGrid = "second", **changes: Any) -> FeatureStage:
    options = {"short_side": 12, "max_side": 40, "window": 5, "hop_s": 1.0, "grid": grid} | changes
    return FeatureStage(cast(VGGish, Ear()), **options)


def heard(stage: FeatureStage, first: int = 0, count: int = 7, hop_s: float = 1.0, **changes: Any) -> Tensor:
    """What the stage hears in snippets of `SOUND`: (count, 96, 64)."""
    examples = []
    for seq in range(first, first + count):
        start = round(seq * hop_s * SAMPLES)
        audio = SOUND[start : start + SAMPLES]
        examples.append(torch.from_numpy(one(stage, snippet(seq, audio=audio, **changes)).audio_embedding))
    return torch.stack(examples).view(-1, 96, 64)


def one(stage: FeatureStage, message: Message) -> Features:
    (found,) = stage.process(message)
    assert isinstance(found, Features)
    return found


# The picture ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ((360, 480), (360, 480)),
        ((1080, 1920), (360, 640)),
        ((1920, 1080), (640, 360)),
        ((720, 720), (360, 360)),
        ((24, 32), (360, 480)),
        ((100, 1000), (133, 1333)),  # the longer side decides
        ((1000, 100), (1333, 133)),
        ((117, 774), (201, 1333)),  # in one step it would be 202
        ((1, 8192), (1, 1333)),  # a line stays a line
        ((8192, 2), (1333, 1)),
    ],
)
def test_the_size_of_the_models_picture(frame: tuple[int, int], expected: tuple[int, int]) -> None:
    assert model_size(frame, 360, 1333) == expected


def test_any_picture_keeps_its_proportions_to_half_a_pixel() -> None:
    draw = random.Random(0)
    for _ in range(5000):
        sides = draw.randint(1, 4096), draw.randint(1, 4096)
        short = draw.choice((240, 360, 480))
        scale = min(Fraction(short, min(sides)), Fraction(1333, max(sides)))
        for found, side in zip(model_size(sides, short, 1333), sides, strict=True):
            assert found == 1 or abs(found - scale * side) <= Fraction(1, 2)


@pytest.mark.parametrize("size", [(30, 50), (91, 53), (7, 200)])
def test_resizing_is_bilinear_with_support_on_bytes(size: tuple[int, int]) -> None:
    frame = noise(0, 60, 90, 3)
    found = resized(frame, size)
    assert found.dtype == np.uint8
    assert np.array_equal(
        found, np.asarray(Image.fromarray(frame).resize((size[1], size[0]), Image.Resampling.BILINEAR))
    )
    # Written out: triangles as wide as a pixel of the smaller picture, one axis after the other.
    rows, columns = triangles(60, size[0]), triangles(90, size[1])
    exact = np.einsum("yY,xX,YXc->yxc", rows, columns, frame.astype(np.float64))
    assert np.abs(found - exact).max() <= 1.01  # each axis rounds to a byte


def triangles(old: int, new: int) -> np.ndarray:
    """Weights (new, old) of linear interpolation that averages where it shrinks."""
    scale = max(1.0, old / new)
    centres = (np.arange(new) + 0.5) * old / new
    weights = 1 - np.abs(np.arange(old) + 0.5 - centres[:, None]) / scale
    weights = weights.clip(0)
    return weights / weights.sum(axis=1, keepdims=True)


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    frame = noise(0, 60, 180, 3)[:, ::2]
    found = resized(frame, (60, 90))
    assert np.array_equal(found, frame)
    assert found.flags.c_contiguous


# The sound ------------------------------------------------------------------------------------------------


def test_each_snippet_hears_its_own_second() -> None:
    found = heard(stage_of("second"))
    expected = torch.stack([second_examples(torch.from_numpy(s)) for s in SOUND.reshape(-1, SAMPLES)[:7]])
    assert torch.equal(found, expected)


def test_on_the_clips_grid_snippets_hear_what_whole_clips_are_cut_into() -> None:
    found = heard(stage_of("clip"), count=10)
    wave = torch.from_numpy(SOUND)
    expected = [clip_examples(wave[first * SAMPLES : (first + 5) * SAMPLES], 5) for first in (0, 5)]
    torch.testing.assert_close(found, torch.cat(expected))
    assert not torch.allclose(found, heard(stage_of("second"), count=10))


def test_at_half_second_hops_the_grids_of_both_halves_run_side_by_side() -> None:
    found = heard(stage_of("clip", hop_s=0.5), count=10, hop_s=0.5)
    wave = torch.from_numpy(SOUND)
    half = SAMPLES // 2
    torch.testing.assert_close(found[0::2], clip_examples(wave[: 5 * SAMPLES], 5))
    torch.testing.assert_close(found[1::2], clip_examples(wave[half : half + 5 * SAMPLES], 5))


def test_a_new_generation_begins_a_new_clip() -> None:
    stage = stage_of("clip")
    heard(stage, count=3)
    stage.forget("cam")
    torch.testing.assert_close(
        heard(stage, first=3, count=5, generation=1),
        clip_examples(torch.from_numpy(SOUND[3 * SAMPLES : 8 * SAMPLES]), 5),
    )


def test_a_snippet_that_was_dropped_begins_a_new_clip() -> None:
    stage = stage_of("clip")
    heard(stage, count=3)
    torch.testing.assert_close(
        heard(stage, first=5, count=5), clip_examples(torch.from_numpy(SOUND[5 * SAMPLES : 10 * SAMPLES]), 5)
    )


def test_each_source_has_a_grid_of_its_own() -> None:
    stage = stage_of("clip")
    heard(stage, count=3)
    torch.testing.assert_close(
        heard(stage, count=5, source="other"), clip_examples(torch.from_numpy(SOUND[: 5 * SAMPLES]), 5)
    )


# The message ----------------------------------------------------------------------------------------------


def test_everything_else_is_passed_on() -> None:
    message = snippet(3, generation=2, gap=True, has_audio=False, audio=np.zeros(SAMPLES, np.float32))
    found = one(stage_of(), message)
    for shared in fields(Message):
        if shared.name != "stage_ms":
            assert getattr(found, shared.name) == getattr(message, shared.name)
    assert found.stage_ms.keys() == {"capture", "feature"}
    assert found.stage_ms["feature"] > 0
    assert (found.frame_t_ns, found.has_audio) == (message.frame_t_ns, False)
    assert found.frame_size == (24, 32)
    assert found.image.shape == (12, 16, 3)
    assert found.audio_dbfs == SILENCE_DBFS
    assert decode(encode(found)) == found


def test_a_portrait_picture_stays_one() -> None:
    found = one(stage_of(), snippet(0, frame=noise(0, 90, 30, 3)))
    assert found.frame_size == (90, 30)
    assert found.image.shape == (36, 12, 3)


def test_a_picture_that_came_over_a_link_is_read_only_and_does(recwarn: pytest.WarningsRecorder) -> None:
    arrived = decode(encode(snippet(0, frame=noise(0, 12, 16, 3))))
    assert isinstance(arrived, Snippet)
    assert not arrived.audio.flags.writeable
    assert np.array_equal(one(stage_of(), arrived).image, arrived.frame)
    assert not recwarn.list  # torch warns of arrays that it must not write to


def test_only_snippets_are_taken() -> None:
    stage = stage_of()
    assert [*stage.process(end(0)), *stage.process(preview(0, [b"j"]))] == []
    assert stage.stats()["snippets"] == 0
    with pytest.raises(UserError, match="feature node knows no request 'dance'"):
        stage.request("dance", {})


@pytest.mark.slow
def test_as_configured_it_hears_with_vggish() -> None:
    config: Config = load(
        model="r50", settings=[setting("model.short_side=64"), setting("model.audio_grid=clip")]
    )
    stage = FeatureStage.from_config(config, StandInWeights())
    found = one(stage, snippet(0, audio=SOUND[:SAMPLES], t_ns=NS))
    with torch.inference_mode():
        expected = stage.audio_encoder(clip_examples(torch.from_numpy(SOUND[:SAMPLES]), 1))[0]
    assert stage.grid == "clip"
    assert found.image.shape == (64, 85, 3)
    assert found.audio_embedding.shape == (128,)
    assert np.allclose(found.audio_embedding, expected.numpy(), atol=1e-5)
    assert found.audio_embedding.min() >= 0 < found.audio_embedding.max()
