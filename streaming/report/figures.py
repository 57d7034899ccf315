"""All that a report tells of one source, gathered in one pass over its results."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

from streaming.report.axis import Axis
from streaming.report.runs import Runs
from streaming.report.timing import Losses, Timing
from streaming.report.wavering import Wavering, probability
from streaming.results import result_of
from streaming.story import UNNAMED, Story

WINDOW_S = 1.0
MOST_MARKS = 5000  # of one kind kept; all are counted


@dataclass
class Moment:
    """When an object was shown best: the surer its sound and its name and the larger, the better."""

    score: float
    track: dict[str, Any]
    generation: int
    seq: int
    t_s: float
    x_s: float


@dataclass
class Seen:
    """One object: when it sounded, what it was called, and its best moment."""

    id: int
    best: Moment
    runs: Runs = field(default_factory=Runs)
    names: dict[str, int] = field(default_factory=dict)  # name -> in how many results

    @property
    def name(self) -> str:
        """What it was called most often."""
        return max(self.names, key=self.names.__getitem__)


class Marks:
    """Moments of one kind with what is to be said of each; few are kept, all are counted."""

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[tuple[float, str]] = []

    def add(self, x_s: float, text: str) -> None:
        self.count += 1
        if len(self.kept) < MOST_MARKS:
            self.kept.append((x_s, text))


class Figures:
    """Takes the lines of one source in order.

    Attributes:
        begun, ended: wall time of the first and the last result, ISO 8601.
        named: by label, when something called so sounded.
        late: how many lines were left out because a later one had come before.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.count = self.late = 0
        self.begun = self.ended = ""
        self.has_audio = False
        self.axis = Axis()
        self.objects: dict[int, Seen] = {}
        self.named: dict[str, Runs] = {}
        self.offscreen, self.silence = Runs(), Runs()
        self.x_s, self.level_dbfs = array("d"), array("f")
        self.gaps, self.generations, self.vocabularies = Marks(), Marks(), Marks()
        self.wavering, self.timing, self.losses, self.story = Wavering(), Timing(), Losses(), Story()
        self.hop_s = 1.0
        self._place = (-1, -1)
        self._revision: int | None = None
        self._before: tuple[int, int, float] | None = None
        self._hops: dict[float, int] = {}

    def add(self, line: dict[str, Any]) -> None:
        """Takes a line of results, checked."""
        place = line["generation"], line["seq"]
        if place <= self._place:
            self.late += 1
            return
        try:
            result, _ = result_of(line)
        except (ValueError, OverflowError):
            self.late += 1
            return
        self._place = place
        x_s = self.axis.place(line["generation"], line["t_s"])
        self.count += 1
        self.begun, self.ended = self.begun or line["wall_time"], line["wall_time"]
        self.has_audio |= line["has_audio"]
        self.x_s.append(x_s)
        self.level_dbfs.append(line["audio_dbfs"])
        self._mark(line, x_s)
        self.story.add(result)
        self.timing.add(line, x_s)
        self.losses.add(line["seq"], x_s)
        for track in line["tracks"]:
            self._add_track(track, line, x_s)
        self._add_names(line, x_s)
        self._learn_hop(line)

    def _mark(self, line: dict[str, Any], x_s: float) -> None:
        generation, revision = line["generation"], line["vocabulary_revision"]
        if line["gap"]:
            self.gaps.add(x_s, "something is missing here")
        if self._before is not None and generation != self._before[0]:
            self.generations.add(x_s, f"the stream begins anew (generation {generation})")
        if self._revision is not None and revision != self._revision:
            self.vocabularies.add(x_s, f"another vocabulary (revision {revision})")
        self._revision = revision

    def _add_track(self, track: dict[str, Any], line: dict[str, Any], x_s: float) -> None:
        score = track["sounding"] * (0.1 + probability(track)) * max(0, track["area"]) ** 0.25
        moment = Moment(score, track, line["generation"], line["seq"], line["t_s"], x_s)
        seen = self.objects.setdefault(track["id"], Seen(track["id"], moment))
        if score > seen.best.score:
            seen.best = moment
        seen.runs.add(x_s, x_s + WINDOW_S, track["sounding"])
        name = track["label"] or UNNAMED
        seen.names[name] = seen.names.get(name, 0) + 1
        self.wavering.add(track, x_s, line["vocabulary_revision"])

    def _add_names(self, line: dict[str, Any], x_s: float) -> None:
        surest: dict[str, float] = {}
        for track in line["tracks"]:
            name = track["label"] or UNNAMED
            surest[name] = max(surest.get(name, 0.0), track["sounding"])
        for name, surety in surest.items():
            self.named.setdefault(name, Runs()).add(x_s, x_s + WINDOW_S, surety)
        if not surest:
            (self.offscreen if line["offscreen"] else self.silence).add(x_s, x_s + WINDOW_S)

    def _learn_hop(self, line: dict[str, Any]) -> None:
        """The step that most neighbours are apart; results do not say it."""
        generation, seq, t_s = line["generation"], line["seq"], line["t_s"]
        if self._before is not None and self._before[0] == generation and seq == self._before[1] + 1:
            step_s = round(t_s - self._before[2], 3)
            if 0 < step_s <= WINDOW_S and (step_s in self._hops or len(self._hops) < 100):
                self._hops[step_s] = self._hops.get(step_s, 0) + 1
                self.hop_s = max(self._hops, key=self._hops.__getitem__)
        self._before = generation, seq, t_s
