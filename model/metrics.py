"""The scores that published results are compared by (Section 4.1), computed as those results were.

AVSBench-OV counts pixels of all test frames into one confusion matrix; S4 and MS3 average a region score M_J
and a contour-free F-score M_F over videos. The two families never mix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.avsbench_ov import BACKGROUND, BASE_IDS, NOVEL_IDS
from model.errors import ModelError

BETA_SQUARED = 0.3
THRESHOLDS = 255


@dataclass(frozen=True)
class OVResult:
    """Scores of AVSBench-OV; a mean over no class at all is NaN."""

    class_iou: np.ndarray  # (classes,), NaN for a class absent from truth and prediction
    miou: float  # the published "mIoU": background included
    foreground_miou: float  # without background
    base_miou: float
    novel_miou: float
    harmonic: float  # 0 where a split has no class, as published
    dropped: tuple[int, ...]  # classes left out of the means, being absent from both sides


class AVSBenchOVScore:
    """One confusion matrix over all frames, added frame by frame.

    Args:
        base_ids, novel_ids: label ids of the two splits.
        classes: label ids run from 0, the background, to `classes` - 1.
    """

    def __init__(
        self,
        base_ids: Sequence[int] = BASE_IDS,
        novel_ids: Sequence[int] = NOVEL_IDS,
        classes: int = 71,
    ) -> None:
        self.base_ids = list(base_ids)
        self.novel_ids = list(novel_ids)
        self.classes = classes
        self.confusion = np.zeros((classes, classes), dtype=np.int64)  # [truth, prediction]

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Count label maps of one or more frames, both of the same shape; published at 224 x 224.

        Raises:
            ModelError: if shapes differ, or a label is none of the classes.
        """
        if truth.shape != prediction.shape:
            raise ModelError(f"label maps: found truth {truth.shape} and prediction {prediction.shape}")
        for side, labels in (("truth", truth), ("prediction", prediction)):
            if labels.size and not (labels.min() >= 0 and labels.max() < self.classes):
                found = f"labels {labels.min()} to {labels.max()}"
                raise ModelError(f"{side}: found {found}, expected 0 to {self.classes - 1}")
        cell = self.classes * truth.astype(np.int64).ravel() + prediction.astype(np.int64).ravel()
        counts = np.bincount(cell, minlength=self.classes**2)
        self.confusion += counts.reshape(self.classes, self.classes)

    def result(self) -> OVResult:
        both = np.diag(self.confusion).astype(np.float64)
        either = self.confusion.sum(axis=1) + self.confusion.sum(axis=0) - both
        iou = np.divide(both, either, out=np.full(self.classes, np.nan), where=either > 0)
        base, novel = _mean(iou[self.base_ids]), _mean(iou[self.novel_ids])
        return OVResult(
            class_iou=iou,
            miou=_mean(iou),
            foreground_miou=_mean(np.delete(iou, BACKGROUND)),
            base_miou=base,
            novel_miou=novel,
            harmonic=2 * base * novel / (base + novel) if base + novel > 0 else 0.0,
            dropped=tuple(np.flatnonzero(np.isnan(iou)).tolist()),
        )


def resize_nearest(
    labels: np.ndarray, size: tuple[int, int] = (224, 224), *, rule: Literal["centre", "corner"]
) -> np.ndarray:
    """Resize label maps without mixing labels.

    The published scores bring both sides to 224 x 224, by different rules: "centre", PIL's, takes the label
    under a pixel's centre and is used for the truth; "corner", torch's, the one under its first corner, for
    the prediction.

    Args:
        labels: Shape: (..., H, W).
    """
    rows, columns = (_sources(n, m, rule) for n, m in zip(labels.shape[-2:], size, strict=True))
    return labels[..., rows[:, None], columns]


