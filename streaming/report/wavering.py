"""What the model wavered between: runners-up of each label, and objects that changed their label."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from streaming.story import UNNAMED

CLOSE = 0.5  # a runner-up at least so probable as this share of the label came close
NOTHING_P = 0.005  # what is less probable was no rival
MOST_CHANGES = 10_000  # kept; all are counted


@dataclass
class RunnerUp:
    """One name that came second to a label.

    Attributes:
        count: in how many results.
        close: in how many of them it was at least half as probable.
        sum_p: of its probability, over them.
    """

    count: int = 0
    close: int = 0
    sum_p: float = 0.0

    @property
    def mean_p(self) -> float:
        return self.sum_p / max(1, self.count)


@dataclass
class Named:
    """What was called by one label.

    Attributes:
        count: in how many results an object was; two objects in one result count twice.
        sum_p: of the label's probability, over them.
    """

    count: int = 0
    sum_p: float = 0.0
    second: dict[str, RunnerUp] = field(default_factory=dict)

    @property
    def mean_p(self) -> float:
        return self.sum_p / max(1, self.count)


@dataclass(frozen=True)
class Change:
    """An object got another name."""

    x_s: float
    track: int
    before: str
    after: str
    p: float
    revised: bool  # the vocabulary had changed as well


class Wavering:
    """Takes the tracks of results in order."""

    def __init__(self) -> None:
        self.names: dict[str, Named] = {}
        self.changes: list[Change] = []
        self.changes_count = 0
        self._called: dict[int, tuple[str, int]] = {}  # track -> its name, the vocabulary's revision

    def add(self, track: dict[str, Any], x_s: float, revision: int) -> None:
        """Takes a track as it is in a result at `x_s` on the axis."""
        label = track["label"] or UNNAMED
        p = probability(track)
        named = self.names.setdefault(label, Named())
        named.count += 1
        named.sum_p += p
        rivals = [one for one in track["labels"] if one["name"] != track["label"]]
        rival = max(rivals, key=lambda one: one["p"], default=None)
        if rival is not None and rival["p"] >= NOTHING_P:
            second = named.second.setdefault(rival["name"], RunnerUp())
            second.count += 1
            second.sum_p += rival["p"]
            second.close += rival["p"] >= CLOSE * p
        before, held = self._called.get(track["id"], (label, revision))
        if before != label:
            self.changes_count += 1
            if len(self.changes) < MOST_CHANGES:
                self.changes.append(Change(x_s, track["id"], before, label, p, revision != held))
        self._called[track["id"]] = label, revision

    def pairs(self) -> list[tuple[str, str, RunnerUp]]:
        """(label, runner-up, figures): those that came close most often first."""
        found = [
            (label, name, one) for label, named in self.names.items() for name, one in named.second.items()
        ]
        return sorted(found, key=lambda pair: (-pair[2].close, -pair[2].sum_p))


def probability(track: dict[str, Any]) -> float:
    """How probable the track's label is; 0 for one without a name."""
    return next((one["p"] for one in track["labels"] if one["name"] == track["label"]), 0.0)
