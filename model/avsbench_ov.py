"""The 70 categories of AVSBench-OV: 40 base ones, seen in training, and 30 novel ones (Section 4.1)."""

from __future__ import annotations

BASE: tuple[str, ...] = (
    "airplane", "baby", "bell", "bird", "boat", "boy", "bus", "car", "cat", "clock", "dog", "donkey", "drum",
    "duck", "elephant", "girl", "goose", "guitar", "gun", "hair-dryer", "helicopter", "hen", "horse",
    "keyboard", "lion", "man", "missile-rocket", "motorcycle", "parrot", "piano", "pig", "sheep", "squirrel",
    "tiger", "tractor", "train", "truck", "trumpet", "vacuum-cleaner", "woman",
)  # fmt: skip
NOVEL: tuple[str, ...] = (
    "accordion", "axe", "bassoon", "cello", "clarinet", "clipper", "emergency-car", "erhu", "flute",
    "frying-food", "guzheng", "handpan", "harmonica", "harp", "leopard", "marimba", "mower", "pipa", "saw",
    "saxophone", "sitar", "sorna", "tabla", "tank", "trombone", "tuba", "ukulele", "utv", "violin", "wolf",
)  # fmt: skip

NAMES: tuple[str, ...] = tuple(sorted(BASE + NOVEL))
BACKGROUND = 0
# Label maps hold 1 to 70 in alphabetical order over both splits; copies of the data set that are shifted by
# one exist, so files are read by name.
IDS: dict[str, int] = {name: number for number, name in enumerate(NAMES, start=1)}
BASE_IDS: tuple[int, ...] = tuple(IDS[name] for name in BASE)
NOVEL_IDS: tuple[int, ...] = tuple(IDS[name] for name in NOVEL)
