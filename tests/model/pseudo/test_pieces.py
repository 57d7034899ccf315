"""Which seconds of a run make a clip, and what is claimed in it."""

from __future__ import annotations

import pytest

from model.pseudo.pieces import category_of, pieces, things_of, uid_of
from model.rle import encode_mask
from tests.model.pseudo.claims import line, square


def cut(lines: list[dict], seconds: int) -> list[list[int]]:
    return [[one["seq"] for one in piece] for piece in pieces(lines, seconds)]


def test_seconds_that_follow_each_other_are_cut_into_clips_of_a_length() -> None:
    assert cut([line(seq) for seq in range(12)], 5) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]
    assert cut([], 5) == []


def test_a_clip_holds_nothing_lost_and_no_other_scene() -> None:
    lost = [
        line(0),
        line(1),
        line(2, gap=True),
        line(3),
        line(5),
        line(6, generation=1),
        line(7, generation=1),
    ]
    assert cut(lost, 5) == [[0, 1], [3], [5], [6, 7]]


def test_an_object_has_an_entry_a_second_with_its_three_scores() -> None:
    there = square(2)
    piece = [
        line(0, [(7, "dog", 0.9, 0.8, 0.7, there)]),
        line(1),
        line(2, [(7, "Vacuum cleaner", 1, 1, 1, there)]),
    ]
    dog, cleaner = things_of(piece)
    assert (dog["name"], dog["track"], cleaner["name"]) == ("dog", 7, "vacuum-cleaner")
    assert dog["confidence"] == {
        "sounding": [0.9, None, None], "label": [0.8, None, None], "mask": [0.7, None, None]
    }  # fmt: skip
    assert dog["segmentations"] == [encode_mask(there), None, None]
    assert cleaner["segmentations"][:2] == [None, None]


@pytest.mark.parametrize(
    ("label", "category"),
    [("dog", "dog"), ("Church  bell", "church-bell"), ("a_b", "a-b"), (None, "object"), ("_", "object")],
)
def test_a_label_becomes_a_category_that_the_table_of_clips_can_hold(
    label: str | None, category: str
) -> None:
    assert category_of(label) == category


def test_files_of_one_name_in_two_folders_make_clips_of_two_names() -> None:
    assert uid_of("a/new\nline \xe9.mp4", 5).startswith("new-line-")
    assert uid_of("a/x.mp4", 0) != uid_of("b/x.mp4", 0)
    assert uid_of("\U0001f3bb", 0).startswith("clip-")
