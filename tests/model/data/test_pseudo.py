"""Which of a teacher's claims are learnt from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.data.avsbench_ov import read_avsbench_ov
from model.data.pseudo import Filter, joined, read_pseudo
from model.errors import ModelError
from tests.model.data.laid_out import edit, world
from tests.model.pseudo.claims import claimed_set, square

SURE = (0.9, 0.9, 0.9)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    dog, cat = (1, "dog", *SURE, square(1)), (2, "cat", *SURE, square(4))
    seconds = [
        [dog],
        [dog, (2, "cat", 0.4, 0.9, 0.9, square(4))],  # hardly sounds
        [dog, (2, "cat", 0.9, 0.9, 0.8, square(4))],  # hardly has an outline
        [],
        [dog, cat],
    ]
    return claimed_set(tmp_path / "claims", seconds, [[(1, "violin", *SURE, square(2))]])


def test_a_second_with_an_unsure_object_is_unknown_and_not_silent(root: Path) -> None:
    clips, left = read_pseudo(root, Filter())
    clip = clips[0]
    assert clip.supervised.tolist() == [True, False, False, True, True]
    assert [clips.categories.names[id_] for id_ in clip.category_ids] == ["dog", "cat"]
    dog, cat = clip.masks
    assert [frame.any() for frame in dog] == [True, False, False, False, True]
    assert np.array_equal(cat[4], square(4))
    assert (left.objects, left.unsure, left.novel) == (3, 2, 1)
    assert (left.unknown, left.seconds, left.clips_out, left.clips) == (3, 6, 1, 2)


def test_each_score_has_a_threshold_of_its_own(root: Path) -> None:
    def supervised(**options: float) -> list[bool]:
        return list(read_pseudo(root, Filter(**options))[0].files[0].supervised)  # type: ignore[arg-type]

    assert supervised(sounding=0.4) == [True, True, False, True, True]
    assert supervised(mask=0.8) == [True, False, True, True, True]
    assert supervised(label=0.95) == [False, False, False, True, False]
    assert supervised(empty=False) == [True, False, False, False, True]


def test_novel_categories_are_learnt_from_where_that_is_asked_for(root: Path) -> None:
    assert len(read_pseudo(root, Filter())[0]) == 1
    clips, left = read_pseudo(root, Filter(novel=True))
    assert [clip.classes for clip in clips] == [("cat", "dog"), ("violin",)]
    assert left.novel == 0


def test_what_leaves_nothing_or_does_not_say_how_sure_it_is_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing is left to learn from .* ask for less in data\.pseudo"):
        read_pseudo(root, Filter(sounding=0.95, empty=False))
    path = root / "AVSBench-openvoc" / "avsbench_ov_train_base.json"
    edit(path, lambda told: told["annotations"][0].pop("confidence"))
    with pytest.raises(ModelError, match=r"annotation 1: confidence\.sounding: found None, expected a score"):
        read_pseudo(root, Filter())
    with pytest.raises(
        ModelError, match=r"found no pseudo\.json, expected a set that `pseudo-label` has made"
    ):
        read_pseudo(tmp_path, Filter())


def test_beside_true_labels_claims_are_numbered_as_those_are(root: Path, tmp_path: Path) -> None:
    world(tmp_path / "world", "train", 2, split="base")
    true = read_avsbench_ov(tmp_path / "world", "train")
    both = joined(true, read_pseudo(root, Filter())[0])
    assert len(both) == 3
    assert [both.categories.names[id_] for id_ in both[2].category_ids] == ["dog", "cat"]
    assert both.categories.base == true.categories.base
