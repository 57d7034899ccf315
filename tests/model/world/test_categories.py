from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest

from model import avsbench_ov
from model.errors import ModelError
from model.world.categories import catalogue


def test_there_are_enough_categories_in_the_papers_proportion_and_hundreds_of_silent_things() -> None:
    base, novel = catalogue().of_split("base"), catalogue().of_split("novel")
    assert len(base) + len(novel) >= 48
    assert Fraction(len(base), len(novel)) == Fraction(len(avsbench_ov.BASE), len(avsbench_ov.NOVEL))
    assert len(catalogue().silent) >= 300
    assert {category.name for category in base} <= set(avsbench_ov.BASE)
    assert not {category.name for category in novel} & set(avsbench_ov.BASE)


def test_no_emoji_stands_for_two_things() -> None:
    shared = [emoji for emoji, times in Counter(catalogue().emoji).items() if times > 1]
    assert not shared


def test_labels_are_avsbenchs_own_and_those_of_other_things_lie_behind_them() -> None:
    ids = catalogue().label_ids
    assert ids["background"] == 0
    assert {name: ids[name] for name in avsbench_ov.IDS} == avsbench_ov.IDS
    others = [id_ for name, id_ in ids.items() if name not in avsbench_ov.IDS and id_]
    assert sorted(others) == list(range(71, 71 + len(others)))


def test_a_split_of_another_name_is_refused() -> None:
    with pytest.raises(ModelError, match="split: found 'old', expected base, novel, mixed"):
        catalogue().of_split("old")
