"""Where fetched weights lie, and what lies there: a folder for each set, looked at without the network.

CACHE/weights/SET/FILE         whole: it got its name only after it had been checked
CACHE/weights/SET/FILE.part    as far as it has come
CACHE/weights/SET/FILE.source  what that is the beginning of, as the server told it
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal

from model.depot.table import File, WeightSet, chosen, table
from model.errors import ModelError

CACHE = "OV_AVSS_CACHE"
FETCH = "python run_pipeline.py weights fetch"

State = Literal["here", "wrong size", "in part", "not here"]


def folder() -> Path:
    """What `OV_AVSS_CACHE` says; else a folder of the user's cache, which XDG_CACHE_HOME may move."""
    if given := os.environ.get(CACHE):
        return Path(given).expanduser() / "weights"
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))  # one that is not absolute does not count, says XDG
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "ov-avss-live" / "weights"


def place(one: WeightSet, file: File) -> Path:
    """Where a file lies, or would."""
    return folder() / one.name / file.name


def part_of(path: Path) -> Path:
    """What has come of a file so far."""
    return path.with_name(path.name + ".part")


def state(one: WeightSet, file: File) -> State:
    """What is there of a file, by name and size."""
    path = place(one, file)
    if path.is_file():
        return "here" if file.bytes in (None, path.stat().st_size) else "wrong size"
    return "in part" if part_of(path).is_file() else "not here"


def standing(one: WeightSet) -> State:
    """What is there of a set: that of the file that lacks most."""
    order: tuple[State, ...] = ("not here", "in part", "wrong size", "here")
    return order[min(order.index(state(one, file)) for file in one.files)]


def is_here(name: str) -> bool:
    """Whether a set of weights is here and whole, by sizes."""
    return standing(table()[name]) == "here"


def found(name: str) -> Path:
    """The file of a set of weights, or the folder of a set of several.

    Sizes are looked at, contents are not: hashing hundreds of megabytes in every process that starts takes
    seconds, and a file has its name only since it was checked. `weights verify` hashes.

    Raises:
        ModelError: it is not there, or not whole; the line says how to get it.
        KeyError: the table has no such set, which is a mistake of the code that asks.
    """
    one = table()[name]
    states = [state(one, file) for file in one.files]
    for file, found_ in zip(one.files, states, strict=True):
        if found_ == "wrong size":
            path = place(one, file)
            told = f"{path}: has {path.stat().st_size} bytes, expected {file.bytes}"
            raise ModelError(f"{told}; {how_to_get(one, 'fetch it again')}")
    if set(states) != {"here"}:
        raise ModelError(f"{name} is not here; {how_to_get(one)}")
    return place(one, one.files[0]) if len(one.files) == 1 else folder() / name


def named(name: str) -> Path:
    """As `found`, for a name that a person has typed. Raises `ModelError`."""
    if name not in table():
        chosen([name], table())  # says what is close to it
        raise ModelError(f"{name!r} is a preset, expected one set of weights: see weights list")
    return found(name)


def how_to_get(one: WeightSet, verb: str = "fetch it") -> str:
    """What a person does to have a set here."""
    if one.by_hand:
        return f"{one.by_hand}, then: {FETCH} {one.name} --from FOLDER"
    return f"{verb}: {FETCH} {one.name}"


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
