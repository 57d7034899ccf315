"""The loop: which clip is heard with which sound, by whom, in which sets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.data.avsbench_ov import read_avsbench_ov
from model.data.clips import Clip, ClipSet
from model.errors import ModelError
from model.evaluation.answers import Answer
from model.evaluation.evaluate import evaluate, partner, thinned
from tests.model.data.laid_out import world
from tests.model.evaluation.hand_made import Perfect, empty


class Notes:
    """Writes down what it is asked, and says nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool, np.ndarray]] = []

    def __call__(self, clip: Clip, *, bare: bool = False) -> list[Answer]:
        self.asked.append((clip.uid, bare, clip.sound))
        return empty(clip)


@pytest.fixture
def clips(tmp_path: Path) -> ClipSet:
    world(tmp_path, "test", clips=4)
    return read_avsbench_ov(tmp_path, "test")


def test_each_clip_is_heard_with_its_sound_with_none_and_with_anothers(clips: ClipSet) -> None:
    notes = Notes()
    evaluate([clips], {"offline": notes})
    sounds = {clip.uid: clip.sound for clip in clips}
    uids = [clip.uid for clip in clips]
    assert [(uid, bare) for uid, bare, _ in notes.asked] == [
        (uid, bare) for uid in uids for bare in (False, True, True)
    ]
    for place, uid in enumerate(uids):
        own, off, shuffled = (sound for _, _, sound in notes.asked[3 * place : 3 * place + 3])
        np.testing.assert_array_equal(own, sounds[uid])
        assert off.shape == own.shape
        assert not off.any()
        np.testing.assert_array_equal(shuffled, sounds[uids[(place + 2) % 4]])


def test_without_controls_only_the_own_sound_is_heard(clips: ClipSet) -> None:
    notes = Notes()
    scorer = evaluate([clips], {"offline": notes}, controls=False)["offline"]
    assert [bare for _, bare, _ in notes.asked] == [False] * 4
    assert scorer.figures()["j_sound_off"] is scorer.figures()["j_sound_shuffled"] is None


@pytest.mark.parametrize("count", [2, 3, 4, 7, 10])
def test_nobody_is_given_their_own_sound_and_every_sound_is_given_once(count: int) -> None:
    partners = [partner(index, count) for index in range(count)]
    assert sorted(other for other in partners if other is not None) == list(range(count))
    assert all(other != index for index, other in enumerate(partners))


def test_a_single_clip_has_nobodys_sound_to_hear(clips: ClipSet) -> None:
    assert partner(0, 1) is None
    figures = evaluate([thinned(clips, 1)], {"offline": empty})["offline"].figures()
    assert figures["j_sound_shuffled"] is None
    assert figures["clips"] == 1


def test_sets_are_scored_together_but_sounds_stay_in_their_set(tmp_path: Path) -> None:
    for split in ("base", "novel"):
        world(tmp_path / split, "test", clips=2, split=split)
    sets = [read_avsbench_ov(tmp_path / split, "test") for split in ("base", "novel")]
    notes, perfect = Notes(), Perfect(sets[0].categories)
    scorers = evaluate(sets, {"notes": notes, "perfect": perfect})
    for own in sets:
        (one, other) = own
        given = [sound for uid, _, sound in notes.asked if uid == one.uid]
        np.testing.assert_array_equal(given[2], other.sound)
    figures = scorers["perfect"].figures()
    assert figures["j_base"] == figures["j_novel"] == 1.0
    assert (figures["clips"], figures["frames"]) == (4, 8)


def test_sets_with_other_categories_are_not_mixed(clips: ClipSet) -> None:
    names = clips.categories
    other = replace(clips, categories=replace(names, base=names.base[1:]))
    with pytest.raises(ModelError, match=r"different categories, .* evaluate them one at a time"):
        evaluate([clips, other], {"offline": empty})


def test_before_each_clip_what_was_kept_is_forgotten(clips: ClipSet) -> None:
    times = []
    evaluate([clips], {"a": empty, "b": empty}, forget=lambda: times.append(1))
    assert len(times) == 4


@pytest.mark.parametrize(
    ("count", "kept"),
    [(None, [0, 1, 2, 3]), (9, [0, 1, 2, 3]), (4, [0, 1, 2, 3]), (2, [0, 2]), (3, [0, 1, 2])],
)
def test_fewer_clips_are_spread_over_the_set(clips: ClipSet, count: int | None, kept: list[int]) -> None:
    uids = [files.uid for files in clips.files]
    assert [files.uid for files in thinned(clips, count).files] == [uids[place] for place in kept]


def test_the_same_again_is_the_same(clips: ClipSet) -> None:
    perfect = Perfect(clips.categories)
    one, other = (evaluate([clips], {"offline": perfect})["offline"].figures() for _ in range(2))
    assert one == other
