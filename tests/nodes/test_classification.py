"""Masks get names: in the user's words, cached per track; cut out and enlarged as published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from torch.nn import functional as F

from model.checkpoint import StandInWeights
from model.classifier import OpenVocabularyClassifier, probabilities
from model.crops import crop_objects
from model.errors import ModelError
from model.labels import LabelOptions
from model.masks import frame_masks
from model.options import ClassifierOptions, CropAnchor, Selection
from model.rle import decode_mask
from model.vocabulary import Vocabulary
from nodes import classification
from nodes.classification import ClassificationStage, best_pairs
from streaming.config import load, setting
from streaming.errors import UserError
from streaming.memory import Memory
from streaming.messages import Message, Result, SoundingMasks, decode, encode
from tests.nodes.samples import end, features, noise, sounding_masks

WORDS = ("dog", "violin", "bus")  # which this CLIP can hardly tell apart
PADDED, IMAGE, FRAME = (64, 96), (56, 84), (112, 170)
SURE = LabelOptions(sure_probability=0.0, max_age=1000)  # one look is enough
TINY: dict[str, Any] = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenVocabularyClassifier]:
    """A CLIP of one layer, known to open_clip as `tiny`."""
    file = tmp_path_factory.mktemp("clip") / "tiny.json"
    file.write_text(json.dumps(TINY))
    open_clip.add_model_config(file)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield OpenVocabularyClassifier("tiny", StandInWeights())
    torch.set_num_threads(threads)
    del open_clip.factory._MODEL_CONFIGS["tiny"]


def stage_of(
    classifier: OpenVocabularyClassifier,
    *words: str,
    labels: LabelOptions = SURE,
    anchor: CropAnchor = "centre",
    selection: Selection = "sounding",
    **changes: Any,
) -> ClassificationStage:
    return ClassificationStage(
        classifier,
        Vocabulary(words or WORDS),
        labels=labels,
        options=ClassifierOptions(clip="tiny", crop_anchor=anchor),
        selection=selection,
        **changes,
    )


def blobs(*places: tuple[float, float], height: int = 16, width: int = 24) -> np.ndarray:
    """Mask logits (N, height, width): smooth round blobs about each (y, x)."""
    y, x = np.mgrid[:height, :width]
    away = [np.hypot(y - cy, x - cx) for cy, cx in places]
    return np.array([4 - 1.5 * d for d in away], np.float32).reshape(-1, height, width)


def masks(seq: int = 0, *places: tuple[float, float], **changes: Any) -> SoundingMasks:
    """Objects at these places of a picture of 56 x 84, padded to 64 x 96, of a frame of 112 x 170."""
    about = {"image": noise(seq, *IMAGE, 3), "frame_size": FRAME, "window_fill": 3}
    return sounding_masks(seq, blobs(*places), list(range(1, len(places) + 1)), **(about | changes))


TWO = ((6.0, 7.0), (9.0, 16.0))


def one(stage: ClassificationStage, message: Message) -> Result:
    (found,) = stage.process(message)
    assert isinstance(found, Result)
    return found


# Silence --------------------------------------------------------------------------------------------------


def test_silent_objects_are_told_without_names_and_where_they_are(
    classifier: OpenVocabularyClassifier,
) -> None:
    told = {"candidate_logits": blobs(TWO[1]).astype(np.float16), "candidates": [{"sounding": 0.04}]}
    message = masks(0, TWO[0], **told)
    found = one(stage_of(classifier, candidates=True), message)
    other = one(stage_of(classifier), masks(0, TWO[1]))
    (quiet,), (same,) = found.candidates or [], other.tracks
    assert quiet == {"sounding": 0.04, "mask": same["mask"], "box": same["box"]}
    assert found.tracks == one(stage_of(classifier), masks(0, TWO[0])).tracks
    assert one(stage_of(classifier), message).candidates is None, "nobody asked for them"
    assert one(stage_of(classifier, candidates=True), masks(0, TWO[0])).candidates == []


# Names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("anchor", ["centre", "top-left"])
def test_labels_are_those_of_the_plain_recipe(
    classifier: OpenVocabularyClassifier, anchor: CropAnchor
) -> None:
    message = masks(0, *TWO)
    found = one(stage_of(classifier, anchor=anchor), message)
    logits = torch.from_numpy(message.mask_logits.astype(np.float32))
    soft = F.interpolate(logits[None], PADDED, mode="bilinear")[0].sigmoid()[:, :56, :84]
    image = torch.from_numpy(message.image).permute(2, 0, 1)[None]
    with torch.inference_mode():
        regions = crop_objects(image, soft, torch.zeros(2, dtype=torch.int64), anchor=anchor, size=32)
        expected = probabilities(classifier.encode_regions(regions), classifier.encode_words(WORDS))
    assert [track["id"] for track in found.tracks] == [1, 2]
    for track, p in zip(found.tracks, expected.tolist(), strict=True):
        best_first = sorted(zip(WORDS, p, strict=True), key=lambda pair: -pair[1])
        assert [label["name"] for label in track["labels"]] == [name for name, _ in best_first]
        assert [label["p"] for label in track["labels"]] == pytest.approx(
            [p for _, p in best_first], abs=6e-5
        )
        assert track["label"] == best_first[0][0]
        assert track["sounding"] == 0.9


def test_only_the_best_labels_are_told(classifier: OpenVocabularyClassifier) -> None:
    all_of_them = one(stage_of(classifier), masks(0, *TWO)).tracks
    best = one(stage_of(classifier, top_k=1), masks(0, *TWO)).tracks
    assert [track["labels"] for track in best] == [track["labels"][:1] for track in all_of_them]


def test_clip_sees_a_track_once_until_its_label_is_old(classifier: OpenVocabularyClassifier) -> None:
    stage = stage_of(classifier, labels=LabelOptions(sure_probability=0.0, max_age=4))
    names = []
    for seq in range(6):
        names.append([track["label"] for track in one(stage, masks(seq, *TWO)).tracks])
    stats = stage.stats()
    assert (stats["snippets"], stats["clip_calls"], stats["clip_calls_saved"]) == (6, 4, 8)
    assert names[0] == names[1] == names[2] == names[3]


def test_a_new_generation_is_looked_at_afresh(classifier: OpenVocabularyClassifier) -> None:
    stage = stage_of(classifier)
    one(stage, masks(0, *TWO))
    one(stage, masks(0, *TWO, source="other"))
    stage.forget("cam")
    one(stage, masks(1, *TWO, generation=1))
    one(stage, masks(1, *TWO, source="other"))
    assert stage.stats()["clip_calls"] == 6
    assert stage.stats()["clip_calls_saved"] == 2


# The vocabulary -------------------------------------------------------------------------------------------


def test_another_vocabulary_names_known_tracks_anew_without_a_look(
    classifier: OpenVocabularyClassifier,
) -> None:
    stage = stage_of(classifier)
    before = one(stage, masks(0, *TWO))
    assert before.vocabulary_revision == 1
    assert stage.request("vocabulary.get", {}) == {"revision": 1, "words": list(WORDS)}
    answer = stage.request("vocabulary.set", {"words": [" sheep ", "tuba", "Sheep"]})
    assert answer == {"revision": 2, "words": ["sheep", "tuba"]}
    after = one(stage, masks(1, *TWO))
    assert after.vocabulary_revision == 2
    for track in after.tracks:
        assert {label["name"] for label in track["labels"]} == {"sheep", "tuba"}
        assert sum(label["p"] for label in track["labels"]) == pytest.approx(1, abs=2e-4)
    assert stage.stats()["clip_calls"] == 2
    assert stage.stats()["vocabulary_revision"] == 2
    straight = one(stage_of(classifier, "sheep", "tuba"), masks(0, *TWO))
    assert [t["labels"] for t in after.tracks] == [t["labels"] for t in straight.tracks]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({}, "found NoneType, expected a list of words"),
        ({"words": "dog, cat"}, "found str, expected a list of words"),
        ({"words": ["dog", 7]}, "expected a list of words"),
        ({"words": []}, "no words found, expected at least one"),
        ({"words": ["dog", " "]}, "entry 2: found an empty word"),
        ({"words": ["a\x00b"]}, r"control character U\+0000"),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused_and_the_old_one_stays(
    classifier: OpenVocabularyClassifier, args: dict[str, Any], told: str
) -> None:
    stage = stage_of(classifier)
    with pytest.raises((UserError, ModelError), match=told):
        stage.request("vocabulary.set", args)
    assert stage.request("vocabulary.get", {}) == {"revision": 1, "words": list(WORDS)}
    assert {track["label"] for track in one(stage, masks(0, *TWO)).tracks} <= set(WORDS)


def test_other_requests_are_refused(classifier: OpenVocabularyClassifier) -> None:
    with pytest.raises(UserError, match="classification node knows no request 'dance'"):
        stage_of(classifier).request("dance", {})


# Where things are -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "frame"),
    [
        ((56, 84), (112, 170)),
        ((64, 84), (64, 84)),
        ((56, 96), (31, 47)),
        ((64, 96), (640, 959)),
    ],
)
def test_masks_are_enlarged_in_the_published_order(image: tuple[int, int], frame: tuple[int, int]) -> None:
    """To the padded size, padding off, to the frame's size; only then is it decided what is inside."""
    logits = np.random.default_rng(0).normal(0, 2, (3, 16, 24)).astype(np.float16)
    found = frame_masks(logits, PADDED, image, frame)
    padded = F.interpolate(torch.from_numpy(logits).float()[None], PADDED, mode="bilinear")
    cropped = padded[..., : image[0], : image[1]]
    expected = F.interpolate(cropped, frame, mode="bilinear")[0] > 0
    assert found.dtype == np.bool_
    assert np.array_equal(found, expected.numpy())
    if image != PADDED:  # with the padding left on, everything would be shifted and shrunk
        assert not np.array_equal(found, (F.interpolate(padded, frame, mode="bilinear")[0] > 0).numpy())


