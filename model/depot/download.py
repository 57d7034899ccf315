"""A file from an address to its place: taken up where it stopped, checked, there whole or not at all."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from io import RawIOBase
from pathlib import Path
from typing import Protocol

from model.depot.asking import Answer, BeyondEnd, Lost, Unreachable, ask, is_trusted
from model.depot.shelf import digest_of, part_of
from model.depot.table import File
from model.depot.words import size
from model.errors import ModelError

WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)  # between tries of which none brings a byte
ANOTHER_WAY = "is there a network? Without one: --from FOLDER; by another way: --mirror URL"
SPARE_BYTES = 1 << 20  # left free for others


class Watch(Protocol):
    """Who is told how it goes."""

    def begin(self, name: str, total: int | None) -> None:
        """A file is on its way; `total` bytes, where that is known."""
        ...

    def at(self, done: int) -> None:
        """So many bytes of it are here."""
        ...

    def say(self, line: str) -> None:
        """A line of its own."""
        ...


class WrongContent(ModelError):
    """All of it came, and it is not what it should be."""


def download(file: File, address: str, path: Path, watch: Watch) -> None:
    """Put the file at an address to `path`. What has come of it stays beside it when this fails.

    Raises:
        ModelError: it cannot be had; in one line, why.
        OSError: it cannot be written.
    """
    if not file.sha256 and not is_trusted(address):
        raise ModelError(
            f"{address}: expected an address with https: no SHA-256 is known that could tell what comes"
        )
    part = part_of(path)
    while True:
        begun = _length(part) > 0
        _gather(file, address, part, watch)
        try:
            check(file, part)
        except WrongContent:
            part.unlink()
            if not begun:
                raise
            watch.say(f"{file.name}: what was here of it did not belong to it; from the beginning")
        else:
            break
    settle(part, path)
    _source(part).unlink(missing_ok=True)


def check(file: File, path: Path) -> None:
    """Raises `WrongContent` where a file is not what the table says, `OSError` where it cannot be read."""
    length = path.stat().st_size
    if file.bytes is not None and length != file.bytes:
        raise WrongContent(f"{file.name}: has {length} bytes, expected {file.bytes}")
    if file.sha256 and (digest := digest_of(path)) != file.sha256:
        told = f"its SHA-256 begins with {digest[:12]}, expected {file.sha256[:12]}"
        raise WrongContent(f"{file.name}: {told}")


def settle(part: Path, path: Path) -> None:
    """Give what is whole its name: after a power cut there is nothing of that name, or all of it."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def require_room(folder: Path, wanted: int) -> None:
    """Raises `ModelError` where so many bytes have no room."""
    free = shutil.disk_usage(folder).free
    if free < wanted + SPARE_BYTES:
        raise ModelError(f"{size(wanted)} are to come, and {size(free)} are free in {folder}")


def _gather(file: File, address: str, part: Path, watch: Watch) -> None:
    """Try until all bytes are in the part, as long as that makes sense."""
    failures, ever = 0, False
    while True:
        before = _length(part)
        try:
            _once(file, address, part, watch)
            return
        except Lost as lost:
            came = _length(part) > before
            ever |= came
            failures = 1 if came else failures + 1
            # Where nobody was ever there, there is no network, or the address is wrong: no use in waiting.
            if isinstance(lost, Unreachable) and not ever:
                raise ModelError(f"{lost}; {ANOTHER_WAY}") from lost
            if failures > len(WAITS_S):
                raise ModelError(f"{lost}; given up after {failures} tries, try later") from lost
            wait_s = max(WAITS_S[failures - 1], lost.wait_s)
            watch.say(f"{file.name}: {lost}; again in {wait_s:.0f} s")
            time.sleep(wait_s)


def _once(file: File, address: str, part: Path, watch: Watch) -> None:
    """One question and its answer, added to the part.

    A part is gone on with whatever server it came from where a SHA-256 will judge of the whole. Without one,
    only where the server says that its file is still the same.
    """
    have, version = _length(part), ""
    if not file.sha256:
        with suppress(OSError):
            version = _source(part).read_text("utf-8")
        have = have if version else 0
    if have and have == file.bytes:
        return
    if file.bytes is not None and have > file.bytes:
        have = 0
    try:
        with ask(address, have, version) as answer:
            _take(file, answer, have, part, watch)
    except BeyondEnd as end:
        if end.total != have:
            part.unlink(missing_ok=True)
            raise Lost("what was here of it is longer than all of it") from end


def _take(file: File, answer: Answer, asked: int, part: Path, watch: Watch) -> None:
    total = answer.total if file.bytes is None else file.bytes
    if answer.total not in (None, total):
        raise ModelError(
            f"{answer.host} has {answer.total} bytes under that name, expected {total}: "
            "another file, or a page to log in at"
        )
    if total is None and not file.sha256:
        raise ModelError(f"{answer.host} does not say how long {file.name} is, and nobody else knows")
    if answer.start not in (0, asked):
        raise ModelError(
            f"{answer.host} gives from byte {answer.start}, expected {asked}; try another mirror"
        )
    if total is not None:
        require_room(part.parent, total - answer.start)
    if not file.sha256:
        _source(part).write_text(answer.version, "utf-8")
    watch.begin(file.name, total)
    done = answer.start
    with part.open("r+b" if part.exists() else "wb", buffering=0) as out:
        out.truncate(done)
        out.seek(done)
        watch.at(done)
        for chunk in answer.chunks():
            done += len(chunk)
            if total is not None and done > total:
                break
            _write(out, chunk)
            watch.at(done)
    if total is not None and done > total:
        part.unlink()
        raise WrongContent(f"{file.name}: {answer.host} gives more than the {total} bytes expected")
    if total is not None and done < total:
        raise Lost(f"{answer.host} stopped at {size(done)} of {size(total)}")


def _write(out: RawIOBase, chunk: bytes) -> None:
    """All of it: a disk that is nearly full takes a little, and complains of the rest."""
    view = memoryview(chunk)
    while view:
        view = view[out.write(view) or 0 :]


def _length(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def _source(part: Path) -> Path:
    return part.with_suffix(".source")
