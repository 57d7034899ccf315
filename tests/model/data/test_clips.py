from __future__ import annotations

import numpy as np
import pytest
import torch

from model.data.clips import Clip
from model.vggish import clip_examples, second_examples


def clip(seconds: tuple[int, ...] = (0, 1, 2), samples: int = 48_000) -> Clip:
    """Two objects on 4 x 6 pixels; the first is gone in the last frame, the second is seen only in it."""
    masks = np.zeros((2, 3, 4, 6), np.bool_)
    masks[0, :2, :2] = True
    masks[1, 2, 3] = True
    return Clip(
        uid="a",
        label="v2",
        frames=np.arange(3 * 4 * 6 * 3, dtype=np.uint8).reshape(3, 4, 6, 3),
        sound=np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32),
        seconds=seconds,
        masks=masks,
        category_ids=(17, 70),
        supervised=np.array([True, True, True]),
        classes=("dog", "woman"),
    )


def test_frames_taken_keep_their_seconds_and_the_objects_they_show() -> None:
    whole = clip()
    first = whole.take([0, 1])
    np.testing.assert_array_equal(first.frames, whole.frames[:2])
    assert (first.seconds, first.category_ids, first.masks.shape) == ((0, 1), (17,), (1, 2, 4, 6))
    last = whole.take([2])
    assert (last.seconds, last.category_ids) == ((2,), (70,))
    np.testing.assert_array_equal(last.sound, whole.sound)


def test_label_maps_hold_the_number_of_what_sounds() -> None:
    maps = clip().label_maps()
    assert maps.shape == (3, 4, 6)
    assert [sorted(set(labels.ravel().tolist())) for labels in maps] == [[0, 17], [0, 17], [0, 70]]
    assert (maps[2, 3] == 70).all()


def test_frames_hear_the_start_of_their_own_second() -> None:
    drawn = clip(seconds=(0, 0, 2))
    wave = torch.from_numpy(drawn.sound).view(3, 16_000)
    assert torch.equal(drawn.examples("second"), second_examples(wave[[0, 0, 2]]))


def test_frames_hear_their_example_of_the_whole_clip() -> None:
    drawn = clip(seconds=(0, 2, 2))
    assert torch.equal(drawn.examples("clip"), clip_examples(torch.from_numpy(drawn.sound), 3)[[0, 2, 2]])


@pytest.mark.parametrize("samples", [20_000, 60_000])
def test_sound_that_ends_early_or_late_leaves_the_other_seconds_alone(samples: int) -> None:
    odd = clip(samples=samples)
    wave = torch.zeros(48_000)
    wave[: min(samples, 48_000)] = torch.from_numpy(odd.sound)[:48_000]
    assert torch.equal(odd.examples("second"), second_examples(wave.view(3, 16_000)))
    assert odd.examples("clip").shape == (3, 96, 64)
    assert odd.examples("clip")[2].any() == (samples > 48_000)
