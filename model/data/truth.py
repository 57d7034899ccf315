"""The three ways in which AVSBench writes masks down: tracks, coloured label maps, pictures of one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from model.data.clips import Masks
from model.data.files import field, read_painted, read_picture
from model.errors import ModelError
from model.rle import Rle, decode_mask

# Colours that stand for nothing count as background, as published, so long as they are few.
STRAY_SHARE = 0.01
UNKNOWN = 256


@dataclass(frozen=True)
class Track:
    """A YTVIS annotation: one object, with a segmentation or null for every frame."""

    where: str
    category_id: int
    segmentations: Sequence[Any]
    confidence: Mapping[str, Sequence[Any]] | None = None  # of a claim: lists of scores, as long


@dataclass(frozen=True)
class Tracks:
    """All annotations of one clip."""

    tracks: tuple[Track, ...]

    def read(self, positions: Sequence[int], size: tuple[int, int]) -> tuple[Masks, tuple[int, ...]]:
        masks = np.zeros((len(self.tracks), len(positions), *size), np.bool_)
        for k, track in enumerate(self.tracks):
            for t, position in enumerate(positions):
                where = f"{track.where}: segmentation {position}"
                masks[k, t] = segmentation_mask(track.segmentations[position], size, where)
        return masks, tuple(track.category_id for track in self.tracks)


@dataclass(frozen=True)
class LabelMaps:
    """A picture a frame whose colours are categories: an object is all there is of one category.

    `listed` are the categories that count; the pixels of others are background. `known` are all there are.
    """

    paths: tuple[Path, ...]
    listed: frozenset[int]
    known: frozenset[int]

    def read(self, positions: Sequence[int], size: tuple[int, int]) -> tuple[Masks, tuple[int, ...]]:
        maps = np.zeros((len(positions), *size), np.int16)
        for t, position in enumerate(positions):
            path = self.paths[position]
            maps[t] = _of_size(read_label_map(path, self.known), size, path)
        ids = tuple(int(id_) for id_ in np.unique(maps) if id_ in self.listed)
        masks = maps == np.array(ids, np.int16).reshape(-1, 1, 1, 1)
        return masks, ids


@dataclass(frozen=True)
class OneObject:
    """A picture a frame in which everything but 0 is the sounding object."""

    paths: tuple[Path, ...]
    category_id: int

    def read(self, positions: Sequence[int], size: tuple[int, int]) -> tuple[Masks, tuple[int, ...]]:
        masks = np.zeros((1, len(positions), *size), np.bool_)
        for t, position in enumerate(positions):
            path = self.paths[position]
            masks[0, t] = _of_size(read_painted(path), size, path)
        return masks, (self.category_id,)


def read_label_map(path: Path, known: frozenset[int]) -> NDArray[np.int16]:
    """Decodes a picture in VOC's palette to label numbers, shape (H, W).

    Raises:
        ModelError: more than one pixel in a hundred has a colour that is no known label's.
    """
    picture = read_picture(path)
    table = _label_of_colour()
    labels = table[tuple(np.moveaxis(picture >> 5, -1, 0))]
    stray = (picture & 31).any(axis=-1) | ~np.isin(labels, [0, *known])
    if stray.mean() > STRAY_SHARE:
        row, column = np.argwhere(stray)[0]
        raise ModelError(
            f"{path}: found colour {tuple(picture[row, column].tolist())} at ({column}, {row}), and such in "
            f"{stray.mean():.0%} of the pixels; expected the palette's colours of {len(known)} categories"
        )
    labels[stray] = 0
    return labels


@cache
def _label_of_colour() -> NDArray[np.int16]:
    """Label by the three upper bits of red, green and blue, (8, 8, 8): label bit 3p + c is bit 7 - p of c."""
    labels = np.zeros((8, 8, 8), np.int16)
    for channel, bits in enumerate(np.indices((8, 8, 8))):
        for place in range(3):
            labels += ((bits >> (2 - place) & 1) << (3 * place + channel)).astype(np.int16)
    return np.where(labels < UNKNOWN, labels, UNKNOWN).astype(np.int16)


def segmentation_mask(segmentation: Any, size: tuple[int, int], where: str) -> Masks:
    """The mask, shape (H, W), of COCO's run lengths (packed or plain), polygons or null.

    Raises:
        ModelError: says where, if it is none of these or not of this size.
    """
    if segmentation is None or segmentation == []:
        return np.zeros(size, np.bool_)
    if isinstance(segmentation, list):
        return _of_polygons(segmentation, size, where)
    found = field(segmentation, "size", list, where)
    if found != list(size):
        raise ModelError(f"{where}: size: found {found}, expected {list(size)}, the frame's")
    counts = segmentation.get("counts")
    if isinstance(counts, str):
        try:
            return decode_mask(cast(Rle, segmentation))
        except ValueError as error:
            raise ModelError(f"{where}: {error}") from error
    return _of_runs(counts, size, where)


def _of_polygons(polygons: list[Any], size: tuple[int, int], where: str) -> Masks:
    for polygon in polygons:
        corners = isinstance(polygon, list) and all(_is_number(value) for value in polygon)
        if not corners or len(polygon) < 6 or len(polygon) % 2:
            raise ModelError(f"{where}: found {str(polygon)[:60]}, expected polygons [x, y, x, y, x, y, ...]")
    packed: Any = coco.merge(coco.frPyObjects(polygons, *size))
    return decode_mask({"size": list(size), "counts": packed["counts"].decode("ascii")})


def _of_runs(counts: Any, size: tuple[int, int], where: str) -> Masks:
    if not isinstance(counts, list) or not all(type(run) is int and run >= 0 for run in counts):
        raise ModelError(f"{where}: counts: found {str(counts)[:60]}, expected a string or run lengths")
    if sum(counts) != size[0] * size[1]:
        raise ModelError(f"{where}: run lengths cover {sum(counts)} pixels, expected {size[0] * size[1]}")
    columns = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(size[1], size[0])
    return np.ascontiguousarray(columns.T)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _of_size(labels: NDArray[Any], size: tuple[int, int], path: Path) -> NDArray[Any]:
    if labels.shape != size:
        found, expected = (f"{width} x {height} pixels" for height, width in (labels.shape, size))
        raise ModelError(f"{path}: found {found}, expected {expected}, the frame's")
    return labels
