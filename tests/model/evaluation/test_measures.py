"""Each measure on pictures of 24 pixels, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from model.evaluation.answers import Answer
from model.evaluation.measures import BySplit, Covered, Mean, SoundingAndSilent, SoundingIoU, split_of
from tests.model.evaluation.hand_made import ANIMALS, CAT, DOG, HARP, SIZE, claims, clip, pixels

NOTHING = "...... ...... ...... ......"
LEFT = "##.... ##.... ...... ......"  # 4 pixels
RIGHT = "....## ....## ....## ......"  # 6 pixels


def values(measure: BySplit) -> tuple[float | None, float | None, float | None]:
    return measure.all.value, measure.of["base"].value, measure.of["novel"].value


def test_a_mean_of_nothing_is_none() -> None:
    mean = Mean()
    assert mean.value is None
    for hit in (True, False, False):
        mean.add(hit)
    assert mean.value == pytest.approx(1 / 3)


def test_claims_unite_and_the_best_is_on_top() -> None:
    answer = claims(LEFT, ".##... .##... ...... ......", names=("dog", "harp"), scores=(0.6, 0.8))
    assert answer.claimed.sum() == 6
    assert answer.probability.sum() == 6
    assert answer.label_map(ANIMALS.ids)[0].tolist() == [DOG, HARP, HARP, 0, 0, 0]
    assert not claims().claimed.any()
    assert not claims(LEFT).label_map(ANIMALS.ids).any(), "nobody named it"


def test_j_is_the_iou_of_all_that_sounds_over_frames_in_which_it_does() -> None:
    j = SoundingIoU(ANIMALS)
    two = clip([(DOG, [LEFT, LEFT, NOTHING]), (CAT, [RIGHT, NOTHING, NOTHING])], frames=3)
    # Half of the dog with 3 of the cat and 2 pixels beside; all and 2 beside; and one where nothing sounds.
    first = claims("#..... #..... ###... ......", ".....# ....#. ....## ......")
    j.add(two, [first, claims(LEFT, ".....# .....# ...... ......"), claims(LEFT)])
    covered, either = 2 + 4, 10 + 3
    assert values(j) == (pytest.approx((covered / either + 4 / 6) / 2), j.all.value, None)


def test_j_of_a_split_does_not_count_the_pixels_of_the_other() -> None:
    j = SoundingIoU(ANIMALS)
    mixed = clip([(DOG, [LEFT]), (HARP, [RIGHT])])
    j.add(mixed, [claims("##.... ...... ..#... ......", "....## ....#. ...... ......")])
    # 2 of the dog's 4, 3 of the harp's 6, and 1 that is nobody's.
    assert values(j) == pytest.approx((5 / 11, 2 / 5, 3 / 7))


def test_where_all_is_of_one_split_its_j_is_the_plain_one() -> None:
    for id_, split in ((DOG, "base"), (HARP, "novel")):
        j = SoundingIoU(ANIMALS)
        j.add(clip([(id_, [LEFT]), (id_, [RIGHT])]), [claims("###... ###... #..... ....##")])
        assert j.of[split].value == j.all.value == pytest.approx(4 / 15)
        assert len(j.of) == 1


def test_a_pixel_of_both_splits_counts_for_both() -> None:
    j = SoundingIoU(ANIMALS)
    j.add(clip([(DOG, [LEFT]), (HARP, ["#..... #..... #..... ......"])]), [claims(LEFT)])
    assert values(j) == pytest.approx((4 / 5, 4 / 4, 2 / 3))


def test_frames_without_known_truth_do_not_count() -> None:
    v1s = clip([(DOG, [LEFT, NOTHING])], frames=2, supervised=[True, False])
    j, heard = SoundingIoU(ANIMALS), SoundingAndSilent(ANIMALS)
    for measure in (j, heard):
        measure.add(v1s, [claims(LEFT), claims(RIGHT)])
    assert (j.all.value, j.all.count) == (1.0, 1)
    assert (heard.recall.all.value, heard.recall.all.count) == (1.0, 1)


def test_an_object_is_covered_by_more_than_half() -> None:
    covered = Covered(ANIMALS)
    objects = np.stack([pixels(LEFT), pixels(RIGHT), pixels(NOTHING)])
    names = ["dog", "harp", "cat"]
    covered.add(pixels("##.... ...... ...... ......") | pixels("....## ....## ...... ......"), objects, names)
    assert values(covered) == (0.5, 0.0, 1.0), "2 of 4 is half; 4 of 6 is more; the unseen is no object"
    covered.add(pixels("##.... #..... ...... ......"), objects[:1], names[:1])
    assert values(covered) == (pytest.approx(2 / 3), 0.5, 1.0)


def test_what_sounds_is_recalled_and_what_is_silent_is_not_claimed() -> None:
    scene = clip(
        [(DOG, [LEFT, NOTHING])],
        things=[
            ("dog", "x.", [LEFT, LEFT]),
            ("harp", "..", [RIGHT, RIGHT]),
            ("sofa", "..", [NOTHING, "...... ...... ...... ######"]),
        ],
        frames=2,
    )
    measure = SoundingAndSilent(ANIMALS)
    measure.add(scene, [claims(LEFT, RIGHT), claims("#####. ##.... ...... ######")])
    assert values(measure.recall) == (1.0, 1.0, None)
    # Silent and seen: the harp twice, the dog and the sofa in the second frame.
    assert measure.silent.of["novel"].value == 0.5
    assert measure.silent.of["base"].value == 1.0
    assert measure.silent.of["other"].value == 1.0
    assert measure.silent.all.value == 3 / 4


def test_claims_on_silence_and_on_what_is_out_of_sight_are_false() -> None:
    scene = clip(
        [(DOG, [LEFT, NOTHING, NOTHING, NOTHING, NOTHING])],
        things=[
            ("dog", "x....", [LEFT] * 5),
            ("cat", "....x", [RIGHT, RIGHT, RIGHT, RIGHT, NOTHING]),  # behind something, in the end
        ],
        offscreen="x.xx.",
        frames=5,
    )
    measure = SoundingAndSilent(ANIMALS)
    speck = claims("...... ...... ...... .....#")
    measure.add(scene, [speck, speck, speck, claims(), claims()])
    assert (measure.on_silence.value, measure.on_silence.count) == (1.0, 1)
    assert (measure.on_offscreen.value, measure.on_offscreen.count) == (pytest.approx(1 / 3), 3)
    measure.add(scene, [claims()] * 5)
    assert (measure.on_silence.value, measure.on_offscreen.value) == (0.5, pytest.approx(1 / 6))


def test_where_nobody_told_of_silent_things_nothing_is_said_of_them() -> None:
    measure = SoundingAndSilent(ANIMALS)
    measure.add(clip([(DOG, [LEFT])]), [Answer.of((), SIZE)])
    assert values(measure.recall) == (0.0, 0.0, None)
    assert values(measure.silent) == (None, None, None)
    assert measure.on_silence.value is measure.on_offscreen.value is None


@pytest.mark.parametrize(("name", "split"), [("cat", "base"), ("harp", "novel"), ("sofa", "other")])
def test_the_split_of_a_name(name: str, split: str) -> None:
    assert split_of(name, ANIMALS) == split