def test_mask_box_and_area_agree(classifier: OpenVocabularyClassifier) -> None:
    message = masks(0, *TWO)
    found = one(stage_of(classifier), message)
    expected = frame_masks(message.mask_logits, PADDED, IMAGE, FRAME)
    for track, mask in zip(found.tracks, expected, strict=True):
        assert track["mask"]["size"] == list(FRAME)
        assert np.array_equal(decode_mask(track["mask"]), mask)
        y, x = np.nonzero(mask)
        box = [x.min(), y.min(), x.max() - x.min() + 1, y.max() - y.min() + 1]
        assert track["box"] == box
        assert track["area"] == mask.sum()


def test_a_mask_lies_where_the_object_is_in_the_frame(classifier: OpenVocabularyClassifier) -> None:
    """A blob of 64 x 96 padded pixels at (26, 30): in the frame of twice the size, at twice that."""
    (track,) = one(stage_of(classifier), masks(0, (6.0, 7.0))).tracks
    x, y, width, height = track["box"]
    assert y + height / 2 == pytest.approx(4 * 6.5 * 2, abs=1.5)
    assert x + width / 2 == pytest.approx(4 * 7.5 * 170 / 84, abs=1.5)


def test_a_portrait_frame(classifier: OpenVocabularyClassifier) -> None:
    message = sounding_masks(
        0, blobs((7.0, 6.0), height=24, width=16), [5], image=noise(0, 84, 56, 3), frame_size=(170, 112)
    )
    (track,) = one(stage_of(classifier), message).tracks
    assert track["id"] == 5
    assert track["mask"]["size"] == [170, 112]
    assert track["box"][1] + track["box"][3] / 2 == pytest.approx(4 * 7.5 * 170 / 84, abs=1.5)


