"""All scores of a predictor, gathered clip by clip; flat, with plain names, None for what cannot be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.data.categories import Categories
from model.data.clips import Clip
from model.evaluation.answers import Answer
from model.evaluation.measures import BySplit, SoundingAndSilent, SoundingIoU, Split, known, split_of
from model.metrics import AVSBenchOVScore, OVResult, SoundingScore, resize_nearest

Layout = Literal["avsbench-ov", "semantic", "s4", "ms3"]
LABELLED: tuple[Layout, ...] = ("avsbench-ov", "semantic")  # the others do not say what sounds
Value = float | int | None
Figures = dict[str, Value]


@dataclass(frozen=True)
class ClassScore:
    """A line of the table by class. `iou` is None for a class absent from truth and prediction."""

    name: str
    split: Split
    frames: int  # in which it sounds
    iou: float | None


class Scorer:
    """Takes a predictor's answers to clips; each clip with its own sound, and if wanted with wrong ones."""

    def __init__(self, categories: Categories, layout: Layout) -> None:
        self.categories, self.layout = categories, layout
        self.clips = self.frames = 0
        self.j = SoundingIoU(categories)
        self.j_off, self.j_shuffled = SoundingIoU(categories), SoundingIoU(categories)
        self.heard = SoundingAndSilent(categories)
        self.labels = AVSBenchOVScore(categories.base_ids, categories.novel_ids, categories.classes)
        self.videos = SoundingScore()
        self._frames_of = np.zeros(categories.classes, np.int64)

    def add(self, clip: Clip, answers: Sequence[Answer]) -> None:
        """Count what was said of a clip: an answer for each of its frames."""
        judged = known(clip, answers)
        self.clips += 1
        self.frames += len(judged)
        self.j.add(clip, answers)
        self.heard.add(clip, answers)
        if self.layout in LABELLED:
            truth = clip.label_maps()
            for place, answer in judged:
                self._frames_of[np.unique(truth[place])] += 1
                self.labels.add(
                    resize_nearest(truth[place], rule="centre"),
                    resize_nearest(answer.label_map(self.categories.ids), rule="corner"),
                )
        elif judged:
            truth = np.stack([clip.masks[:, place].any(axis=0) for place, _ in judged])
            self.videos.add(np.stack([answer.probability for _, answer in judged]), truth)

    def add_off(self, clip: Clip, answers: Sequence[Answer]) -> None:
        """Count what was said of a clip whose sound was taken away."""
        self.j_off.add(clip, answers)

    def add_shuffled(self, clip: Clip, answers: Sequence[Answer]) -> None:
        """Count what was said of a clip that was given the sound of another."""
        self.j_shuffled.add(clip, answers)

    def figures(self) -> Figures:
        """Every score by its name; the same names whatever was scored."""
        silent, recall = self.heard.silent, self.heard.recall
        return {
            **_by_split("j", self.j),
            **self._semantic(),
            **_by_split("sounding_recall", recall),
            **_by_split("silent_covered", silent),
            "silent_covered_other": silent.of["other"].value,
            "false_sounding_silence": self.heard.on_silence.value,
            "false_sounding_offscreen": self.heard.on_offscreen.value,
            **_by_split("j_sound_off", self.j_off),
            **_by_split("j_sound_shuffled", self.j_shuffled),
            "m_j": _told(self.videos.m_j),
            "m_f": _told(self.videos.m_f),
            "clips": self.clips,
            "frames": self.frames,
        }

    def classes(self) -> list[ClassScore]:
        """The table by class, in the order of their numbers; empty where the data do not name what sounds."""
        if self.layout not in LABELLED:
            return []
        iou = self.labels.result().class_iou
        return [
            ClassScore(name, split_of(name, self.categories), int(self._frames_of[id_]), _told(iou[id_]))
            for id_, name in sorted(self.categories.names.items())
        ]

    def _semantic(self) -> Figures:
        """The scores of AVSBench-OV; those of a split are None where none of its classes is in the truth.

        There the published mean would be one over the classes that were named wrongly: 0.
        """
        result: OVResult = self.labels.result()
        scored = bool(self.labels.confusion.any())
        pixels = self.labels.confusion.sum(axis=1)
        base = result.base_miou if pixels[self.labels.base_ids].any() else None
        novel = result.novel_miou if pixels[self.labels.novel_ids].any() else None
        return {
            "miou": _told(result.miou),
            "miou_base": base,
            "miou_novel": novel,
            "miou_foreground": _told(result.foreground_miou),
            "harmonic": None if base is None or novel is None else result.harmonic,
            "dropped_classes": len(result.dropped) if scored else None,
        }


def _by_split(name: str, measure: BySplit) -> Figures:
    of = {f"{name}_{split}": measure.of[split].value for split in ("base", "novel")}
    return {name: measure.all.value, **of}


def _told(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
