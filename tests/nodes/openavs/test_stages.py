"""The three stages of OpenAVS, one behind the other, with ears and eyes that say what they are told to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.openavs.live import LiveOpenAvs
from model.openavs.rules import Rules
from model.openavs.table import Table
from model.rle import decode_mask
from model.vocabulary import Vocabulary
from nodes.openavs.calling import CallingStage
from nodes.openavs.hearing import HearingStage
from nodes.openavs.seeing import SeeingStage, rules_of, track_options
from streaming.config import load
from streaming.errors import UserError
from streaming.messages import Result, decode, encode
from streaming.results import checked_line, result_line, result_of
from tests.model.openavs.fakes import Ears, Eyes, picture
from tests.nodes.samples import end, snippet

CONFIG = load(model="edge")
LEFT, RIGHT = (slice(8, 40), slice(4, 36)), (slice(8, 40), slice(56, 88))


class Line:
    """Snippet in, result out, over the wire between all of them."""

    def __init__(self, sounds: dict[str, float], *words: str, candidates: int = 0) -> None:
        self.eyes = Eyes()
        live = LiveOpenAvs(Table(), self.eyes, Rules(), track_options(CONFIG), most_silent=candidates)
        self.seeing = SeeingStage(live)
        self.calling = CallingStage(Table(), Vocabulary(words), candidates=candidates > 0)
        self.stages = (HearingStage(Ears(sounds), short_side=64, max_side=96), self.seeing, self.calling)

    def __call__(self, seq: int, image: np.ndarray, **changes: object) -> Result:
        message = replace(snippet(seq, frame=image), **changes)
        for stage in self.stages:
            (message,) = stage.process(decode(encode(message)))
        assert isinstance(message, Result)
        return message


def test_a_dog_that_barks_is_a_result_in_the_users_word() -> None:
    image = picture(dog=LEFT, cat=RIGHT)
    result = Line({"Bark": 0.8}, "puppy", "violin")(0, image)
    (dog,) = result.tracks
    assert (dog["label"], dog["labels"], dog["id"]) == ("puppy", [{"name": "puppy", "p": 0.8}], 1)
    assert np.array_equal(decode_mask(dog["mask"]), image[..., 0] == Eyes.values["dog"])
    assert (result.offscreen, result.offscreen_text, result.candidates) == (False, None, None)


def test_an_offscreen_sound_has_its_text_in_the_line_of_results_and_only_then() -> None:
    line = Line({"Bark": 0.8}, "dog")
    unseen, seen = line(0, picture(cat=LEFT)), line(1, picture(dog=LEFT))
    assert (unseen.offscreen, unseen.offscreen_text) == (True, "bark")
    told = checked_line(result_line(unseen, wall_ns=10**9).encode())
    assert told["offscreen_text"] == "bark"
    assert result_of(told)[0].offscreen_text == "bark"
    assert "offscreen_text" not in checked_line(result_line(seen, wall_ns=10**9).encode())


def test_a_source_without_sound_yields_nothing() -> None:
    result = Line({"Bark": 0.8}, "dog")(
        0, picture(dog=LEFT), has_audio=False, audio=np.zeros(16_000, np.float32)
    )
    assert (result.tracks, result.offscreen, result.offscreen_text) == ([], False, None)


def test_silent_things_are_told_where_they_are_wanted() -> None:
    result = Line({"Bark": 0.8}, "dog", candidates=5)(0, picture(dog=LEFT, cat=RIGHT))
    assert result.candidates is not None
    (cat,) = result.candidates
    assert (cat["sounding"], cat["box"]) == (0.0, [56, 8, 32, 32])


def test_another_vocabulary_names_anew_at_once() -> None:
    line = Line({"Bark": 0.8}, "dog")
    assert line(0, picture(dog=LEFT)).tracks[0]["label"] == "dog"
    assert line.calling.request("vocabulary.set", {"words": ["hound"]}) == {"revision": 2, "words": ["hound"]}
    result = line(1, picture(dog=LEFT))
    assert (result.tracks[0]["label"], result.tracks[0]["id"], result.vocabulary_revision) == ("hound", 1, 2)
    with pytest.raises(UserError, match="expected a list of words"):
        line.calling.request("vocabulary.set", {"words": "hound"})


def test_an_end_lets_go_of_the_source() -> None:
    line = Line({"Bark": 0.8}, "dog")
    line(0, picture(dog=LEFT))
    assert list(line.seeing.process(end(1))) == []
    assert line(0, picture(dog=LEFT)).tracks[0]["id"] == 1


def test_the_preset_has_the_rules_that_the_chain_has() -> None:
    assert rules_of(CONFIG) == Rules(closer=1)
