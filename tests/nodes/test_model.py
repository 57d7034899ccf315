"""Features become sounding masks with identities, and the message says what its arrays hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, cast

import numpy as np
import pytest
import torch

from model.checkpoint import StandInWeights
from model.live import LiveLocaliser, Observed, Step
from model.localiser import Localiser
from model.options import LocaliserOptions
from model.tracks import Sighting, TrackOptions
from nodes.model import FLOAT16_MAX, ModelStage, localiser_options, track_options
from streaming.config import load, setting
from streaming.errors import UserError
from streaming.messages import Features, Message, SoundingMasks, decode, encode
from tests.model.small import HEIGHT, WIDTH, pictures, small_localiser, sounds
from tests.nodes.samples import NS, end, features, snippet

IMAGES, SOUNDS = pictures(12), sounds(12)
EASY = TrackOptions(sounding_on=0.1, sounding_off=0.1, min_area=0.0, nms_iou=0.9)  # stand-in weights are shy


@pytest.fixture(scope="module")
def localiser() -> Iterator[Localiser]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield small_localiser()
    torch.set_num_threads(threads)


@pytest.fixture
def stage(localiser: Localiser) -> ModelStage:
    return ModelStage(LiveLocaliser(localiser, EASY, "sounding", silence_dbfs=-70.0))


def seen(seq: int, **changes: Any) -> Features:
    """The features of the example pictures and sounds."""
    about = {
        "image": IMAGES[seq].permute(1, 2, 0).contiguous().numpy(),
        "audio_embedding": SOUNDS[seq].numpy(),
        "frame_size": (112, 168),
    }
    return features(seq, **(about | changes))


def one(stage: ModelStage, message: Message) -> SoundingMasks:
    (found,) = stage.process(message)
    assert isinstance(found, SoundingMasks)
    return found


def ids(found: SoundingMasks) -> list[int]:
    return [track["id"] for track in found.tracks]


def test_what_comes_out_holds_together_and_survives_the_way(stage: ModelStage) -> None:
    message = seen(0, generation=2, gap=True, audio_dbfs=-31.5)
    found = one(stage, message)
    assert found.tracks
    assert found.mask_logits.dtype == np.float16
    assert found.mask_logits.shape == (len(found.tracks), 16, 24)
    assert found.padded_size == (64, 96)
    assert np.array_equal(found.image, message.image)
    for shared in fields(Message):
        if shared.name != "stage_ms":
            assert getattr(found, shared.name) == getattr(message, shared.name)
    for name in ("frame_size", "frame_t_ns", "has_audio", "audio_dbfs"):
        assert getattr(found, name) == getattr(message, name)
    assert list(found.stage_ms) == ["capture", "feature", "observe", "decode", "track"]
    assert all(0.1 <= track["sounding"] <= 1 for track in found.tracks)
    assert decode(encode(found)) == found


def test_masks_and_scores_are_the_localisers(stage: ModelStage, localiser: Localiser) -> None:
    live = LiveLocaliser(localiser, EASY)
    for seq in range(6):
        found = one(stage, seen(seq))
        image, sound = IMAGES[seq].permute(1, 2, 0).numpy(), SOUNDS[seq].numpy()
        step = live.step(Observed("cam", 0, seq, seq * NS, image, sound))
        assert ids(found) == [sighting.track_id for sighting in step.sightings]
        scores = [track["sounding"] for track in found.tracks]
        assert scores == pytest.approx([sighting.score for sighting in step.sightings], abs=1e-4)
        assert np.allclose(found.mask_logits, step.mask_logits.numpy(), atol=0.05, rtol=1e-3)
    assert stage.stats() == {"snippets": 6, "objects": max(ids(found))}


def test_the_window_fills_and_a_new_generation_empties_it(stage: ModelStage) -> None:
    first = [one(stage, seen(seq)) for seq in range(6)]
    stage.forget("cam")
    second = [one(stage, seen(seq, generation=1)) for seq in range(6, 8)]
    assert [found.window_fill for found in [*first, *second]] == [1, 2, 3, 4, 5, 5, 1, 2]
    used = {id for found in first for id in ids(found)}
    later = {id for found in second for id in ids(found)}
    assert later
    assert min(later) > max(used)  # an id is never used twice in a run


def test_silence_has_no_masks(stage: ModelStage) -> None:
    assert one(stage, seen(0)).tracks
    quiet = one(stage, seen(1, audio_dbfs=-70.1))
    assert quiet.tracks == []
    assert quiet.mask_logits.shape == (0, 16, 24)
    assert quiet.window_fill == 2
    assert decode(encode(quiet)) == quiet


def test_a_source_without_sound_has_no_masks(stage: ModelStage) -> None:
    mute = one(stage, seen(0, has_audio=False, audio_dbfs=-120.0, audio_embedding=np.zeros(16, np.float32)))
    assert mute.tracks == []
    assert not mute.has_audio


def test_sources_keep_their_own_windows_and_ids(stage: ModelStage) -> None:
    one(stage, seen(0))
    one(stage, seen(1))
    other = one(stage, seen(0, source="other"))
    assert other.window_fill == 1
    assert ids(other)[0] == 1
    assert one(stage, seen(2)).window_fill == 3


def test_a_picture_of_another_shape_is_padded_as_it_needs(stage: ModelStage) -> None:
    tall = pictures(1, height=WIDTH, width=HEIGHT)[0].permute(1, 2, 0).contiguous().numpy()
    found = one(stage, seen(0, image=tall, frame_size=(168, 112)))
    assert found.padded_size == (96, 64)
    assert found.mask_logits.shape[1:] == (24, 16)
    assert decode(encode(found)) == found


def test_logits_too_large_for_half_precision_are_clipped_not_infinite() -> None:
    class Shouting:
        def steps(self, *_: Any) -> list[Step]:
            logits = torch.tensor([1e6, -1e6, 70_000.0, 3.5]).repeat(96).view(1, 16, 24)
            return [Step([Sighting(4, 0, 0.123456, True)], logits, 1, {"observe": 1.0})]

    found = one(ModelStage(cast(LiveLocaliser, Shouting())), seen(0))
    assert found.mask_logits.flatten().tolist()[:4] == [FLOAT16_MAX, -FLOAT16_MAX, FLOAT16_MAX, 3.5]
    assert found.tracks == [{"id": 4, "sounding": 0.1235}]
    assert decode(encode(found)) == found


def test_only_features_are_taken(stage: ModelStage) -> None:
    assert [*stage.process(snippet(0)), *stage.process(end(0))] == []
    assert stage.stats() == {"snippets": 0, "objects": 0}
    with pytest.raises(UserError, match="model node knows no request 'dance'"):
        stage.request("dance", {})


# As configured --------------------------------------------------------------------------------------------


def test_the_configuration_decides_the_network() -> None:
    texts = ("window=7", "fusion=add", "fusion_levels=one", "audio_prompt=concat-add")
    found = localiser_options(load(model="swinb", settings=[setting(f"model.{text}") for text in texts]))
    assert found == LocaliserOptions(
        backbone="swinb", window=7, fusion="add", fusion_levels="one", audio_prompt="concat-add"
    )
    assert localiser_options(load(model="r50")) == LocaliserOptions()


def test_the_configuration_decides_about_tracks() -> None:
    assert track_options(load(model="r50")) == TrackOptions()
    texts = ("tracks.sounding_on=0.7", "tracks.max_objects=3", "tracks.keep_s=4", "source.hop_s=0.5")
    found = track_options(load(model="r50", settings=[setting(text) for text in texts]))
    assert found == replace(TrackOptions(), sounding_on=0.7, max_objects=3, keep_snippets=8)


def test_features_of_several_sources_go_through_the_model_together(localiser: Localiser) -> None:
    calls: list[int] = []

    class Counting(LiveLocaliser):
        def steps(self, snippets: Any) -> list[Step]:
            calls.append(len(snippets))
            return super().steps(snippets)

    together = ModelStage(Counting(localiser, EASY), most_at_once=3)
    found = list(together.process_together([seen(0, source="a"), seen(1, source="b"), end(4, source="c")]))
    assert calls == [2]
    assert [(message.source, message.seq) for message in found] == [("a", 0), ("b", 1)]
    assert together.stats()["snippets"] == 2


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["model.device=cpu"], 1),
        (["model.device=cpu", "model.batch=4"], 3),
        (["model.device=cpu", "model.batch=2"], 2),
    ],
)
def test_no_more_are_taken_together_than_there_are_sources(texts: list[str], expected: int) -> None:
    sources = "sources=[" + ", ".join(f"{{id: {name}, uri: {name}.mp4}}" for name in "abc") + "]"
    small = ["model.backbone=tiny", "model.channels=32", "model.encoder_layers=1", "model.decoder_layers=1"]
    config = load(settings=[setting(text) for text in (sources, *small, *texts)])
    assert ModelStage.from_config(config, StandInWeights()).most_at_once == expected
