"""Writes clips as AVSBench-OV lays them out, with a teacher's claims in the place of truth.

AVSBench-openvoc/train/JPEGImages/<uid>/<second>.jpg
AVSBench-openvoc/avsbench_ov_train_base.json       in the style of YTVIS; `confidence` with each annotation
AVSBench-semantic/{v1m,v2}/<uid>/audio.wav, labels_rgb/<second>.png, pseudo.json
AVSBench-semantic/metadata.csv, label2idx.json
pseudo.json                                        marks the set: its labels are no truth
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model import avsbench_ov
from model.data.avsbench import METADATA
from model.data.avsbench_ov import ANNOTATIONS, IMAGES, SEMANTIC
from model.data.categories import LABELS, LARGEST_ID, read_categories
from model.data.pseudo import MARK
from model.errors import ModelError
from model.pseudo.pieces import Line, things_of
from model.rle import decode_mask
from model.world.index import COLUMNS
from model.world.layout import JPEG_QUALITY, palette, write_wav

Sidecar = dict[str, Any]


class Numbers:
    """The numbers of categories, AVSBench's first; one that is met for the first time gets the next.

    What a set has numbered keeps its number, since label maps hold numbers.
    """

    def __init__(self, root: Path) -> None:
        """Raises `ModelError` for a set that numbers nothing as AVSBench does."""
        self.path = root / LABELS
        self.ids = dict(read_categories(root).ids) if self.path.is_file() else dict(avsbench_ov.IDS)

    def of(self, names: Iterable[str]) -> dict[str, int]:
        """All numbers, those of the names among them. Raises `ModelError` for more than a byte can hold."""
        if new := sorted(set(names) - set(self.ids)):
            first = max(self.ids.values()) + 1
            self.ids |= {name: first + place for place, name in enumerate(new)}
            if max(self.ids.values()) > LARGEST_ID:
                raise ModelError(
                    f"{self.path}: found {len(self.ids)} categories, expected at most {LARGEST_ID}: "
                    "give fewer words with --vocabulary"
                )
            write_whole(self.path, json.dumps({"background": 0} | self.ids, indent=1))
        return self.ids


def label_of(seconds: int) -> str:
    """AVSBench's label of a clip: v1m for five seconds, v2 for others."""
    return "v1m" if seconds == 5 else "v2"


def write_clip(
    root: Path,
    uid: str,
    file: str,
    piece: Sequence[Line],
    frames: Sequence[NDArray[np.uint8]],
    audio: NDArray[np.float32],
    numbers: Numbers,
) -> Sidecar:
    """Writes a clip's files, the sidecar last and whole, and returns what is in it.

    Args:
        file: the recording that it is of, for people.
        frames: of each second, (H, W, 3) RGB.
        audio: (T, 16000).

    Raises:
        ModelError: the folder cannot be written.
    """
    images = root / IMAGES / "train" / "JPEGImages" / uid
    home = root / SEMANTIC / label_of(len(piece)) / uid
    things = things_of(piece)
    height, width = frames[0].shape[:2]
    told = {
        "uid": uid, "part": "train", "label": label_of(len(piece)), "file": file, "t_s": piece[0]["t_s"],
        "height": height, "width": width, "seconds": len(piece),
        "audio_dbfs": [line["audio_dbfs"] for line in piece],
        "offscreen": [line["offscreen"] for line in piece],
        "things": things,
    }  # fmt: skip
    maps = label_maps(things, numbers.of(thing["name"] for thing in things), (len(piece), height, width))
    try:
        images.mkdir(parents=True, exist_ok=True)
        (home / "labels_rgb").mkdir(parents=True, exist_ok=True)
        for second, (frame, labels) in enumerate(zip(frames, maps, strict=True)):
            Image.fromarray(frame).save(images / f"{second}.jpg", quality=JPEG_QUALITY, subsampling=0)
            indexed = Image.fromarray(labels)
            indexed.putpalette(palette().tobytes())
            indexed.save(home / "labels_rgb" / f"{second}.png")
        write_wav(home / "audio.wav", audio)
    except OSError as error:
        raise ModelError(f"{root}: the clip {uid} cannot be written: {error.strerror or error}") from error
    write_whole(home / MARK, json.dumps(told, separators=(",", ":"), ensure_ascii=False))
    return told


def label_maps(
    things: Sequence[Mapping[str, Any]], ids: Mapping[str, int], shape: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """The number of what is claimed of every pixel, of two objects the one that surer sounds; (T, H, W)."""
    maps, surest = np.zeros(shape, np.uint8), np.full(shape, -1.0, np.float32)
    for thing in things:
        for second, rle in enumerate(thing["segmentations"]):
            if rle is not None:
                score = thing["confidence"]["sounding"][second]
                here = decode_mask(rle) & (surest[second] < score)
                maps[second][here], surest[second][here] = ids[thing["name"]], score
    return maps


def write_index(root: Path, clips: Sequence[Sidecar], about: Mapping[str, Any], numbers: Numbers) -> None:
    """Writes the files that speak of the whole set. `about`: whose claims they are. Raises `ModelError`."""
    ids = numbers.of(thing["name"] for clip in clips for thing in clip["things"])
    write_whole(numbers.path, json.dumps({"background": 0} | ids, indent=1))
    write_whole(root / IMAGES / ANNOTATIONS["train"], json.dumps(in_ytvis_style(clips, ids)))
    write_whole(root / SEMANTIC / METADATA, metadata(clips))
    write_whole(root / MARK, json.dumps(about, indent=1, default=str))


def in_ytvis_style(clips: Sequence[Sidecar], ids: Mapping[str, int]) -> dict[str, Any]:
    """An annotation for each object, with the confidence of every second in which it was claimed."""
    videos, tracks = [], []
    for number, clip in enumerate(clips, start=1):
        files = [f"{clip['uid']}/{second}.jpg" for second in range(clip["seconds"])]
        videos.append(
            {"id": number, "file_names": files, "length": clip["seconds"]}
            | {key: clip[key] for key in ("height", "width", "label")}
        )
        for thing in clip["things"]:
            tracks.append(
                {"id": len(tracks) + 1, "video_id": number, "category_id": ids[thing["name"]], "iscrowd": 0}
                | {key: thing[key] for key in ("bboxes", "segmentations", "confidence")}
            )
    categories = [{"id": id_, "name": name} for name, id_ in ids.items()]
    return {"videos": videos, "annotations": tracks, "categories": categories}


def metadata(clips: Sequence[Sidecar]) -> str:
    """The table of all clips; their classes are joined by "_"."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for clip in clips:
        names = sorted({thing["name"] for thing in clip["things"]})
        row = [clip["uid"], clip["uid"], 0, clip["seconds"], "_".join(names), clip["part"], clip["label"]]
        table.writerow(row)
    return out.getvalue()


def write_whole(path: Path, text: str) -> None:
    """Writes a file that is there whole or not at all. Raises `ModelError`."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written: {error.strerror or error}") from error
