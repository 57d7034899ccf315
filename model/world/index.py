"""Gathers the files that speak of a whole set from the sidecars of its clips.

    AVSBench-openvoc/avsbench_ov_train_base.json, avsbench_ov_val_base_novel.json    in the style of YTVIS
    AVSBench-semantic/metadata.csv, label2idx.json
    world.json                                                              names: base, novel, only silent

Nothing is kept but the sidecars, so a set may be made in pieces, by several processes, and extended later.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from model.errors import ModelError
from model.world.categories import catalogue
from model.world.layout import IMAGES, SEMANTIC, SIDECAR

ANNOTATIONS = {"train": "avsbench_ov_train_base.json", "val": "avsbench_ov_val_base_novel.json"}
COLUMNS = ("vid", "uid", "s_min", "s_sec", "a_obj", "split", "label")

Sidecar = dict[str, Any]


def write_index(root: Path) -> dict[str, int]:
    """Writes all of the set's own files anew and returns how many clips each part holds.

    Raises:
        ModelError: a sidecar cannot be read, or a file not be written.
    """
    clips = [_read(path) for path in sorted((root / SEMANTIC).glob(f"*/*/{SIDECAR}"))]
    for part, name in ANNOTATIONS.items():
        _write(
            root / IMAGES / name, json.dumps(in_ytvis_style([clip for clip in clips if clip["part"] == part]))
        )
    _write(root / SEMANTIC / "metadata.csv", metadata(clips))
    _write(root / SEMANTIC / "label2idx.json", json.dumps(catalogue().label_ids, indent=1))
    world = {
        "base": [category.name for category in catalogue().of_split("base")],
        "novel": [category.name for category in catalogue().of_split("novel")],
        "silent": sorted(catalogue().silent),
    }
    _write(root / "world.json", json.dumps(world, indent=1))
    return dict(Counter(clip["part"] for clip in clips))


def in_ytvis_style(clips: list[Sidecar]) -> dict[str, Any]:
    """YTVIS-style annotations of each thing that ever sounds, null for the seconds in which it does not."""
    ids = catalogue().label_ids
    videos, tracks = [], []
    for number, clip in enumerate(clips, start=1):
        videos.append(
            {
                "id": number,
                "file_names": [f"{clip['uid']}/{second}.jpg" for second in range(clip["seconds"])],
                "height": clip["height"],
                "width": clip["width"],
                "length": clip["seconds"],
                "label": clip["label"],
            }
        )
        for thing in clip["things"]:
            if any(thing["sounding"]):
                tracks.append(
                    {
                        "id": len(tracks) + 1,
                        "video_id": number,
                        "category_id": ids[thing["name"]],
                        "iscrowd": 0,
                        "bboxes": _while_sounding(thing, "bboxes"),
                        "segmentations": _while_sounding(thing, "segmentations"),
                    }
                )
    categories = [{"id": id_, "name": name} for name, id_ in ids.items() if id_]
    return {"videos": videos, "annotations": tracks, "categories": categories}


def _while_sounding(thing: dict[str, Any], key: str) -> list[Any]:
    return [value if sounds else None for value, sounds in zip(thing[key], thing["sounding"], strict=True)]


def metadata(clips: list[Sidecar]) -> str:
    """The table of all clips. Its classes are those that sound; their names are joined by "_"."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for clip in clips:
        names = sorted({thing["name"] for thing in clip["things"] if any(thing["sounding"])})
        table.writerow(
            [clip["uid"], clip["uid"], 0, clip["seconds"], "_".join(names), clip["part"], clip["label"]]
        )
    return out.getvalue()


def _read(path: Path) -> Sidecar:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path}: cannot be read: {error}; delete its folder and make the clip again"
        ) from error


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text)
        partial.replace(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written: {error.strerror or error}") from error
