"""Weights out of a folder that somebody has carried over, in place of the network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from model.depot.download import WrongContent, check, require_room, settle
from model.depot.shelf import part_of
from model.depot.table import File
from model.errors import ModelError


def take(file: File, folder: Path, path: Path) -> Path:
    """Put a file of the folder to `path`, as a second name of it or as a copy; which one it was.

    It is looked for by name in the folder and those below it, and by what is in it where a SHA-256 is known:
    a file that was given another name is found as well.

    Raises:
        ModelError: the folder has no such file, or only another of that name.
        OSError: something cannot be read or written.
    """
    if not folder.is_dir():
        raise ModelError(f"--from {folder}: expected a folder")
    wrong: WrongContent | None = None
    for candidate in _candidates(file, folder):
        try:
            check(file, candidate)
        except WrongContent as error:
            if candidate.name == file.name:
                wrong = error
            continue
        _put(candidate.resolve(), path)
        return candidate
    if wrong is not None:
        raise ModelError(f"--from {folder}: {wrong}")
    raise ModelError(f"--from {folder}: has no {file.name}, nor that file by another name")


def _candidates(file: File, folder: Path) -> Iterator[Path]:
    """Those of the right name first; then those that only their content could tell."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    yield from (path for path in files if path.name == file.name)
    if file.sha256 and file.bytes is not None:
        yield from (p for p in files if p.name != file.name and p.stat().st_size == file.bytes)


def _put(source: Path, path: Path) -> None:
    part = part_of(path)
    part.unlink(missing_ok=True)
    linked = False
    with suppress(OSError):  # another disk, or one that has no second names
        os.link(source, part)
        linked = True
    if not linked:
        require_room(path.parent, source.stat().st_size)
        shutil.copyfile(source, part)
    settle(part, path)
