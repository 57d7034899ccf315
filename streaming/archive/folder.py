"""The files of a folder, of any size: found one after the other, in an order that is the same every time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

LEDGER = "archive.jsonl"  # a folder that holds one is what an earlier archive has made
OF_A_RUN = {"run.json", "results.jsonl"}  # and one that holds these is what a run has made


@dataclass(frozen=True)
class Found:
    """A file that may be a recording.

    name: its path below the folder as text that can be shown and written, what is not UTF-8 in it escaped.
    path: its absolute path.
    size, mtime_ns: by which a change is noticed.
    """

    name: str
    path: Path
    size: int
    mtime_ns: int


@dataclass
class Folder:
    """What lies below `root`, but for what lies in `out`.

    Symbolic links are followed to what lies outside of the folder, each directory once; what lies inside is
    found without them. Whatever begins with a dot is left out, and so is what runs have written.

    unlisted: is told of directories that cannot be listed: their name, and why.
    hidden: how many files and directories were left out for their names; `links`, for where they lead.
    """

    root: Path
    out: Path
    unlisted: Callable[[str, str], None] = lambda name, why: None
    hidden: int = 0
    links: int = 0
    _entered: set[tuple[int, int]] = field(default_factory=set)

    def __iter__(self) -> Iterator[Found]:
        self.hidden = self.links = 0
        self._entered = set()
        root, out = os.path.realpath(self.root), os.path.realpath(self.out)
        below = [self._entries(root, "")]
        while below:
            entry, name = next(below[-1], (None, ""))
            if entry is None:
                below.pop()
                continue
            try:
                if entry.is_symlink() and not self._leads_outside(entry, root, out):
                    self.links += 1
                elif entry.is_dir():
                    if not (os.path.exists(out) and os.path.samefile(entry.path, out)):
                        below.append(self._entries(entry.path, name))
                elif entry.is_file():
                    status = entry.stat()
                    yield Found(shown(name), Path(entry.path), status.st_size, status.st_mtime_ns)
            except OSError as error:
                self.unlisted(shown(name), f"cannot be looked at: {error.strerror}")

    def _entries(self, directory: str, name: str) -> Iterator[tuple[os.DirEntry[str], str]]:
        """What is in a directory, in the order of the bytes of the names; nothing of one that was had."""
        try:
            identity = _identity(os.stat(directory))
            with os.scandir(directory) as listing:
                entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            self.unlisted(shown(name) or ".", f"cannot be listed: {error.strerror}")
            return
        names = {entry.name for entry in entries}
        if identity in self._entered or LEDGER in names or names >= OF_A_RUN:
            return
        self._entered.add(identity)
        for entry in entries:
            if entry.name.startswith("."):
                self.hidden += 1
            else:
                yield entry, os.path.join(name, entry.name)

    def _leads_outside(self, entry: os.DirEntry[str], root: str, out: str) -> bool:
        """Whether a link leads to something that is not found without it; one that leads nowhere does not."""
        try:
            status = entry.stat()
        except OSError:
            return False
        target = os.path.realpath(entry.path)
        inside = any(os.path.commonpath([target, place]) == place for place in (root, out))
        return not inside and _identity(status) not in self._entered


def shown(name: str) -> str:
    """A file's name as text: bytes that are not UTF-8 are written as \\xNN.

    >>> shown("caf\\udce9.mp4")
    'caf\\\\xe9.mp4'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