def test_an_object_that_lies_in_the_padding_alone_is_left_out(classifier: OpenVocabularyClassifier) -> None:
    stage = stage_of(classifier)
    found = one(stage, masks(0, (6.0, 7.0), (15.4, 23.4)))
    assert [track["id"] for track in found.tracks] == [1]
    assert stage.stats()["clip_calls"] == 1


# The result -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("has_audio", "audio_dbfs", "objects", "offscreen"),
    [
        (True, -20.0, 0, True),
        (True, -50.0, 0, True),
        (True, -50.1, 0, False),
        (True, -20.0, 1, False),
        (False, -20.0, 0, False),
        (False, -120.0, 0, False),
    ],
)
def test_sound_without_a_visible_source_is_offscreen(
    classifier: OpenVocabularyClassifier, has_audio: bool, audio_dbfs: float, objects: int, offscreen: bool
) -> None:
    message = masks(0, *TWO[:objects], has_audio=has_audio, audio_dbfs=audio_dbfs)
    found = one(stage_of(classifier), message)
    assert len(found.tracks) == objects
    assert found.offscreen is offscreen


def test_everything_else_is_passed_on(classifier: OpenVocabularyClassifier) -> None:
    message = masks(4, *TWO, generation=2, gap=True)
    found = one(stage_of(classifier), message)
    for shared in fields(Message):
        if shared.name != "stage_ms":
            assert getattr(found, shared.name) == getattr(message, shared.name)
    for name in ("frame_size", "frame_t_ns", "has_audio", "audio_dbfs", "window_fill"):
        assert getattr(found, name) == getattr(message, name)
    assert list(found.stage_ms) == ["capture", "classify"]
    assert decode(encode(found)) == found