class SoundingScore:
    """M_J and M_F of S4 and MS3: means over videos of `m_j` and `m_f`."""

    def __init__(self) -> None:
        self._j: list[float] = []
        self._f: list[float] = []

    def add(self, probability: np.ndarray, truth: np.ndarray) -> None:
        """Count one video. Both of shape (T, H, W): sounding probability, and truth (bool)."""
        self._j.append(m_j(probability, truth))
        self._f.append(m_f(probability, truth))

    @property
    def m_j(self) -> float:
        return _mean(np.array(self._j))

    @property
    def m_f(self) -> float:
        return _mean(np.array(self._f))


def m_j(probability: np.ndarray, truth: np.ndarray) -> float:
    """Mean over frames of the IoU of what is above one half.

    A frame without truth scores the share of its pixels that are rightly left out.

    Args:
        probability: after the sigmoid. Shape: (T, H, W).
        truth: Shape: (T, H, W), bool.
    """
    predicted, truth = _as_frames(probability, truth)
    predicted = predicted > 0.5
    both = (predicted & truth).sum(axis=1)
    either = (predicted | truth).sum(axis=1)
    left_out = 1 - predicted.mean(axis=1)
    return float(np.where(truth.any(axis=1), both / np.maximum(either, 1), left_out).mean())


def m_f(probability: np.ndarray, truth: np.ndarray) -> float:
    """The best F-score (beta squared 0.3) over 255 thresholds of the curve averaged over the frames.

    Frames without truth are skipped; if all are, the score is 0, as published. Since the curve is averaged
    before its best point is taken, the score depends on how many frames are given: give one video at a time.

    Args:
        probability: after the sigmoid. Shape: (T, H, W).
        truth: Shape: (T, H, W), bool.
    """
    probability, truth = _as_frames(probability, truth)
    curves = [_f_curve(p, t) for p, t in zip(probability, truth, strict=True) if t.any()]
    return float(np.mean(curves, axis=0).max()) if curves else 0.0


def _f_curve(probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """F-score of one frame's pixels (P,) at every threshold. Shape: (255,)."""
    thresholds = np.linspace(0, 1, THRESHOLDS, dtype=np.float32)
    # How many thresholds each pixel reaches; a pixel counts at all those below its own.
    reached = np.searchsorted(thresholds, probability.astype(np.float32), side="right")
    positive = _counts_from_above(reached)
    true_positive = _counts_from_above(reached[truth])
    # F = (1 + b) PR / (bP + R), with P and R written out, needs no care for a division by zero.
    return (1 + BETA_SQUARED) * true_positive / (BETA_SQUARED * truth.sum() + positive)


def _counts_from_above(reached: np.ndarray) -> np.ndarray:
    """For every threshold, how many pixels reach it. Shape: (255,)."""
    counts = np.bincount(reached, minlength=THRESHOLDS + 1)
    return counts[::-1].cumsum()[::-1][1:]


def _as_frames(probability: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if probability.shape != truth.shape or truth.ndim != 3 or not truth.size:
        found = f"probability {probability.shape} and truth {truth.shape}"
        raise ModelError(f"masks: found {found}, expected the same (frames, height, width)")
    return probability.reshape(len(truth), -1), truth.reshape(len(truth), -1).astype(bool)


def _sources(length: int, wanted: int, rule: Literal["centre", "corner"]) -> np.ndarray:
    """The old index behind each new one, rounding errors of the two libraries included. Shape: (wanted,).

    They matter: from 640 to 224, every eleventh centre falls between two pixels.
    """
    if rule == "centre":  # PIL adds the step up in double precision
        step = length / wanted
        place = np.cumsum(np.concatenate(([0.5 * step], np.full(wanted - 1, step))))
    else:  # torch multiplies in single precision
        place = np.arange(wanted, dtype=np.float32) * (np.float32(length) / np.float32(wanted))
    return np.floor(place).astype(np.int64).clip(max=length - 1)


def _mean(values: np.ndarray) -> float:
    """Mean of what is not NaN; NaN if nothing is left."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
