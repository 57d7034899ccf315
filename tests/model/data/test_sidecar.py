"""What a world knows of a clip arrives with the clip, through every change that is made to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.data.augment import augmented
from model.data.avsbench_ov import read_avsbench_ov
from model.data.clips import Things
from model.errors import ModelError
from model.world.clip import Clip as WorldClip
from tests.model.data.laid_out import edit, world


def crowded(clip: WorldClip) -> bool:
    """Something sounds, something does not, and something is heard off-screen."""
    return bool(clip.sounding.any() and (~clip.sounding).any() and clip.scene.turns.offscreen.any())


@pytest.mark.parametrize(("part", "split"), [("train", "base"), ("val", "mixed"), ("test", "mixed")])
def test_all_things_are_those_of_the_world(tmp_path: Path, part: Any, split: str) -> None:
    made = world(tmp_path, part, clips=2, split=split, first=[crowded])
    for clip, truth in zip(read_avsbench_ov(tmp_path, part), made, strict=True):
        things = clip.things
        assert things is not None
        assert things.names == tuple(thing.name for thing in truth.scene.things)
        np.testing.assert_array_equal(things.masks, truth.visible)
        np.testing.assert_array_equal(things.sounding, truth.sounding)
        np.testing.assert_array_equal(things.offscreen, truth.scene.turns.offscreen)
        np.testing.assert_array_equal(things.silent, truth.silent_seconds)


def test_frames_are_taken_by_their_second(tmp_path: Path) -> None:
    world(tmp_path, "test", clips=1, first=[crowded])
    files = read_avsbench_ov(tmp_path, "test").files[0]
    whole = known(files.load().things)
    for backwards in (known(files.load([1, 0]).things), known(files.load().take([1, 0]).things)):
        np.testing.assert_array_equal(backwards.masks, whole.masks[:, ::-1])
        np.testing.assert_array_equal(backwards.sounding, whole.sounding[:, ::-1])
        np.testing.assert_array_equal(backwards.offscreen, whole.offscreen[::-1])
        np.testing.assert_array_equal(backwards.silent, whole.silent[::-1])


def test_things_are_resized_and_mirrored_with_the_frames(tmp_path: Path) -> None:
    world(tmp_path, "test", clips=1, first=[crowded])
    (clip,) = read_avsbench_ov(tmp_path, "test")
    mirrored = augmented(clip, 64, 1333, flip=True)
    np.testing.assert_array_equal(known(mirrored.things).masks, known(clip.things).masks[..., ::-1])
    assert known(augmented(clip, 32, 1333, flip=False).things).masks.shape[2:] == (32, 32)


def test_where_nobody_told_nothing_is_known(tmp_path: Path) -> None:
    world(tmp_path, "test", clips=1)
    next(tmp_path.glob("AVSBench-semantic/*/*/world.json")).unlink()
    assert read_avsbench_ov(tmp_path, "test")[0].things is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda clip: clip.pop("things"), "things: found nothing, expected a list"),
        (lambda clip: clip["things"][0].pop("name"), "thing 0: name: found nothing, expected a string"),
        (
            lambda clip: clip["things"][0].update(sounding=[True]),
            "thing 0: sounding: found 1 seconds, expected 2, as there are frames",
        ),
        (
            lambda clip: clip["things"][0].update(sounding=[1, 0]),
            r"thing 0: sounding: found \[1, 0\], expected true or false each second",
        ),
        (
            lambda clip: clip["things"][0].update(segmentations=[None, {"size": [3, 3], "counts": "0"}]),
            r"thing 0: second 1: size: found \[3, 3\], expected \[64, 64\], the frame's",
        ),
        (
            lambda clip: clip["offscreen"][0].update(sounding="always"),
            "offscreen 0: sounding: found a string, expected a list",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, change: Any, message: str) -> None:
    world(tmp_path, "test", clips=1, first=[crowded])
    edit(next(tmp_path.glob("AVSBench-semantic/*/*/world.json")), change)
    with pytest.raises(ModelError, match=r"world\.json: " + message):
        read_avsbench_ov(tmp_path, "test")[0]


def known(things: Things | None) -> Things:
    assert things is not None
    return things
