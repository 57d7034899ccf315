"""All scores together, on worlds and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.data.avsbench_ov import read_avsbench_ov
from model.data.categories import Categories
from model.data.clips import ClipSet
from model.evaluation.answers import Answer
from model.evaluation.scores import Scorer
from model.metrics import m_f, m_j
from model.world.categories import catalogue
from model.world.clip import Clip as WorldClip
from tests.model.data.laid_out import world
from tests.model.evaluation.hand_made import ANIMALS, DOG, HARP, SIZE, Perfect, claims, clip, empty

KEYS = {
    *("j", "j_base", "j_novel", "miou", "miou_base", "miou_novel", "miou_foreground", "harmonic"),
    *("dropped_classes", "sounding_recall", "sounding_recall_base", "sounding_recall_novel"),
    *("silent_covered", "silent_covered_base", "silent_covered_novel", "silent_covered_other"),
    *("false_sounding_silence", "false_sounding_offscreen"),
    *("j_sound_off", "j_sound_off_base", "j_sound_off_novel"),
    *("j_sound_shuffled", "j_sound_shuffled_base", "j_sound_shuffled_novel"),
    *("m_j", "m_f", "clips", "frames"),
}
LEFT, RIGHT = "##.... ##.... ...... ......", "....## ....## ....## ......"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    """A world with everything that is measured in it, of 224 x 224 pixels: at the size of the published
    scores no rounding spoils a perfect answer."""
    root = tmp_path_factory.mktemp("world")
    wanted = [
        lambda clip: (clip.scene.turns.offscreen & ~clip.sounding.any(axis=0)).any(),
        lambda clip: clip.silent_seconds.any(),
        lambda clip: (
            at_some_time(clip, "base", clip.sounding) and at_some_time(clip, "other", ~clip.sounding)
        ),
        lambda clip: at_some_time(clip, "novel", clip.sounding),
        lambda clip: at_some_time(clip, "base", ~clip.sounding),
        lambda clip: at_some_time(clip, "novel", ~clip.sounding),
    ]
    world(root, "test", clips=6, side=224, first=wanted)
    return read_avsbench_ov(root, "test")


def at_some_time(clip: WorldClip, split: str, so: np.ndarray) -> bool:
    """Whether a thing of a split is so in some second in which it can be seen."""
    known = catalogue().categories
    splits = [known[thing.name].split if thing.name in known else "other" for thing in clip.scene.things]
    there = so & clip.visible.any(axis=(2, 3))
    return bool(there[[one == split for one in splits]].any())


def scored(clips: ClipSet, predictor: object) -> Scorer:
    scorer = Scorer(clips.categories, "avsbench-ov")
    for one in clips:
        scorer.add(one, predictor(one))  # type: ignore[operator]
    return scorer


def test_who_says_the_truth_scores_1(mixed: ClipSet) -> None:
    scorer = scored(mixed, Perfect(mixed.categories))
    figures = scorer.figures()
    for key in ("j", "j_base", "j_novel", "sounding_recall", "miou", "miou_base", "miou_novel", "harmonic"):
        assert figures[key] == 1.0, key
    for key in ("silent_covered", "silent_covered_base", "silent_covered_novel", "silent_covered_other"):
        assert figures[key] == 0.0, key
    assert figures["false_sounding_silence"] == figures["false_sounding_offscreen"] == 0.0
    assert (figures["clips"], figures["frames"]) == (6, 12)
    names = {one.name for one in scorer.classes() if one.iou is not None}
    assert names == {mixed.categories.names[id_] for one in mixed for id_ in one.category_ids}
    assert figures["dropped_classes"] == 85 - len(names) - 1


def test_who_says_nothing_finds_nothing_and_is_never_wrong(mixed: ClipSet) -> None:
    figures = scored(mixed, empty).figures()
    for key in ("j", "j_base", "j_novel", "sounding_recall", "miou_base", "miou_novel", "harmonic"):
        assert figures[key] == 0.0, key
    assert figures["silent_covered"] == figures["false_sounding_silence"] == 0.0
    assert figures["false_sounding_offscreen"] == 0.0
    miou, dropped = float(figures["miou"] or 0), int(figures["dropped_classes"] or 0)
    assert 0.5 < miou * (85 - dropped) < 1, "the background alone is right, and not wholly"


def test_the_same_keys_whatever_is_known(mixed: ClipSet) -> None:
    assert scored(mixed, empty).figures().keys() == KEYS
    nothing = Scorer(ANIMALS, "s4")
    assert nothing.figures() == dict.fromkeys(KEYS) | {"clips": 0, "frames": 0}


def test_a_split_that_the_truth_does_not_hold_has_no_mean() -> None:
    scorer = Scorer(ANIMALS, "avsbench-ov")
    scorer.add(clip([(DOG, [LEFT])]), [claims(LEFT, RIGHT, names=("dog", "harp"))])
    figures = scorer.figures()
    assert figures["miou_base"] == pytest.approx(1.0, abs=0.05)
    assert figures["miou_novel"] is figures["harmonic"] is figures["j_novel"] is None
    assert figures["miou_foreground"] == pytest.approx(0.5, abs=0.03), "but the harp that is none counts as 0"
    assert [(one.name, one.split, one.frames, one.iou) for one in scorer.classes()] == [
        ("dog", "base", 1, figures["miou_base"]),
        ("cat", "base", 0, None),
        ("harp", "novel", 0, 0.0),
    ]


def test_wrong_sounds_are_scored_apart() -> None:
    scorer = Scorer(ANIMALS, "avsbench-ov")
    both = clip([(DOG, [LEFT]), (HARP, [RIGHT])])
    scorer.add(both, [claims(LEFT, RIGHT)])
    scorer.add_off(both, [claims()])
    scorer.add_shuffled(both, [claims(RIGHT)])
    figures = scorer.figures()
    assert (figures["j_base"], figures["j_novel"]) == (1.0, 1.0)
    assert (figures["j_sound_off_base"], figures["j_sound_off_novel"]) == (0.0, 0.0)
    assert (figures["j_sound_shuffled_base"], figures["j_sound_shuffled_novel"]) == (0.0, 1.0)
    assert figures["clips"] == figures["frames"] == 1


@pytest.mark.parametrize("layout", ["s4", "ms3"])
def test_videos_without_names_have_m_j_and_m_f_by_video(layout: str) -> None:
    categories = Categories({"sounding": 1}, ("sounding",), ())
    scorer = Scorer(categories, layout)  # type: ignore[arg-type]
    expected = []
    for seed in range(3):
        soft = np.random.default_rng(seed).uniform(0, 1, (3, *SIZE)).astype(np.float32)
        video = clip(
            [(1, [LEFT, RIGHT, "...... ...... ...... ......"])], frames=3, supervised=[True, True, False]
        )
        scorer.add(video, [Answer((), probability) for probability in soft])
        expected.append((m_j(soft[:2], video.masks[0, :2]), m_f(soft[:2], video.masks[0, :2])))
    figures = scorer.figures()
    assert (figures["m_j"], figures["m_f"]) == pytest.approx(tuple(np.mean(expected, axis=0)))
    assert figures["miou"] is figures["dropped_classes"] is None
    assert scorer.classes() == []


def test_truth_and_answer_are_brought_to_224_by_the_published_rules() -> None:
    """From 6 to 224 columns: the truth by centres, the answer by corners; an edge may lie a pixel apart."""
    scorer = Scorer(ANIMALS, "avsbench-ov")
    scorer.add(clip([(DOG, [LEFT])]), [claims(LEFT, names=("dog",))])
    rows, columns = 112, 75  # of 4 rows 2, of 6 columns 2: 74.67
    assert scorer.labels.confusion.sum() == 224 * 224
    assert scorer.labels.confusion[0, DOG] + scorer.labels.confusion[DOG, DOG] == rows * columns


def test_known_places(tmp_path: Path) -> None:
    """A world's classes keep AVSBench's numbers; its own go on from there."""
    world(tmp_path, "test", clips=1, seconds=1)
    scorer = Scorer(read_avsbench_ov(tmp_path, "test").categories, "avsbench-ov")
    assert scorer.labels.classes == 85
    assert [one.name for one in scorer.classes()][0::69][:2] == ["accordion", "woman"]
