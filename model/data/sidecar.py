"""What a world writes beside a clip's sound, world.json: all there is, and when it sounds.

AVSBench's own clips have no such file; nobody has told of the silent things in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.data.clips import Masks, Things
from model.data.files import field, read_json
from model.data.truth import segmentation_mask
from model.errors import ModelError

SIDECAR = "world.json"


@dataclass(frozen=True)
class Sidecar:
    """The file of one clip; its lists have an entry for each second."""

    path: Path

    def read(self, seconds: Sequence[int], size: tuple[int, int]) -> Things:
        clip = read_json(self.path, "what a world knows of a clip")
        things = field(clip, "things", list, str(self.path))
        offscreen = np.zeros(len(seconds), np.bool_)
        for number, source in enumerate(field(clip, "offscreen", list, str(self.path))):
            offscreen |= _sounding(source, seconds, f"{self.path}: offscreen {number}")
        names = []
        masks = np.zeros((len(things), len(seconds), *size), np.bool_)
        sounding = np.zeros((len(things), len(seconds)), np.bool_)
        for number, thing in enumerate(things):
            where = f"{self.path}: thing {number}"
            names.append(field(thing, "name", str, where))
            sounding[number] = _sounding(thing, seconds, where)
            shown = _of_seconds(thing, "segmentations", seconds, where)
            for place, (second, segmentation) in enumerate(zip(seconds, shown, strict=True)):
                masks[number, place] = segmentation_mask(segmentation, size, f"{where}: second {second}")
        return Things(names=tuple(names), masks=masks, sounding=sounding, offscreen=offscreen)


def sidecar_beside(audio: Path) -> Sidecar | None:
    """That of the clip with this sound, where there is one."""
    path = audio.with_name(SIDECAR)
    return Sidecar(path) if path.is_file() else None


def _sounding(entry: Any, seconds: Sequence[int], where: str) -> Masks:
    values = _of_seconds(entry, "sounding", seconds, where)
    if not all(isinstance(value, bool) for value in values):
        raise ModelError(f"{where}: sounding: found {str(values)[:60]}, expected true or false each second")
    return np.array(values, np.bool_)


def _of_seconds(entry: Any, key: str, seconds: Sequence[int], where: str) -> list[Any]:
    values = field(entry, key, list, where)
    if seconds and len(values) <= max(seconds):
        found = f"found {len(values)} seconds"
        raise ModelError(f"{where}: {key}: {found}, expected {max(seconds) + 1}, as there are frames")
    return [values[second] for second in seconds]
