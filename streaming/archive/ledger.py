"""What became of each file, kept as it happens: a line for each in `archive.jsonl`, the newest counts.

A kill at any moment leaves whole lines and at most one torn last one, which is cut off. A file without a line
has not been done.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self

from streaming.archive.folder import LEDGER, Found
from streaming.errors import UserError
from streaming.results import whole_lines_end

WAIT_S = 10.0  # nodes of an archive that was killed need a moment to end

State = Literal["done", "failed", "other"]


@dataclass(frozen=True)
class Entry:
    """What became of a file: `done`, `failed`, or it is no recording (`other`).

    settings: what it was done with, as one hash.
    results: size of its results.jsonl in bytes; None where none is written.
    seconds: how many were processed.
    sounded: [name, seconds] of what sounded, the longest first.
    error: why it failed, or what is wrong with one that was done; one line.
    """

    file: str
    size: int
    mtime_ns: int
    state: State
    settings: str = ""
    results: int | None = None
    seconds: float = 0.0
    sounded: tuple[tuple[str, float], ...] = ()
    error: str = ""

    def is_of(self, found: Found) -> bool:
        """Whether the file is as it was then."""
        return (self.size, self.mtime_ns) == (found.size, found.mtime_ns)


class Ledger:
    """The entries of a folder, which belongs to one archive at a time.

    The lock is the kernel's, on the open file; processes that inherit `fd` hold it, too.

    Raises:
        UserError: the file cannot be opened or written, or another archive writes to the folder.
    """

    def __init__(self, out: Path, wait_s: float = WAIT_S) -> None:
        self.path = out / LEDGER
        self.entries: dict[str, Entry] = {}
        self._lock = threading.Lock()
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written ({error.strerror}); choose another --out"
            ) from None
        try:
            self._have_alone(out, wait_s)
            self._end = whole_lines_end(self._file)
            self._file.truncate(self._end)
            self._read()
        except BaseException:
            self._file.close()
            raise

    @property
    def fd(self) -> int:
        return self._file.fileno()

    def add(self, entry: Entry) -> None:
        """Keeps an entry, from any thread; it is on the disk when this returns."""
        line = json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n"
        with self._lock:
            try:
                if self._file.write(line) != len(line):
                    raise OSError(None, "the disk is full")
                if entry.state != "other":  # which is soon found again
                    os.fsync(self.fd)
            except OSError as error:
                self._file.truncate(self._end)
                raise UserError(f"{self.path}: cannot be written ({error.strerror})") from error
            self._end += len(line)
            self.entries[entry.file] = entry

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()

    def _have_alone(self, out: Path, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError:
                if time.monotonic() > until_s:
                    raise UserError(
                        f"{out}: another run over a folder writes there; wait for its end, "
                        "or choose another --out"
                    ) from None
                time.sleep(0.1)

    def _read(self) -> None:
        self._file.seek(0)
        with open(self.fd, "rb", closefd=False) as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    entry = _entry(json.loads(line))
                except (ValueError, TypeError, LookupError):
                    raise UserError(
                        f"{self.path}:{number}: no entry of an archive; mend or remove the line"
                    ) from None
                self.entries[entry.file] = entry


KEYS = {field.name for field in fields(Entry)}


def _entry(values: dict[str, Any]) -> Entry:
    known: dict[str, Any] = {key: value for key, value in values.items() if key in KEYS}
    known["sounded"] = tuple((name, seconds) for name, seconds in values["sounded"])
    return Entry(**known)
