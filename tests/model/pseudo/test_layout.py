"""A set of claims on disk is what the readers of AVSBench's layouts take it for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model import avsbench_ov
from model.data.avsbench import read_semantic
from model.data.avsbench_ov import read_avsbench_ov
from model.errors import ModelError
from model.pseudo.layout import Numbers, label_maps
from model.pseudo.pieces import things_of
from tests.model.pseudo.claims import claimed_set, line, square


def test_label_maps_are_indexed_pictures_in_the_benchmarks_palette(tmp_path: Path) -> None:
    root = claimed_set(tmp_path, [[(1, "dog", 0.9, 0.9, 0.9, square(1))], [], [], [], []])
    (path,) = root.glob("AVSBench-semantic/v1m/*/labels_rgb/0.png")
    with Image.open(path) as picture:
        assert picture.mode == "P"
        assert np.array_equal(np.array(picture), square(1) * avsbench_ov.IDS["dog"])
    (path.parents[1] / "frames").symlink_to(next(root.glob("AVSBench-openvoc/train/JPEGImages/*")))
    clip = read_semantic(root, "train")[0]
    assert np.array_equal(clip.label_maps()[0] > 0, square(1))
    assert clip.classes == ("dog",)
    assert clip.sound.shape == (80_000,)


def test_of_two_objects_the_one_that_surer_sounds_is_on_top() -> None:
    both = square(1) | square(2)
    piece = [line(0, [(1, "dog", 0.9, 1, 1, square(1)), (2, "cat", 0.5, 1, 1, both)])]
    (labels,) = label_maps(things_of(piece), {"dog": 11, "cat": 9}, (1, 64, 64))
    assert [set(labels[row]) for row in (0, 8, 16)] == [{0}, {11}, {9}]


def test_a_category_keeps_its_number_when_others_are_met(tmp_path: Path) -> None:
    first = dict(Numbers(tmp_path).of(["person", "dog"]))
    assert first["dog"] == avsbench_ov.IDS["dog"]
    assert first["person"] == 71
    again = Numbers(tmp_path).of(["bicycle"])
    assert (again["person"], again["bicycle"]) == (71, 72)
    with pytest.raises(ModelError, match="expected at most 255: give fewer words"):
        Numbers(tmp_path).of(f"word{n}" for n in range(200))


def test_claims_are_not_taken_for_truth(tmp_path: Path) -> None:
    root = claimed_set(tmp_path, [[(1, "dog", 0.9, 0.9, 0.9, square(1))]])
    with pytest.raises(
        ModelError, match=r"holds what a model has claimed, not what is true.*data\.pseudo\.root"
    ):
        read_avsbench_ov(root, "train")
    assert json.loads((root / "pseudo.json").read_text()) == {"model": "made up"}
