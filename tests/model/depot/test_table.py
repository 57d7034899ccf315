"""The table of weights: nothing in it is made up or out of reach of a check."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from open_clip.pretrained import get_pretrained_cfg

from model.depot.table import File, WeightSet, chosen, table
from model.errors import ModelError
from streaming.config import load

SETS = list(table().values())


@pytest.mark.parametrize("one", SETS, ids=lambda one: one.name)
def test_a_set_can_be_had_and_says_what_it_is(one: WeightSet) -> None:
    assert one.purpose
    assert one.licence
    assert one.files
    assert bool(one.by_hand) == any(file.address is None for file in one.files)
    for name in (one.name, *(file.name for file in one.files)):
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)
    for file in one.files:
        assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.bytes is None or file.sha256, "a size alone tells nothing of the content"
        if file.address:
            parts = urlsplit(file.address)
            assert parts.scheme == "https"
            assert parts.path.endswith("/" + file.name)
            assert not parts.query


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("clip-vit-b-16", "ViT-B-16-quickgelu"), ("clip-vit-l-14-336", "ViT-L-14-336-quickgelu")],
)
def test_of_clip_it_says_what_open_clip_says(name: str, architecture: str) -> None:
    (file,) = table()[name].files
    assert file.address == get_pretrained_cfg(architecture, "openai")["url"]
    assert file.sha256 is not None
    assert f"/{file.sha256}/" in file.address
    preset = {"clip-vit-b-16": "r50", "clip-vit-l-14-336": "swinb"}[name]
    assert load(model=preset).model.clip == architecture


def test_the_name_of_vggish_begins_its_sum() -> None:
    (file,) = table()["vggish"].files
    assert file.sha256 is not None
    assert file.name == f"vggish-{file.sha256[:8]}.pth"


def test_a_preset_means_all_that_it_needs() -> None:
    assert {one.name for one in chosen(["edge"], table())} >= {"yamnet", "deeplab"}
    assert [one.name for one in chosen(["r50"], table())] == ["ov-avss-r50"]
    assert [one.name for one in chosen(["vggish", "yamnet", "vggish"], table())] == ["vggish", "yamnet"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("yamnett", "found 'yamnett', which is the name of no weights and of no preset; close to it: yamnet"),
        ("????", "expected one of yamnet, deeplab"),
    ],
)
def test_a_name_that_is_none_is_told(name: str, told: str) -> None:
    with pytest.raises(ModelError, match=re.escape(told)):
        chosen([name], table())


def test_a_size_is_known_where_every_file_has_one() -> None:
    known, unknown = File("a", bytes=2), File("b")
    assert WeightSet("x", "", "", (known, known)).bytes == 4
    assert WeightSet("x", "", "", (known, unknown)).bytes is None
