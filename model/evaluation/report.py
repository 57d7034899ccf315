"""Scores for programs and for people: scores.json, scores.md, per_class.png, and a table on the screen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from model.errors import ModelError
from model.evaluation.plot import COLOURS, Bars, plot
from model.evaluation.scores import ClassScore, Figures, Scorer, Value

PREFIXES = {"offline": "", "streaming": "streaming_"}
TITLES = {
    "j": "J: what sounds, whatever it is called",
    "miou": "semantic mIoU, background included",
    "miou_foreground": "semantic mIoU without background",
    "harmonic": "harmonic mean of base and novel mIoU",
    "dropped_classes": "classes left out of the means",
    "sounding_recall": "sounding objects covered",
    "silent_covered": "silent objects covered",
    "silent_covered_other": "... of kinds that never sound",
    "false_sounding_silence": "silent frames with a claim",
    "false_sounding_offscreen": "frames with a claim, all sound out of sight",
    "j_sound_off": "J, sound off",
    "j_sound_shuffled": "J, another clip's sound",
    "m_j": "M_J",
    "m_f": "M_F",
}
NOTHING = "–"


@dataclass(frozen=True)
class Report:
    """What was evaluated, and the scorers of the modes that were."""

    about: Mapping[str, str]
    scorers: Mapping[str, Scorer]

    def flat(self) -> dict[str, str | Value]:
        """All figures under flat keys, those of streaming with a prefix; null for what was not measured."""
        measured = {mode: scorer.figures() for mode, scorer in self.scorers.items()}
        unknown: Figures = dict.fromkeys(next(iter(measured.values())))
        figures = {mode: measured.get(mode, unknown) for mode in PREFIXES}
        return {
            **self.about,
            **{PREFIXES[mode] + key: value for mode in PREFIXES for key, value in figures[mode].items()},
        }

    def rows(self) -> Iterator[list[str]]:
        """The summary: title, split, then a figure for each mode and, of two, their difference."""
        figures = [scorer.figures() for scorer in self.scorers.values()]
        for key in figures[0]:
            stem, split = _parted(key)
            values = [one[key] for one in figures]
            if stem not in TITLES or all(value is None for value in values):
                continue
            cells = [_told(value) for value in values]
            if len(values) == 2:
                cells.append(_difference(*values))
            yield ["" if split else TITLES[stem], split, *cells]

    @property
    def heading(self) -> list[str]:
        modes = list(self.scorers)
        return ["", "", *modes, *(["difference"] if len(modes) == 2 else [])]

    def table(self) -> Table:
        """The summary for a screen."""
        table = Table(box=None, padding=(0, 2, 0, 0))
        for number, name in enumerate(self.heading):
            table.add_column(name, justify="left" if number < 2 else "right")
        for row in self.rows():
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """The summary and the table by class."""
        scorer = next(iter(self.scorers.values()))
        facts = [f"{name}: {value}" for name, value in self.about.items()]
        facts.append(f"{scorer.clips} clips, {scorer.frames} frames with known truth")
        lines = ["# Scores", "", *(f"- {fact}" for fact in facts), ""]
        lines += _markdown([self.heading, *self.rows()])
        if known := self.by_class():
            heading = ["class", "split", "frames in which it sounds", *self.scorers]
            rows = [[*_about(row), *(_told(one.iou) for one in row)] for row in known]
            lines += ["", "## IoU by class", "", *_markdown([heading, *rows]), ""]
            lines += [
                f"A class without a row is in no truth and no answer; {NOTHING} is the same of one mode."
            ]
        return "\n".join(lines) + "\n"

    def by_class(self) -> list[tuple[ClassScore, ...]]:
        """Each class that any mode can score, by its number, with its score in each mode."""
        rows = zip(*(scorer.classes() for scorer in self.scorers.values()), strict=True)
        return [row for row in rows if any(one.iou is not None for one in row)]

    def write(self, out: Path) -> None:
        """Writes all three files to a folder that is there. Raises `ModelError`."""
        try:
            (out / "scores.json").write_text(json.dumps(self.flat(), indent=2, allow_nan=False) + "\n")
            (out / "scores.md").write_text(self.markdown(), encoding="utf-8")
            if bars := self._bars():
                plot(bars, list(self.scorers)).save(out / "per_class.png")
        except OSError as error:
            raise ModelError(f"{out}: cannot be written: {error.strerror or error}") from error

    def _bars(self) -> list[Bars]:
        """A bar for each mode and each class, best first in each split."""
        bars = [Bars(row[0].name, row[0].split, [one.iou or 0.0 for one in row]) for row in self.by_class()]
        return sorted(bars, key=lambda one: (list(COLOURS).index(one.group), -max(one.values), one.name))


def _about(row: tuple[ClassScore, ...]) -> list[str]:
    return [row[0].name, row[0].split, str(row[0].frames)]


def _parted(key: str) -> tuple[str, str]:
    for split in ("base", "novel"):
        if key.endswith(f"_{split}"):
            return key.removesuffix(f"_{split}"), split
    return key, ""


def _told(value: Value) -> str:
    if value is None:
        return NOTHING
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _difference(one: Value, other: Value) -> str:
    if one is None or other is None:
        return NOTHING
    return f"{other - one:+d}" if isinstance(other - one, int) else f"{other - one:+.4f}"


def _markdown(rows: list[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [lines[0], f"|{'---|' * len(rows[0])}", *lines[1:]]
