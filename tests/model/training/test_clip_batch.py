"""Clips side by side: nothing of one is seen in another."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.errors import ModelError
from model.localiser import normalise
from model.training.clip_batch import ClipBatch
from tests.model.training.toys import ALL, CLIPS, FIRST, Drawn

LOADED = [drawn.load() for drawn in CLIPS]


def batch() -> ClipBatch:
    return ClipBatch.of(LOADED, range(4), "second")


def test_each_clip_keeps_its_size_and_its_truth() -> None:
    made = batch()
    assert [tuple(x.shape) for x in made.frames] == [
        (3, 3, 40, 64), (3, 3, 64, 64), (3, 3, 40, 90), (3, 3, 64, 50)
    ]  # fmt: skip
    assert [tuple(x.shape) for x in made.targets.masks] == [
        (2, 3, 64, 64), (1, 3, 64, 64), (3, 3, 64, 96), (1, 3, 64, 64)
    ]  # fmt: skip
    assert made.targets.supervised.tolist() == [list(ALL), list(FIRST), list(ALL), list(ALL)]
    for clip, frames, masks in zip(LOADED, made.frames, made.targets.masks, strict=True):
        np.testing.assert_array_equal(frames.permute(0, 2, 3, 1), clip.frames)
        h, w = clip.size
        np.testing.assert_array_equal(masks[..., :h, :w], clip.masks)
        assert int(masks.sum()) == int(clip.masks.sum())
    assert torch.equal(made.examples[2], LOADED[2].examples("second"))


def test_clips_of_one_padded_size_go_together_and_are_padded_as_alone() -> None:
    made = batch()
    assert made.alike() == [[0, 1, 3], [2]]
    together = made.images([0, 1, 3])
    assert together.shape == (3, 3, 3, 64, 64)
    for image, b in zip(together, (0, 1, 3), strict=True):
        assert torch.equal(image, normalise(made.frames[b]))
    assert not together[0][..., 40:, :].any()  # black after normalising, as published
    chosen = made.targets_of([2, 1])
    assert [len(masks) for masks in chosen.masks] == [3, 1]
    assert chosen.supervised.tolist() == [list(ALL), list(FIRST)]


def test_a_clip_without_truth_is_refused() -> None:
    with pytest.raises(ModelError, match="clip 0 has no supervised frame"):
        ClipBatch.of([Drawn(1, (40, 64), 1, (False, False)).load()], [0], "clip")


def test_it_goes_to_a_device() -> None:
    moved = batch().to("meta")
    assert {x.device.type for x in (*moved.frames, *moved.targets.masks, moved.examples)} == {"meta"}
    assert len(moved) == 4
