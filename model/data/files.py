"""Opening what a data set is made of; what cannot be read is told in one line that names the file."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.errors import ModelError

ONE_NUMBER = ("1", "L", "P", "I", "I;16")
PICTURES = (".jpg", ".jpeg", ".png")
_NUMBER = re.compile(r"(\d+)$")


@dataclass(frozen=True)
class Row:
    """A line of a table; `where` names the file and the line."""

    where: str
    cells: tuple[str, ...]


def existing(path: Path, what: str) -> Path:
    """Returns the path of a file. Raises `ModelError` if it is not there."""
    if not path.is_file():
        raise ModelError(f"{path}: not found; expected {what}")
    return path


def read_text(path: Path, what: str) -> str:
    """Raises `ModelError`."""
    try:
        return existing(path, what).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from error


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Reads a JSON object. Raises `ModelError`."""
    text = read_text(path, what)
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ModelError(f"{path}: is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: found {_kind(value)}, expected an object: {what}")
    return value


def field(entry: Any, key: str, kind: type, where: str) -> Any:
    """The value of a key of a JSON object, held against its type. Raises `ModelError`."""
    if not isinstance(entry, dict):
        raise ModelError(f"{where}: found {_kind(entry)}, expected an object")
    value = entry.get(key)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        found = "nothing" if value is None else _kind(value)
        raise ModelError(f"{where}: {key}: found {found}, expected {_NAMES[kind]}")
    return value


def read_rows(path: Path, columns: str, marker: int, allowed: Iterable[str]) -> list[Row]:
    """Reads a table whose columns are known by position; a first line that names them is left out.

    Args:
        columns: their names, for a message: "name, split".
        marker: the column that holds one of `allowed`, by which lines are told from a heading.

    Raises:
        ModelError: the file cannot be read, or a line is not of this form.
    """
    wanted, allowed = columns.count(",") + 1, tuple(allowed)
    rows = []
    reader = csv.reader(io.StringIO(read_text(path, f"a table of {columns}")))
    try:
        lines = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise ModelError(f"{path}:{reader.line_num}: is not CSV: {error}") from error
    for number, cells in lines:
        where, cells = f"{path}:{number}", tuple(cell.strip() for cell in cells)
        if not any(cells):
            continue
        if len(cells) < wanted:
            raise ModelError(f"{where}: found {len(cells)} columns, expected {wanted}: {columns}")
        if cells[marker] in allowed:
            rows.append(Row(where, cells))
        elif number > 1:
            name = columns.split(", ")[marker]
            raise ModelError(f"{where}: {name}: found {cells[marker]!r}, expected {' or '.join(allowed)}")
    return rows


def number_of(path: Path) -> int:
    """The number that ends a file's name: 10 of "10.jpg", 3 of "xyz_3.png". Raises `ModelError`."""
    match = _NUMBER.search(path.stem)
    if not match:
        raise ModelError(f"{path}: found no number at the end of its name, expected that of a frame")
    return int(match[1])


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Sorts frames by number, 10 after 9. Raises `ModelError` if two have the same."""
    ordered = sorted(paths, key=number_of)
    for one, other in pairwise(ordered):
        if number_of(one) == number_of(other):
            raise ModelError(f"{other}: found a second frame number {number_of(one)}, beside {one.name}")
    return ordered


def frames_in(folder: Path) -> list[Path]:
    """The pictures of a folder by number; at least one. Raises `ModelError`."""
    if not folder.is_dir():
        raise ModelError(f"{folder}: not found; expected the folder of a clip's frames")
    frames = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.name[0] != "."]
    if not frames:
        raise ModelError(f"{folder}: found no frame, expected pictures named by number, such as 0.jpg")
    return in_order(frames)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Reads a picture as RGB, shape (H, W, 3). Raises `ModelError`."""
    return _read(path, ())


def read_painted(path: Path) -> NDArray[np.bool_]:
    """Where a picture is not 0, in a palette not number 0; shape (H, W). Raises `ModelError`."""
    stored = _read(path, ONE_NUMBER)
    return np.asarray(stored.reshape(*stored.shape[:2], -1).any(axis=-1))


def _read(path: Path, as_stored: tuple[str, ...]) -> NDArray[Any]:
    """A picture's values in these of PIL's modes, as RGB in all others."""
    try:
        with Image.open(path) as picture:
            return np.array(picture if picture.mode in as_stored else picture.convert("RGB"))
    except FileNotFoundError as error:
        raise ModelError(f"{path}: not found; expected a picture") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ModelError(f"{path}: cannot be read as a picture: {error}") from error


_NAMES = {int: "a whole number", str: "a string", list: "a list", dict: "an object"}


def _kind(value: Any) -> str:
    return _NAMES.get(type(value), repr(value))
