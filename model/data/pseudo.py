"""Sets whose labels are a teacher's claims (`run_pipeline.py pseudo-label`), and which of them are believed.

An object in a second is believed where each of its three scores is high enough. A second that has one which
is not is unknown: taught neither as a sound nor as silence. So is one of which only the name is unwanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model.data.avsbench_ov import PSEUDO, annotated
from model.data.categories import Categories, read_categories
from model.data.clips import ClipFiles, ClipSet
from model.data.truth import Track, Tracks
from model.errors import ModelError

MARK = PSEUDO  # also beside the sound of each clip


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What is believed. Scores are from 0 to 1.

    Attributes:
        sounding, label, mask: the least score of an object in a second.
        empty: whether a second in which nothing was claimed teaches that nothing sounds.
        novel: whether objects of the set's novel categories are learnt from.
    """

    sounding: float = 0.5
    label: float = 0.0
    mask: float = 0.85
    empty: bool = True
    novel: bool = False


@dataclass
class Left:
    """What a filter has left."""

    clips: int = 0
    clips_out: int = 0
    objects: int = 0
    unsure: int = 0
    novel: int = 0
    seconds: int = 0
    unknown: int = 0

    def __str__(self) -> str:
        return (
            f"{self.objects} masks believed; left out {self.unsure} unsure and {self.novel} of novel "
            f"categories, with {self.unknown} of {self.seconds} seconds and {self.clips_out} of "
            f"{self.clips} clips"
        )


def is_pseudo(root: Path) -> bool:
    """Whether a set's labels are claims."""
    return (root / MARK).is_file()


def read_pseudo(root: Path, filter_: Filter) -> tuple[ClipSet, Left]:
    """The clips of a set of claims from which something can be learnt.

    Raises:
        ModelError: the set is none of claims, a file is missing or cannot be read, or nothing is left.
    """
    if not is_pseudo(root):
        raise ModelError(f"{root}: found no {MARK}, expected a set that `pseudo-label` has made")
    categories, left = read_categories(root), Left()
    kept = []
    for files in annotated(root, "train", categories, any_category=True):
        left.clips += 1
        believed = _believed(files, filter_, categories, left)
        if any(believed.supervised):
            kept.append(believed)
        else:
            left.clips_out += 1
    if not kept:
        raise ModelError(f"{root}: nothing is left to learn from ({left}); ask for less in data.pseudo")
    return ClipSet(categories, tuple(kept)), left


def _believed(files: ClipFiles, filter_: Filter, categories: Categories, left: Left) -> ClipFiles:
    assert isinstance(files.truth, Tracks)
    claimed, unknown = [False] * len(files.frames), [False] * len(files.frames)
    tracks = []
    for track in files.truth.tracks:
        believed: list[Any] = [None] * len(files.frames)
        is_novel = categories.names[track.category_id] in categories.novel and not filter_.novel
        for second, rle in enumerate(track.segmentations):
            if rle is None:
                continue
            claimed[second] = True
            if is_novel or not _is_sure(track, second, filter_):
                unknown[second] = True
                left.novel += is_novel
                left.unsure += not is_novel
            else:
                believed[second] = rle
        tracks.append(replace(track, segmentations=believed))
    supervised = tuple(
        not lost and (any_ or filter_.empty) for any_, lost in zip(claimed, unknown, strict=True)
    )
    tracks = [
        replace(
            track,
            segmentations=[
                rle if known else None for rle, known in zip(track.segmentations, supervised, strict=True)
            ],
        )
        for track in tracks
    ]
    left.objects += sum(rle is not None for track in tracks for rle in track.segmentations)
    left.seconds += len(supervised)
    left.unknown += len(supervised) - sum(supervised)
    return replace(files, supervised=supervised, truth=Tracks(tuple(tracks)))


def _is_sure(track: Track, second: int, filter_: Filter) -> bool:
    """Raises `ModelError` for a claim that does not say how sure it is."""
    for name in ("sounding", "label", "mask"):
        scores = (track.confidence or {}).get(name)
        score = scores[second] if isinstance(scores, list) and len(scores) > second else None
        if not isinstance(score, int | float):
            raise ModelError(f"{track.where}: confidence.{name}: found {score}, expected a score each second")
        if score < getattr(filter_, name):
            return False
    return True


def joined(true: ClipSet, claimed: ClipSet) -> ClipSet:
    """Clips of both kinds, the categories of claims numbered on behind those that are true."""
    ids = dict(true.categories.ids)
    for name in claimed.categories.ids:
        ids.setdefault(name, max(ids.values(), default=0) + 1)
    names = claimed.categories.names
    files = [_renumbered(one, {id_: ids[name] for id_, name in names.items()}) for one in claimed.files]
    return ClipSet(replace(true.categories, ids=ids), (*true.files, *files))


def _renumbered(files: ClipFiles, ids: dict[int, int]) -> ClipFiles:
    assert isinstance(files.truth, Tracks)
    tracks: Sequence[Track] = files.truth.tracks
    changed = (replace(track, category_id=ids[track.category_id]) for track in tracks)
    return replace(files, truth=Tracks(tuple(changed)))
