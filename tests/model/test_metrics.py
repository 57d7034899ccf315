"""Scores: the recorded ones reproduced, the rest against the definition written out pixel by pixel."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from model.avsbench_ov import BASE_IDS, NOVEL_IDS
from model.errors import ModelError
from model.metrics import AVSBenchOVScore, SoundingScore, m_f, m_j, resize_nearest

FIXTURE = Path(__file__).parents[2] / ".." / "shared" / "parity" / "metrics.npz"


@pytest.mark.skipif(
    not FIXTURE.exists(), reason="../shared/parity/metrics.npz with the recorded scores is absent"
)
def test_equals_the_recorded_scores() -> None:
    with np.load(FIXTURE) as content:
        recorded = dict(content)
    assert list(BASE_IDS) == recorded["base_ids"].tolist()
    assert sorted(NOVEL_IDS) == recorded["novel_ids"].tolist()
    score = AVSBenchOVScore()
    for truth, prediction in zip(recorded["ground_truth"], recorded["prediction"], strict=True):
        score.add(truth, prediction)
    result = score.result()
    np.testing.assert_allclose(result.class_iou, recorded["class_iou"], rtol=1e-9)
    for name in ("miou", "base_miou", "novel_miou", "harmonic"):
        assert getattr(result, name) == pytest.approx(float(recorded[name]), rel=1e-9)


def test_scores_by_hand() -> None:
    score = AVSBenchOVScore(base_ids=[1], novel_ids=[2, 3], classes=4)
    score.add(np.array([[0, 0, 1, 1]]), np.array([[0, 1, 1, 2]], dtype=np.uint8))
    score.add(np.array([[2, 2, 2, 0]]), np.array([[2, 2, 0, 0]]))
    result = score.result()
    # background: 2 agreed of 4; class 1: 1 of 3; class 2: 2 of 4; class 3 nowhere.
    np.testing.assert_allclose(result.class_iou, [1 / 2, 1 / 3, 1 / 2, np.nan])
    assert result.miou == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 3)
    assert result.foreground_miou == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert result.base_miou == pytest.approx(1 / 3)
    assert result.novel_miou == pytest.approx(1 / 2)
    assert result.harmonic == pytest.approx(0.4)
    assert result.dropped == (3,)


def test_frames_together_or_one_by_one_score_alike() -> None:
    generator = np.random.default_rng(1)
    truth, prediction = generator.integers(0, 71, (2, 5, 8, 8))
    together, apart = AVSBenchOVScore(), AVSBenchOVScore()
    together.add(truth, prediction)
    for pair in zip(truth, prediction, strict=True):
        apart.add(*pair)
    np.testing.assert_array_equal(together.confusion, apart.confusion)


def test_nothing_seen_is_no_number_rather_than_a_good_one() -> None:
    result = AVSBenchOVScore().result()
    assert math.isnan(result.miou)
    assert math.isnan(result.base_miou)
    assert result.harmonic == 0.0
    assert len(result.dropped) == 71
    assert math.isnan(SoundingScore().m_j)


def test_label_maps_that_do_not_fit_are_refused() -> None:
    score = AVSBenchOVScore(base_ids=[1], novel_ids=[2], classes=3)
    with pytest.raises(ModelError, match=r"truth \(2,\) and prediction \(3,\)"):
        score.add(np.zeros(2, int), np.zeros(3, int))
    with pytest.raises(ModelError, match="prediction: found labels 0 to 3, expected 0 to 2"):
        score.add(np.zeros(2, int), np.array([0, 3]))
    with pytest.raises(ModelError, match="truth: found labels -1 to 0"):
        score.add(np.array([0, -1]), np.zeros(2, int))
    assert not score.confusion.any()


@pytest.mark.parametrize("length", [1, 2, 56, 64, 100, 223, 224, 225, 320, 360, 480, 640, 720, 1280, 1920])
@pytest.mark.parametrize("rule", ["centre", "corner"])
def test_resizing_equals_the_libraries_of_the_published_scores(
    length: int, rule: Literal["centre", "corner"]
) -> None:
    labels = np.arange(2 * length, dtype=np.int32).reshape(2, length)
    if rule == "centre":
        expected = np.array(Image.fromarray(labels).resize((224, 224), Image.Resampling.NEAREST))
    else:
        upsample = torch.nn.Upsample(size=(224, 224), mode="nearest")
        expected = upsample(torch.from_numpy(labels).float()[None, None])[0, 0].numpy()
    np.testing.assert_array_equal(resize_nearest(labels, rule=rule), expected)
    np.testing.assert_array_equal(resize_nearest(labels[None], rule=rule)[0], expected)


def written_out_f(probability: np.ndarray, truth: np.ndarray) -> float:
    """M_F as it is defined, one threshold after the other."""
    curves = []
    for p, t in zip(probability, truth, strict=True):
        if not t.any():
            continue
        curve = []
        for threshold in np.linspace(0, 1, 255, dtype=np.float32):
            chosen = p >= threshold
            precision = (chosen & t).sum() / (chosen.sum() + 1e-20)
            recall = (chosen & t).sum() / t.sum()
            weight = 0.3 * precision + recall
            curve.append(1.3 * precision * recall / weight if weight else 0.0)
        curves.append(curve)
    return float(np.mean(curves, axis=0).max())


def test_m_f_equals_its_definition() -> None:
    generator = np.random.default_rng(2)
    truth = generator.random((4, 12, 9)) > 0.7
    truth[1] = False
    probability = np.clip(0.4 * truth + generator.random(truth.shape), 0, 1).astype(np.float32)
    assert m_f(probability, truth) == pytest.approx(written_out_f(probability, truth), rel=1e-12)
    assert m_f(truth.astype(np.float32), truth) == pytest.approx(1.0)
    assert m_f(probability[1:2], truth[1:2]) == 0.0


def test_m_j_scores_a_frame_without_truth_by_what_it_leaves_out() -> None:
    truth = np.zeros((2, 2, 4), dtype=bool)
    truth[0, 0, :2] = True
    probability = np.zeros((2, 2, 4), dtype=np.float32)
    probability[0, 0, 1:4] = 0.9  # agrees on 1 of 4
    probability[1, 0, :2] = 0.6  # leaves out 6 of 8
    assert m_j(probability, truth) == pytest.approx((1 / 4 + 6 / 8) / 2)


def test_videos_count_alike_whatever_their_length() -> None:
    truth = np.ones((4, 2, 2), dtype=bool)
    score = SoundingScore()
    score.add(np.ones((4, 2, 2)), truth)
    score.add(np.zeros((1, 2, 2)), truth[:1])
    assert score.m_j == pytest.approx(0.5)
    # A frame judged 0 everywhere still reaches the threshold 0, where everything is chosen.
    assert score.m_f == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("probability", "truth"), [((2, 3), (2, 3)), ((0, 4, 4), (0, 4, 4)), ((1, 4, 5), (1, 4, 4))]
)
def test_masks_that_do_not_fit_are_refused(probability: tuple[int, ...], truth: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"expected the same \(frames, height, width\)"):
        m_j(np.zeros(probability), np.zeros(truth, dtype=bool))
