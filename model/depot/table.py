"""The table of weights that can be fetched: their files, what is known of each, what they are for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from model.errors import ModelError

TABLE = Path(__file__).with_name("table.yaml")


@dataclass(frozen=True)
class File:
    """A file of a set; None for what is not known of it, and for the address of one that is got by hand."""

    name: str
    address: str | None = None
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class WeightSet:
    """Files that are of use together only.

    presets: those that need it.
    by_hand: how to get it where it cannot be fetched; empty where it can.
    """

    name: str
    purpose: str
    licence: str
    files: tuple[File, ...]
    presets: tuple[str, ...] = ()
    by_hand: str = ""
    note: str = ""

    @property
    def bytes(self) -> int | None:
        """Of all files together; None where that of one is not known."""
        sizes = [file.bytes for file in self.files if file.bytes is not None]
        return sum(sizes) if len(sizes) == len(self.files) else None

    @property
    def checked(self) -> bool:
        """Whether what comes can be told from anything else."""
        return all(file.sha256 for file in self.files)


Table = Mapping[str, WeightSet]


def table() -> Table:
    """All sets by name, in the order of the file."""
    return _read(TABLE)


def chosen(names: Iterable[str], sets: Table) -> list[WeightSet]:
    """The sets that names mean, each once: its own name, or that of a preset for all that it needs.

    Raises:
        ModelError: a name is neither.
    """
    found: dict[str, WeightSet] = {}
    for name in names:
        group = {one.name: one for one in sets.values() if name in (one.name, *one.presets)}
        if not group:
            known = [*sets, *sorted({preset for one in sets.values() for preset in one.presets})]
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"close to it: {', '.join(near)}" if near else f"expected one of {', '.join(known)}"
            raise ModelError(f"found {name!r}, which is the name of no weights and of no preset; {hint}")
        found |= group
    return list(found.values())


@cache
def _read(path: Path) -> Table:
    import yaml  # here, so that --help and the doctor need no package

    return {name: _set(name, about) for name, about in yaml.safe_load(path.read_text("utf-8")).items()}


def _set(name: str, about: dict[str, Any]) -> WeightSet:
    files = tuple(File(file, **(known or {})) for file, known in about.pop("files").items())
    return WeightSet(name, files=files, presets=tuple(about.pop("presets", ())), **about)
