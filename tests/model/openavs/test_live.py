"""The chain over a stream, with eyes that see what they are told to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from model.masks import frame_masks
from model.openavs.live import Heard, LiveOpenAvs
from model.openavs.rules import Rules
from model.openavs.table import Table
from model.tracks import TrackOptions
from tests.model.openavs.fakes import Eyes, picture

NS = 1_000_000_000
LEFT, RIGHT = (slice(8, 40), slice(4, 36)), (slice(8, 40), slice(56, 88))
TRACKS = TrackOptions(sounding_on=0.0, sounding_off=0.0)


def chain(most_silent: int = 0) -> LiveOpenAvs:
    return LiveOpenAvs(Table(), Eyes(), Rules(mean_s=1.0), TRACKS, most_silent=most_silent)


def heard(seq: int, image: np.ndarray, **changes: object) -> Heard:
    whole = Heard("cam", 0, seq, seq * NS, image, {"Bark": 0.8}, -20.0)
    return replace(whole, **changes)  # type: ignore[arg-type]


def test_the_mask_of_what_is_heard_is_where_it_is_seen() -> None:
    image = picture(dog=LEFT, cat=RIGHT)
    step = chain().step(heard(0, image))
    (dog,) = step.found
    assert (dog.noun, dog.new, step.offscreen_text) == ("dog", True, None)
    assert abs(dog.score - 0.8) < 1e-6
    masks = frame_masks(step.mask_logits.astype(np.float16), (64, 96), (64, 96), (64, 96))
    assert np.array_equal(masks[0], image[..., 0] == Eyes.values["dog"])


def test_an_object_keeps_its_identity_while_it_moves_falls_silent_and_comes_back() -> None:
    live = chain()
    places = [LEFT, (slice(8, 40), slice(12, 44)), LEFT, RIGHT]
    sounds = [{"Bark": 0.8}, {"Bark": 0.8}, {"Wind": 0.8}, {"Bark": 0.8}]
    steps = [
        live.step(heard(seq, picture(dog=place), sounds=sound))
        for seq, (place, sound) in enumerate(zip(places, sounds, strict=True))
    ]
    assert [[one.track_id for one in step.found] for step in steps] == [[1], [1], [], [1]]


def test_two_kinds_are_two_objects() -> None:
    step = chain().step(heard(0, picture(dog=LEFT, cat=RIGHT), sounds={"Bark": 0.8, "Meow": 0.5}))
    assert {(one.noun, one.track_id) for one in step.found} == {("dog", 1), ("cat", 2)}
    assert step.mask_logits.shape == (2, 32, 48)


def test_a_sound_without_a_source_in_sight_is_told_as_text() -> None:
    step = chain().step(heard(0, picture(cat=LEFT)))
    assert (step.found, step.offscreen_text, len(step.mask_logits)) == ([], "bark", 0)


def test_in_silence_nobody_looks_and_nothing_is_told() -> None:
    live = chain()
    step = live.step(heard(0, picture(dog=LEFT), audio_dbfs=-90.0))
    assert (step.found, step.offscreen_text) == ([], None)
    assert isinstance(live.eyes, Eyes)
    assert live.eyes.looks == 0


def test_what_is_seen_and_silent_is_told_where_it_is_wanted() -> None:
    image = picture(dog=LEFT, cat=(slice(0, 4), slice(90, 96)), person=RIGHT)
    step = chain(most_silent=1).step(heard(0, image))
    assert step.silent == ["person"]
    assert step.silent_logits.shape == (1, 32, 48)


def test_a_new_generation_knows_nothing_of_the_old_but_counts_on() -> None:
    live = chain()
    live.step(heard(0, picture(dog=LEFT)))
    (dog,) = live.step(heard(1, picture(dog=LEFT), generation=1)).found
    assert (dog.track_id, dog.new) == (2, True)


def test_sources_are_strangers_to_each_other() -> None:
    live = chain()
    live.step(heard(0, picture(dog=LEFT), audio_dbfs=0.0))
    other = live.step(heard(0, picture(dog=LEFT), source="other", audio_dbfs=-40.0))
    assert [one.track_id for one in other.found] == [1]
