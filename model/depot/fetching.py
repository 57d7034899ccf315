"""A whole set of weights to its place, by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.depot.asking import mirrored
from model.depot.carried import take
from model.depot.download import Watch, WrongContent, check, download
from model.depot.shelf import CACHE, folder, how_to_get, part_of, place
from model.depot.table import File, WeightSet
from model.depot.words import size
from model.errors import ModelError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def fetch(one: WeightSet, watch: Watch, *, mirror: str = "", carried: Path | None = None) -> None:
    """Have all files of a set here, whole and checked. What is here and right stays as it is.

    mirror: in place of scheme and host of every address; see `mirrored`.
    carried: a folder to take them from, in place of the network.

    Raises:
        ModelError: a file cannot be had; what has come of it is kept, and the line says how much.
    """
    home = folder() / one.name
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _alone(home, one.name, watch):
            for file in one.files:
                _fetch(one, file, watch, mirror, carried)
    except OSError as error:
        raise ModelError(_unwritable(error, home, one)) from error


def kept(one: WeightSet) -> str:
    """What has come of a set and is not whole yet, in words; empty where nothing has."""
    parts = [part for file in one.files if (part := part_of(place(one, file))).is_file()]
    came = sum(part.stat().st_size for part in parts)
    return f"{size(came)} are kept, the same command goes on from there" if came else ""


def _fetch(one: WeightSet, file: File, watch: Watch, mirror: str, carried: Path | None) -> None:
    path = place(one, file)
    if _is_right(file, path):
        watch.say(f"{one.name}: {path} is here" + (" and right" if file.sha256 else "; it cannot be checked"))
        return
    if carried is not None:
        watch.say(f"{one.name}: {path} taken from {take(file, carried, path)}{_unchecked(file)}")
        return
    if file.address is None:
        raise ModelError(f"{one.name} cannot be fetched; {how_to_get(one)}")
    try:
        address = mirrored(file.address, mirror) if mirror else file.address
        download(file, address, path, watch)
    except ModelError as error:
        told = f"{one.name}: {error}"
        raise ModelError("; ".join(filter(None, [told, kept(one)]))) from error
    watch.say(f"{one.name}: {path} fetched{_unchecked(file)}")


def _is_right(file: File, path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        check(file, path)
    except WrongContent:
        return False
    return True


def _unchecked(file: File) -> str:
    return "" if file.sha256 else "; it cannot be checked, no SHA-256 of it is known"


@contextmanager
def _alone(home: Path, name: str, watch: Watch) -> Iterator[None]:
    """Whoever else fetches the same set is waited for. A process that dies lets go of the lock."""
    with (home / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            watch.say(f"{name}: another process fetches it; waiting for that")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unwritable(error: OSError, home: Path, one: WeightSet) -> str:
    where = error.filename or home
    if error.errno in FULL:
        told = f"{one.name}: no room is left in {home}; make some, or move the folder with {CACHE}"
        return "; ".join(filter(None, [told, kept(one)]))
    reason = os.strerror(error.errno) if error.errno else error
    return f"{where}: cannot be written ({reason}); choose another folder with {CACHE}"
