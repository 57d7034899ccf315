"""AVSBench's own layouts: S4 (one source), MS3 (several), and the semantic one of labelled categories.

    s4_meta_data.csv     s4_data/{visual_frames,gt_masks}/<split>/<category>/<video>/<video>_<k>.png
                         s4_data/audio_wav/<split>/<category>/<video>.wav
    ms3_meta_data.csv    ms3_data/visual_frames/<video>/<video>.mp4_<k>.png
                         ms3_data/gt_masks/<split>/<video>/<video>_<k>.png
                         ms3_data/audio_wav/<split>/<video>.wav
    metadata.csv         {v1s,v1m,v2}/<uid>/{frames/<i>.jpg, labels_rgb/<i>.png, audio.wav}

k counts the seconds from 1, i from 0; a frame is the last of its second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.data.categories import Categories, read_categories
from model.data.clips import ClipFiles, ClipSet
from model.data.files import Row, existing, frames_in, number_of, read_rows
from model.data.sidecar import sidecar_beside
from model.data.truth import LabelMaps, OneObject
from model.errors import ModelError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
LABELS = ("v1s", "v1m", "v2")
SECONDS = 5  # of a clip of S4 or MS3
METADATA = "metadata.csv"


@dataclass(frozen=True)
class Entry:
    """What metadata.csv says of a clip. `classes` may be empty."""

    where: str
    uid: str
    classes: tuple[str, ...]
    split: str
    label: str


def read_metadata(folder: Path) -> dict[str, Entry]:
    """The lines of `folder`/metadata.csv by uid.

    Raises:
        ModelError: it cannot be read, or says two things of one clip.
    """
    entries: dict[str, Entry] = {}
    columns = "video id, uid, start, end, classes, split, label"
    for row in read_rows(folder / METADATA, columns, marker=6, allowed=LABELS):
        _, uid, _, _, joined, split, label = row.cells[:7]
        entry = Entry(row.where, uid, tuple(name for name in joined.split("_") if name), split, label)
        before = entries.setdefault(uid, entry)
        if (before.classes, before.split, before.label) != (entry.classes, split, label):
            raise ModelError(f"{row.where}: {uid}: found it unlike {before.where}, expected one line a clip")
    return entries


def supervised_frames(label: str, split: str, count: int) -> tuple[bool, ...]:
    """Which frames of a clip are annotated: the first only of what v1s and S4 train on, else all."""
    only_first = split == "train" and label in ("v1s", "s4")
    return tuple(position == 0 or not only_first for position in range(count))


def read_semantic(root: Path, split: Split, labels: Sequence[str] = LABELS) -> ClipSet:
    """The clips of AVSBench-semantic of one split, for closed-set scores: every painted pixel counts.

    Args:
        root: the folder that holds AVSBench-semantic.
        labels: of v1s, v1m and v2 those to be read.

    Raises:
        ModelError: a file is missing or cannot be read.
    """
    folder, categories = root / "AVSBench-semantic", read_categories(root)
    known = frozenset(categories.ids.values())
    files = []
    for entry in read_metadata(folder).values():
        if entry.split != split or entry.label not in labels:
            continue
        home = folder / entry.label / entry.uid
        for name in entry.classes:
            categories.id_of(name, entry.where)
        files.append(labelled_clip(entry, home, frames_in(home / "frames"), known, known))
    wanted = f"clips of split {split} labelled {' or '.join(labels)}"
    return _some(files, folder / METADATA, wanted, categories)


def labelled_clip(
    entry: Entry, home: Path, frames: Sequence[Path], counted: frozenset[int], known: frozenset[int]
) -> ClipFiles:
    """A clip whose truth is label maps, in its folder `home` with its sound.

    Args:
        counted: the categories whose pixels are no background, of all that are `known`.

    Raises:
        ModelError: a file is missing.
    """
    supervised = supervised_frames(entry.label, entry.split, len(frames))
    audio = existing(home / "audio.wav", "the clip's sound")
    return ClipFiles(
        uid=entry.uid,
        label=entry.label,
        frames=tuple(frames),
        seconds=tuple(number_of(frame) for frame in frames),
        audio=audio,
        classes=entry.classes,
        supervised=supervised,
        truth=LabelMaps(label_maps_of(frames, supervised, home), counted, known),
        things=sidecar_beside(audio),
    )


def label_maps_of(frames: Sequence[Path], supervised: Sequence[bool], home: Path) -> tuple[Path, ...]:
    """The label map of each frame, in a clip's folder. Raises `ModelError` if a supervised one is missing."""
    paths = tuple(home / "labels_rgb" / f"{frame.stem}.png" for frame in frames)
    for path, needed in zip(paths, supervised, strict=True):
        if needed:
            existing(path, "the frame's label map")
    return paths


