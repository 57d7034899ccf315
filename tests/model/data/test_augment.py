from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data import DataLoader

from model.data.augment import Augmentation, TrainingClips, augmented, draw, draw_positions
from model.data.avsbench_ov import read_avsbench_ov
from model.data.clips import Clip
from model.errors import ModelError
from model.pictures import model_size
from tests.model.data.laid_out import world

OPTIONS = Augmentation(frames=3, short_sides=(48, 64, 80))


def clip() -> Clip:
    """A 40 x 60 picture that is bright exactly where its one object is, off centre; a second is one pixel."""
    masks = np.zeros((2, 2, 40, 60), np.bool_)
    masks[0, 0, 8:32, 4:20] = masks[0, 1, 10:38, 30:44] = True
    masks[1, 0, 1, 59] = True
    return Clip(
        uid="a",
        label="v2",
        frames=np.where(masks[0], 255, 0).astype(np.uint8)[..., None].repeat(3, axis=-1),
        sound=np.zeros(32_000, np.float32),
        seconds=(0, 1),
        masks=masks,
        category_ids=(17, 70),
        supervised=np.array([True, True]),
        classes=("dog", "woman"),
    )


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("short_side", [40, 80, 24])
def test_frames_and_masks_are_changed_alike(short_side: int, flip: bool) -> None:
    changed = augmented(clip(), short_side, 1333, flip)
    assert changed.size == (short_side, short_side * 3 // 2)
    assert changed.masks.shape[2:] == changed.size
    bright = changed.frames[..., 0] > 127
    assert (bright ^ changed.masks[0]).mean() < 0.02  # an edge apart: bilinear, nearest
    left = np.flatnonzero(changed.masks[0, 0].any(axis=0))[0] / changed.size[1]
    assert left == pytest.approx(40 / 60 if flip else 4 / 60, abs=0.03)


def test_a_flip_is_a_mirror_and_nothing_else() -> None:
    plain, flipped = augmented(clip(), 40, 1333, False), augmented(clip(), 40, 1333, True)
    np.testing.assert_array_equal(flipped.frames, clip().frames[:, :, ::-1])
    np.testing.assert_array_equal(flipped.masks, clip().masks[..., ::-1])
    np.testing.assert_array_equal(plain.frames, clip().frames)
    assert flipped.frames.flags.c_contiguous
    assert flipped.masks.flags.c_contiguous


def test_an_object_that_is_left_no_pixel_is_left_out() -> None:
    assert augmented(clip(), 40, 1333, False).category_ids == (17, 70)
    assert augmented(clip(), 8, 1333, False).category_ids == (17,)


@pytest.mark.parametrize(
    ("size", "short_side", "max_side", "expected"),
    [
        ((720, 1280), 360, 1333, (360, 640)),
        ((1280, 720), 360, 1333, (640, 360)),
        ((540, 720), 240, 1333, (240, 320)),
        ((100, 1000), 360, 1333, (133, 1333)),
        ((64, 64), 80, 1333, (80, 80)),
    ],
)
def test_the_short_side_is_met_unless_the_long_one_grows_too_long(
    size: tuple[int, int], short_side: int, max_side: int, expected: tuple[int, int]
) -> None:
    assert model_size(size, short_side, max_side) == expected


def test_frames_are_sorted_different_and_near_a_supervised_one() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_positions(rng, [True] * 60, 5, 20) for _ in range(300)]
    assert all(len(set(positions)) == 5 and list(positions) == sorted(positions) for positions in drawn)
    assert {position for positions in drawn for position in positions} == set(range(60))
    assert all(positions[-1] - positions[0] <= 40 for positions in drawn)
    near = [draw_positions(rng, [True] * 60, 5, 2) for _ in range(50)]
    assert all(positions[-1] - positions[0] <= 4 for positions in near)


def test_a_supervised_frame_is_always_among_them() -> None:
    rng = np.random.default_rng(0)
    only_third = [False, False, True, False, False, False]
    drawn = {draw_positions(rng, only_third, 3, 20) for _ in range(200)}
    assert all(2 in positions for positions in drawn)
    assert len(drawn) == 10, "with any two of the five others"


def test_a_clip_that_is_too_short_shows_all_its_frames_and_some_again() -> None:
    for seed in range(20):
        positions = draw_positions(np.random.default_rng(seed), [True, True], 5, 20)
        assert len(positions) == 5
        assert set(positions) == {0, 1}
    assert draw_positions(np.random.default_rng(0), [True], 5, 20) == (0,) * 5


def test_what_is_drawn_depends_on_seed_epoch_and_clip_alone() -> None:
    def drawn(seed: int, epoch: int) -> list[Any]:
        return [draw(OPTIONS, [True] * 10, seed, epoch, index) for index in range(40)]

    assert drawn(1, 2) == drawn(1, 2)
    assert drawn(1, 2) != drawn(1, 3)
    assert drawn(1, 2) != drawn(2, 2)
    assert {each.short_side for each in drawn(1, 2)} == {48, 64, 80}
    assert {each.flip for each in drawn(1, 2)} == {True, False}
    never = Augmentation(flip=0)
    assert not any(draw(never, [True] * 5, 0, 0, index).flip for index in range(40))


def test_an_epoch_repeats_exactly_whoever_loads_it(tmp_path: Path) -> None:
    world(tmp_path, "train", clips=3, seconds=5, split="base")
    clips = TrainingClips(read_avsbench_ov(tmp_path, "train"), OPTIONS, seed=7)
    third = clips.of_epoch(3)
    again = TrainingClips(read_avsbench_ov(tmp_path, "train"), OPTIONS, seed=7, epoch=3)
    loader = DataLoader(again, batch_size=None, shuffle=False)  # type: ignore[arg-type]
    for index, other in enumerate(loader):
        one = third[index]
        np.testing.assert_array_equal(one.frames, other.frames)
        np.testing.assert_array_equal(one.masks, other.masks)
        assert (one.seconds, one.category_ids) == (other.seconds, other.category_ids)
        assert one.frames.shape[0] == 3
        assert one.size[0] in OPTIONS.short_sides
    shown = [[(each.seconds, each.size) for each in clips.of_epoch(epoch)] for epoch in range(3)]
    assert shown[0] != shown[1] or shown[1] != shown[2]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frames": 0}, r"frames: found 0, expected 1 or more"),
        ({"reach": 0}, r"reach: found 0, expected 1 or more"),
        ({"short_sides": ()}, r"short_sides: found \(\), expected sizes in pixels"),
        ({"flip": 2}, r"flip: found 2, expected a share from 0 to 1"),
    ],
)
def test_options_that_make_no_sense_are_told(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Augmentation(**wrong)
