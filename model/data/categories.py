"""What a set's categories are called, which are base and which novel, and what number each has in label maps.

AVSBench's are known. A set with others, such as a world, says so in two files: `world.json` at its root names
the base and the novel ones, and `AVSBench-semantic/label2idx.json` numbers them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from model import avsbench_ov
from model.data.files import field, read_json
from model.errors import ModelError

LABELS = Path("AVSBench-semantic") / "label2idx.json"
WORLD = Path("world.json")
LARGEST_ID = 255  # a label map has a byte for each pixel


@dataclass(frozen=True)
class Categories:
    """Names and numbers; 0 is the background and has no name here.

    `ids` may hold names that are neither base nor novel: numbers that the set's label maps could show.
    """

    ids: dict[str, int]
    base: tuple[str, ...]
    novel: tuple[str, ...]

    @property
    def base_ids(self) -> tuple[int, ...]:
        return tuple(self.ids[name] for name in self.base)

    @property
    def novel_ids(self) -> tuple[int, ...]:
        return tuple(self.ids[name] for name in self.novel)

    @property
    def classes(self) -> int:
        """How many label numbers there are, the background among them."""
        return max(self.ids.values(), default=0) + 1

    @cached_property
    def names(self) -> dict[int, str]:
        return {id_: name for name, id_ in self.ids.items()}

    def id_of(self, name: str, where: str) -> int:
        """Raises `ModelError`, which says where, if there is no such category."""
        if name not in self.ids:
            raise ModelError(f"{where}: found category {name!r}, expected one of the set's {len(self.ids)}")
        return self.ids[name]


AVSBENCH_OV = Categories(avsbench_ov.IDS, avsbench_ov.BASE, avsbench_ov.NOVEL)


def read_categories(root: Path) -> Categories:
    """The categories of the set at `root`: those its files name, else AVSBench's.

    Raises:
        ModelError: a file cannot be read, or contradicts AVSBench's numbers or itself.
    """
    ids = _read_ids(root / LABELS) if (root / LABELS).is_file() else avsbench_ov.IDS
    if not (root / WORLD).is_file():
        return Categories(ids, avsbench_ov.BASE, avsbench_ov.NOVEL)
    path = root / WORLD
    world = read_json(path, "the names of a world's categories")
    base, novel = (tuple(field(world, split, list, str(path))) for split in ("base", "novel"))
    for name in base + novel:
        if not isinstance(name, str) or name not in ids:
            raise ModelError(f"{path}: found category {name!r}, expected one that {root / LABELS} numbers")
    if both := set(base) & set(novel):
        raise ModelError(f"{path}: found {sorted(both)[0]!r} in both base and novel, expected it in one")
    return Categories(ids, base, novel)


def _read_ids(path: Path) -> dict[str, int]:
    """Name to number. Copies that begin at 0 with the first name, not the background, are set right."""
    table = read_json(path, "the number of every category")
    numbers = {name: field(table, name, int, str(path)) for name in table if name != "background"}
    missing = [name for name in avsbench_ov.NAMES if name not in numbers]
    if missing:
        raise ModelError(f"{path}: {missing[0]}: found nothing, expected a number for each category")
    shift = numbers[avsbench_ov.NAMES[0]] - avsbench_ov.IDS[avsbench_ov.NAMES[0]]
    ids = {name: number - shift for name, number in numbers.items()}
    for name, id_ in avsbench_ov.IDS.items():
        if ids[name] != id_:
            raise ModelError(
                f"{path}: {name}: found {numbers[name]}, expected {id_ + shift}: alphabetical, one apart"
            )
    seen: dict[int, str] = {}
    for name, id_ in ids.items():
        if not 0 < id_ <= LARGEST_ID or seen.setdefault(id_, name) != name:
            found = f"{numbers[name]}, as {seen[id_]} has" if id_ in seen else numbers[name]
            expected = f"a number of its own, up to {LARGEST_ID}"
            raise ModelError(f"{path}: {name}: found {found}, expected {expected}")
    return ids