def read_s4(root: Path, split: Split) -> ClipSet:
    """The clips of S4 of one split. Its 23 categories are numbered in alphabetical order; all are base.

    Raises:
        ModelError: a file is missing or cannot be read.
    """
    table = root / "s4_meta_data.csv"
    rows = read_rows(table, "name, start, category, split", marker=3, allowed=SPLITS)
    names = sorted({row.cells[2] for row in rows})
    ids = {name: number for number, name in enumerate(names, start=1)}
    files = []
    for row in rows:
        video, _, category, its_split = row.cells[:4]
        if its_split == split:
            shelf, data = Path(split) / category, root / "s4_data"
            frames = [
                data / "visual_frames" / shelf / video / f"{video}_{k}.png" for k in range(1, SECONDS + 1)
            ]
            masks, sound = data / "gt_masks" / shelf / video, data / "audio_wav" / shelf / f"{video}.wav"
            files.append(_five_seconds("s4", row, split, frames, masks, sound, ids[category], (category,)))
    return _some(files, table, f"videos of split {split}", Categories(ids, tuple(names), ()))


def read_ms3(root: Path, split: Split) -> ClipSet:
    """The clips of MS3 of one split: all that sounds is one object, of the one category "sounding".

    Raises:
        ModelError: a file is missing or cannot be read.
    """
    table, data = root / "ms3_meta_data.csv", root / "ms3_data"
    files = []
    for row in read_rows(table, "name, split", marker=1, allowed=SPLITS):
        video, its_split = row.cells[:2]
        if its_split == split:
            frames = [data / "visual_frames" / video / f"{video}.mp4_{k}.png" for k in range(1, SECONDS + 1)]
            masks, sound = data / "gt_masks" / split / video, data / "audio_wav" / split / f"{video}.wav"
            files.append(_five_seconds("ms3", row, split, frames, masks, sound, 1, ()))
    return _some(files, table, f"videos of split {split}", Categories({"sounding": 1}, ("sounding",), ()))


def _five_seconds(
    label: str,
    row: Row,
    split: Split,
    frames: list[Path],
    masks: Path,
    sound: Path,
    category_id: int,
    classes: tuple[str, ...],
) -> ClipFiles:
    video = row.cells[0]
    supervised = supervised_frames(label, split, SECONDS)
    truth = tuple(masks / f"{video}_{k}.png" for k in range(1, SECONDS + 1))
    for frame in frames:
        existing(frame, f"a frame of the video that {row.where} names")
    for path, needed in zip(truth, supervised, strict=True):
        if needed:
            existing(path, f"a mask of the video that {row.where} names")
    return ClipFiles(
        uid=video,
        label=label,
        frames=tuple(frames),
        seconds=tuple(range(SECONDS)),
        audio=existing(sound, f"the sound of the video that {row.where} names"),
        classes=classes,
        supervised=supervised,
        truth=OneObject(truth, category_id),
    )


def _some(files: list[ClipFiles], table: Path, what: str, categories: Categories) -> ClipSet:
    if not files:
        raise ModelError(f"{table}: found no {what}, expected some")
    return ClipSet(categories, tuple(files))
