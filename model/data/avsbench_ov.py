"""AVSBench-OV (Section 4.1), and the worlds that are laid out like it.

    AVSBench-openvoc/avsbench_ov_train_base.json, avsbench_ov_val_base_novel.json
    AVSBench-openvoc/{train,val,test}/JPEGImages/<uid>/<i>.jpg
    AVSBench-semantic/metadata.csv, {v1s,v1m,v2}/<uid>/{audio.wav, labels_rgb/<i>.png, world.json of a world}

What is trained and validated on has annotations in the style of YTVIS; the test part is a listing of folders,
and its truth the label maps. Numbers are gone by only through names: copies that are shifted by one exist.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from model.data.avsbench import LABELS, METADATA, Split, labelled_clip, read_metadata, supervised_frames
from model.data.categories import Categories, read_categories
from model.data.clips import ClipFiles, ClipSet
from model.data.files import existing, field, frames_in, in_order, number_of, read_json
from model.data.sidecar import sidecar_beside
from model.data.truth import Track, Tracks
from model.errors import ModelError

IMAGES = "AVSBench-openvoc"
SEMANTIC = "AVSBench-semantic"
PSEUDO = "pseudo.json"  # at the root of a set whose labels are claims (`model.data.pseudo`)
ANNOTATIONS = {"train": "avsbench_ov_train_base.json", "val": "avsbench_ov_val_base_novel.json"}


def read_avsbench_ov(root: Path, part: Split) -> ClipSet:
    """The clips of a part of the set at `root`.

    Raises:
        ModelError: a file is missing or cannot be read, a category has no name, or an annotation to be
            trained on is of a category that is not base.
    """
    if part == "train" and (root / PSEUDO).is_file():
        raise ModelError(
            f"{root}: holds what a model has claimed, not what is true; to learn from it, give it as "
            "data.pseudo.root (train --pseudo)"
        )
    categories = read_categories(root)
    files = _tested(root, categories) if part == "test" else annotated(root, part, categories)
    return ClipSet(categories, tuple(files))


def _tested(root: Path, categories: Categories) -> list[ClipFiles]:
    folder = root / IMAGES / "test" / "JPEGImages"
    metadata = read_metadata(root / SEMANTIC)
    homes = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not homes:
        raise ModelError(f"{folder}: found no clip, expected a folder of frames for each")
    known = frozenset(categories.ids.values())
    files = []
    for home in homes:
        if (entry := metadata.get(home.name)) is None:
            raise ModelError(f"{root / SEMANTIC / METADATA}: {home.name}: found no line, expected one")
        listed = frozenset(categories.id_of(name, entry.where) for name in entry.classes)
        truth_home = root / SEMANTIC / entry.label / home.name
        files.append(labelled_clip(entry, truth_home, frames_in(home), listed, known))
    return files


def annotated(
    root: Path, part: Split, categories: Categories, *, any_category: bool = False
) -> list[ClipFiles]:
    """The clips that a part's annotations list. Raises `ModelError`.

    Args:
        any_category: whether what is trained on may be of categories that are not base.
    """
    path = root / IMAGES / ANNOTATIONS[part]
    ytvis = read_json(path, f"the annotations of part {part}")
    videos = field(ytvis, "videos", list, str(path))
    if not videos:
        raise ModelError(f"{path}: videos: found none, expected some")
    tracks = _tracks(path, ytvis, categories, base_only=part == "train" and not any_category)
    seen: set[int] = set()
    files = []
    for number, video in enumerate(videos):
        where = f"{path}: video {video.get('id') if isinstance(video, dict) else f'number {number}'}"
        id_ = field(video, "id", int, where)
        if id_ in seen:
            raise ModelError(f"{where}: found its id twice, expected it once")
        seen.add(id_)
        files.append(_clip_files(root, part, video, where, tracks.pop(id_, []), categories))
    for left in tracks.values():
        raise ModelError(f"{left[0].where}: video_id: found that of no video, expected one that is listed")
    return files


def _clip_files(
    root: Path, part: Split, video: dict[str, Any], where: str, tracks: list[Track], categories: Categories
) -> ClipFiles:
    names = field(video, "file_names", list, where)
    label = field(video, "label", str, where)
    if label not in LABELS:
        raise ModelError(f"{where}: label: found {label!r}, expected {' or '.join(LABELS)}")
    if not names or not all(isinstance(name, str) and "/" in name for name in names):
        raise ModelError(f"{where}: file_names: found {str(names)[:60]}, expected some, as <uid>/<i>.jpg")
    for track in tracks:
        if len(track.segmentations) != len(names):
            found = f"found {len(track.segmentations)}, expected {len(names)}, one for each frame"
            raise ModelError(f"{track.where}: segmentations: {found}")
    paths = [root / IMAGES / part / "JPEGImages" / name for name in names]
    frames = tuple(existing(path, f"a frame of {where}") for path in in_order(paths))
    if len({frame.parent for frame in frames}) > 1:
        raise ModelError(f"{where}: file_names: found frames of several folders, expected those of one clip")
    order, uid = [paths.index(frame) for frame in frames], frames[0].parent.name
    audio = existing(root / SEMANTIC / label / uid / "audio.wav", f"the sound of {where}")
    tracks = [
        replace(track, segmentations=[track.segmentations[place] for place in order]) for track in tracks
    ]
    return ClipFiles(
        uid=uid,
        label=label,
        frames=frames,
        seconds=tuple(number_of(frame) for frame in frames),
        audio=audio,
        classes=tuple(sorted({categories.names[track.category_id] for track in tracks})),
        supervised=supervised_frames(label, part, len(frames)),
        truth=Tracks(tuple(tracks)),
        things=sidecar_beside(audio),
    )


def _tracks(
    path: Path, ytvis: dict[str, Any], categories: Categories, *, base_only: bool
) -> dict[int, list[Track]]:
    """Annotations by the id of their video; crowds are left out, as in the reference."""
    names: dict[int, str] = {}
    for category in field(ytvis, "categories", list, str(path)):
        where = f"{path}: categories"
        names[field(category, "id", int, where)] = field(category, "name", str, where)
    tracks: dict[int, list[Track]] = defaultdict(list)
    for number, annotation in enumerate(field(ytvis, "annotations", list, str(path))):
        known = annotation.get("id") if isinstance(annotation, dict) else None
        where = f"{path}: annotation {known if known is not None else f'number {number}'}"
        category_id = field(annotation, "category_id", int, where)
        if category_id not in names:
            raise ModelError(f"{where}: category_id: found {category_id}, expected one that is listed")
        name = names[category_id]
        id_ = categories.id_of(name, where)
        if base_only and name not in categories.base:
            kind = "a novel category" if name in categories.novel else "not a base category"
            raise ModelError(
                f"{where}: found {name!r}, {kind}; expected one of the {len(categories.base)} base ones: "
                "leave out of what is trained on what is to be recognised unseen"
            )
        if annotation.get("iscrowd"):
            continue
        segmentations = field(annotation, "segmentations", list, where)
        confidence = annotation.get("confidence")
        tracks[field(annotation, "video_id", int, where)].append(
            Track(where, id_, segmentations, confidence if isinstance(confidence, dict) else None)
        )
    return tracks
