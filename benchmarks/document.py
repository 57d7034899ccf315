"""Figures into a document: the part between two marks is replaced, and nothing else; and whose they are."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path

from streaming.errors import UserError


def marks(name: str) -> tuple[str, str]:
    """The lines between which the figures of a benchmark stand."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def check(path: Path, name: str) -> None:
    """Raises `UserError` for a document that has no such part, before anything is measured."""
    begin, end = marks(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a document ({error})") from None
    if not 0 <= text.find(begin) < text.find(end):
        raise UserError(f"{path}: found no part for the figures, expected the lines {begin} and {end}")


def write(path: Path, name: str, lines: Iterable[str]) -> None:
    """Puts lines in the place of those that stand there. Raises `UserError` as `check` does."""
    check(path, name)
    begin, end = marks(name)
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    path.write_text("\n".join([f"{before}{begin}", *lines, f"{end}{after}"]), encoding="utf-8")


def processor() -> str:
    """What this machine calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
