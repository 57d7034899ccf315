from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from model import avsbench_ov
from model.data.categories import read_categories
from model.errors import ModelError
from model.world.categories import catalogue
from tests.model.data.laid_out import save_text, world

LABELS = "AVSBench-semantic/label2idx.json"


def test_without_files_of_their_own_sets_have_avsbenchs_categories(tmp_path: Path) -> None:
    categories = read_categories(tmp_path)
    assert categories.ids == avsbench_ov.IDS
    assert (categories.base, categories.novel) == (avsbench_ov.BASE, avsbench_ov.NOVEL)
    assert categories.classes == 71
    assert categories.base_ids == avsbench_ov.BASE_IDS
    assert categories.novel_ids == avsbench_ov.NOVEL_IDS


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_copies_that_are_shifted_by_one_are_gone_by_name(tmp_path: Path, shift: int) -> None:
    table = {name: id_ + shift for name, id_ in avsbench_ov.IDS.items()}
    background = {"background": 0} if shift >= 0 else {}
    save_text(tmp_path / LABELS, json.dumps({**background, **table}))
    assert read_categories(tmp_path).ids == avsbench_ov.IDS


def test_a_world_has_names_and_numbers_of_its_own(tmp_path: Path) -> None:
    world(tmp_path, "val", clips=1)
    categories = read_categories(tmp_path)
    assert categories.classes == 85
    assert {"background": 0, **categories.ids} == catalogue().label_ids
    assert categories.base == tuple(category.name for category in catalogue().of_split("base"))
    assert categories.novel == tuple(category.name for category in catalogue().of_split("novel"))
    assert all(categories.names[id_] == name for name, id_ in categories.ids.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dog": "21"}, r"label2idx\.json: dog: found a string, expected a whole number"),
        ({"dog": None}, r"label2idx\.json: dog: found nothing, expected a whole number"),
        ({"dog": 3}, r"label2idx\.json: dog: found 3, expected 17"),
        ({"owl": 17}, r"label2idx\.json: owl: found 17, as dog has, expected a number of its own"),
        ({"owl": 256}, r"label2idx\.json: owl: found 256, expected a number of its own, up to 255"),
    ],
)
def test_numbers_that_contradict_avsbenchs_are_told(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    save_text(tmp_path / LABELS, json.dumps({**avsbench_ov.IDS, **change}))
    with pytest.raises(ModelError, match=message):
        read_categories(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"world\.json: is not JSON"),
        ("[]", r"world\.json: found a list, expected an object"),
        ('{"base": ["dog"]}', r"world\.json: novel: found nothing, expected a list"),
        ('{"base": ["dog"], "novel": ["owl"]}', r"world\.json: found category 'owl', expected one that"),
        ('{"base": ["dog"], "novel": ["dog"]}', r"world\.json: found 'dog' in both base and novel"),
        ('{"base": [["dog"]], "novel": []}', r"world\.json: found category \['dog'\], expected one that"),
    ],
)
def test_a_world_that_contradicts_itself_is_told(tmp_path: Path, text: str, message: str) -> None:
    save_text(tmp_path / "world.json", text)
    with pytest.raises(ModelError, match=message):
        read_categories(tmp_path)
