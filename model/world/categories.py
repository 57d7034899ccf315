"""What is in the world (categories.yaml): things that sound, base and novel, and things that never do."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from model.avsbench_ov import IDS
from model.errors import ModelError

TABLE = Path(__file__).with_name("categories.yaml")
SPLITS = ("base", "novel", "mixed")
_RANGE = re.compile(r"(\d+(?:\.\d+)?)\.\.(\d+(?:\.\d+)?)")

Value = float | str | bool | list[Any] | tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Category:
    """A kind of thing that sounds. A layer's value that is a pair is a range to draw from."""

    name: str
    split: Literal["base", "novel"]
    emoji: tuple[str, ...]
    layers: tuple[dict[str, Value], ...]


@dataclass(frozen=True)
class Catalogue:
    """All categories by name, and the emoji of silent objects by their Unicode names."""

    categories: dict[str, Category]
    silent: dict[str, str]

    def of_split(self, split: str) -> tuple[Category, ...]:
        """The categories of "base", "novel" or "mixed" (both), in alphabetical order. Raises `ModelError`."""
        if split not in SPLITS:
            raise ModelError(f"split: found {split!r}, expected {', '.join(SPLITS)}")
        return tuple(
            self.categories[name]
            for name in sorted(self.categories)
            if split in ("mixed", self.categories[name].split)
        )

    @property
    def label_ids(self) -> dict[str, int]:
        """Label of every name, background 0: AVSBench's own numbers, then what it does not have."""
        others = sorted(set(self.categories) - set(IDS))
        return {"background": 0, **IDS, **{name: len(IDS) + 1 + n for n, name in enumerate(others)}}

    @property
    def emoji(self) -> tuple[str, ...]:
        """Every emoji that a world can show."""
        return (*(glyph for c in self.categories.values() for glyph in c.emoji), *self.silent.values())


@cache
def catalogue() -> Catalogue:
    """The world's table. Raises `ModelError` that names the entry and what is wrong with it."""
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    categories = {name: _category(name, entry) for name, entry in table["categories"].items()}
    silent = {
        unicodedata.name(glyph).lower().replace(" ", "-"): glyph
        for glyphs in table["silent"].values()
        for glyph in _glyphs(glyphs)
    }
    return Catalogue(categories, silent)


def _category(name: str, entry: dict[str, Any]) -> Category:
    split: Literal["base", "novel"] = "base" if "base" in entry else "novel"
    if set(entry) != {split, "sound"}:
        raise ModelError(f"{TABLE.name}: {name}: found {sorted(entry)}, expected base or novel, and sound")
    layers = entry["sound"] if isinstance(entry["sound"], list) else [entry["sound"]]
    return Category(
        name=name,
        split=split,
        emoji=_glyphs(entry[split]),
        layers=tuple({key: _value(value) for key, value in layer.items()} for layer in layers),
    )


def _glyphs(text: str) -> tuple[str, ...]:
    return tuple(character for character in text if character != "\ufe0f")


def _value(value: Any) -> Value:
    """A YAML value, `a..b` made a pair."""
    match = _RANGE.fullmatch(value) if isinstance(value, str) else None
    return (float(match[1]), float(match[2])) if match else value