def test_a_message_that_came_over_a_link_is_read_only_and_does(
    classifier: OpenVocabularyClassifier, recwarn: pytest.WarningsRecorder
) -> None:
    message = masks(0, *TWO)
    arrived = decode(encode(message))
    recwarn.clear()
    assert one(stage_of(classifier), arrived).tracks == one(stage_of(classifier), message).tracks
    assert not recwarn.list  # torch warns of arrays that it must not write to


def test_only_masks_are_taken(classifier: OpenVocabularyClassifier) -> None:
    stage = stage_of(classifier)
    assert [*stage.process(features(0)), *stage.process(end(0))] == []
    assert stage.stats()["snippets"] == 0


# As the published code decides ----------------------------------------------------------------------------


def named(id: int, *p: float) -> dict[str, Any]:
    return {"id": id, "labels": [{"name": f"word {i}", "p": one} for i, one in enumerate(p)]}


def test_the_best_ten_pairs_above_the_threshold_decide() -> None:
    unsure, sure, twice = named(1, 0.3, 0.3, 0.2), named(2, 0.9, 0.05), named(3, 0.5, 0.45)
    assert best_pairs([unsure, sure, twice]) == [sure, twice]
    assert best_pairs([]) == []


def test_a_query_with_two_good_words_takes_two_of_the_ten_places() -> None:
    twice = [named(id, 0.5, 0.45) for id in range(5)]
    once = named(9, 0.44, 0.4)
    assert best_pairs([once, *twice]) == twice
    assert best_pairs([once, *twice[:4]]) == [once, *twice[:4]]


def test_among_equals_the_first_ten_stay() -> None:
    equals = [named(id, 0.6) for id in range(14)]
    assert best_pairs(equals) == equals[:10]


def test_by_class_score_a_track_without_a_likely_word_is_left_out(
    classifier: OpenVocabularyClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = one(stage_of(classifier), masks(0, *TWO)).tracks
    best = [track["labels"][0]["p"] for track in everything]
    assert best[0] != best[1]
    monkeypatch.setattr(classification, "PAIR_THRESHOLD", sum(best) / 2)
    found = one(stage_of(classifier, selection="class-score"), masks(0, *TWO)).tracks
    assert found == [everything[int(np.argmax(best))]]


# As configured --------------------------------------------------------------------------------------------


def test_the_configuration_decides(classifier: OpenVocabularyClassifier) -> None:
    texts = (
        "model.clip=tiny",
        "model.device=cpu",
        "model.precision=float32",
        "model.behaviour=reference",
        "vocabulary.words=dog, tuba",
        "vocabulary.cache_dir=",
        "labels.top_k=1",
        "labels.max_age_s=3",
        "source.hop_s=0.5",
        "tracks.offscreen_dbfs=-33",
    )
    stage = ClassificationStage.from_config(
        load(settings=[setting(text) for text in texts]), StandInWeights()
    )
    assert stage.vocabulary.words == ("dog", "tuba")
    later = Memory(incarnation=2, vocabulary={"revision": 3, "words": ["cat", "harp"]})
    again = ClassificationStage.from_config(
        load(settings=[setting(text) for text in texts]), StandInWeights(), later
    )
    assert (again.vocabulary.words, again.vocabulary.revision) == (("cat", "harp"), 3)
    assert (stage.selection, stage.options.crop_anchor) == ("class-score", "top-left")
    assert stage.cache.options.max_age == 6
    found = one(stage, masks(0, audio_dbfs=-34.0))
    assert not found.offscreen
    assert one(stage, masks(1, audio_dbfs=-33.0)).offscreen
    assert all(len(track["labels"]) == 1 for track in one(stage, masks(2, *TWO)).tracks)


def test_second_classes_of_an_object_take_places_of_the_published_ten() -> None:
    crowded = [{"id": i, "labels": [{"name": "a", "p": 0.45}, {"name": "b", "p": 0.44}]} for i in range(5)]
    sixth = {"id": 5, "labels": [{"name": "a", "p": 0.43}]}
    assert [track["id"] for track in best_pairs([*crowded, sixth])] == list(range(5))
    assert [track["id"] for track in best_pairs([*crowded[:4], sixth])] == [0, 1, 2, 3, 5]
