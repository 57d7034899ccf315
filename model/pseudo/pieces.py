"""From the results of a run to clips of a set: which seconds belong together, and what is claimed there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

Line = dict[str, Any]
SCORES = ("sounding", "label", "mask")
UNNAMED = "object"


def pieces(lines: Iterable[Line], seconds: int) -> Iterator[list[Line]]:
    """Results in order, cut into rows of `seconds` that follow each other; the last may be short.

    A second in which something was lost is left out, and what comes after it is another stretch: its sound
    and its picture may not belong together.
    """
    piece: list[Line] = []
    for line in lines:
        follows = piece and _place(line) == (piece[-1]["generation"], piece[-1]["seq"] + 1)
        if piece and (line["gap"] or not follows or len(piece) == seconds):
            yield piece
            piece = []
        if not line["gap"]:
            piece.append(line)
    if piece:
        yield piece


def _place(line: Line) -> tuple[int, int]:
    return line["generation"], line["seq"]


def uid_of(file: str, first: int) -> str:
    """The name of a clip: readable, and of no other file: "street-1f0c2a9be377-00005".

    Args:
        file: the recording's name below its folder.
        first: number of the clip's first second.
    """
    stem = re.sub(r"[^A-Za-z0-9]+", "-", file.rsplit("/", 1)[-1].rsplit(".", 1)[0]).strip("-")[:40]
    return f"{stem or 'clip'}-{hashlib.sha256(file.encode()).hexdigest()[:12]}-{first:05d}"


def category_of(label: str | None) -> str:
    """A label as AVSBench writes categories: "vacuum cleaner" has a hyphen; "_" joins several."""
    return re.sub(r"[\s_]+", "-", (label or "").strip().lower()).strip("-") or UNNAMED


def things_of(piece: Sequence[Line]) -> list[dict[str, Any]]:
    """The objects of a piece, one for each track and name, with an entry a second, null where not claimed.

    Keys: `name`, `track`, `segmentations`, `bboxes` and `confidence`, which has a list for each of `SCORES`.
    """
    things: dict[tuple[int, str], dict[str, Any]] = {}
    for second, line in enumerate(piece):
        for track in line["tracks"]:
            name = category_of(track["label"])
            thing = things.setdefault((track["id"], name), _nothing_yet(track["id"], name, len(piece)))
            scores = (track["sounding"], max((one["p"] for one in track["labels"][:1]), default=0.0))
            for key, score in zip(SCORES, (*scores, track["certainty"]), strict=True):
                thing["confidence"][key][second] = score
            thing["segmentations"][second], thing["bboxes"][second] = track["mask"], track["box"]
    return list(things.values())


def _nothing_yet(track: int, name: str, seconds: int) -> dict[str, Any]:
    return {
        "name": name,
        "track": track,
        "confidence": {key: [None] * seconds for key in SCORES},
        "segmentations": [None] * seconds,
        "bboxes": [None] * seconds,
    }
