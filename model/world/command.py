"""`run_pipeline.py world`: makes a set of clips, or the sprites that clips are made of."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import track

from model.errors import ModelError
from model.world.art import ART, SIDE, TEST, TRAIN, Art, artists_of
from model.world.categories import catalogue
from model.world.clip import generate
from model.world.index import write_index
from model.world.layout import write_clip, write_film
from model.world.scene import Options


@dataclass(frozen=True, kw_only=True)
class Order:
    """A set to be made. Raises `ModelError` if it contradicts itself."""

    out: Path
    seed: int
    first: int
    clips: int
    part: str
    films: bool
    options: Options
    art: Path = ART

    def __post_init__(self) -> None:
        if self.part == "train" and self.options.split != "base":
            raise ModelError(
                f"--part train with --split {self.options.split}: what is trained on holds base categories "
                "only; give --split base, or --part val or test"
            )
        for name, value in (("seed", self.seed), ("first", self.first), ("clips", self.clips)):
            if value < 0:
                raise ModelError(f"--{name}: found {value}, expected 0 or more")


def main(args: argparse.Namespace) -> int:
    """Does what the options (`arguments.py`) say. Raises `ModelError`."""
    folder = args.art or ART
    if args.sprites:
        count = Art(folder, _glyph_side(args.size)).render(TRAIN + TEST, catalogue().emoji)
        print(f"{count} sprites are in {folder / 'sprites'}")
        return 0
    if args.out is None:
        raise ModelError("--out: say in which folder the set is to be made")
    options = Options(
        split=args.split, artists=artists_of(args.artists), side=args.size, seconds=args.seconds
    )
    order = Order(
        out=args.out, seed=args.seed, first=args.first, clips=args.clips, films=args.films, options=options,
        part=args.part or ("train" if args.split == "base" else "test"), art=folder,
    )  # fmt: skip
    make(order, max(1, args.jobs))
    parts = ", ".join(f"{count} {part}" for part, count in sorted(write_index(order.out).items()))
    print(f"{order.out} holds {parts or 'no'} clips")
    return 0


def make(order: Order, jobs: int) -> None:
    """Makes the clips of an order, in this process or in several. Raises `ModelError`."""
    numbers = range(order.first, order.first + order.clips)
    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    for _ in track(_made(order, numbers, jobs), "making clips", total=len(numbers), console=console):
        pass


def _made(order: Order, numbers: range, jobs: int) -> Iterator[str]:
    if jobs == 1:
        art = _art_for(order)
        yield from (make_clip(order, number, art) for number in numbers)
        return
    # Spawned, not forked: the parent may have loaded libraries whose threads do not survive a fork.
    with ProcessPoolExecutor(jobs, get_context("spawn"), _start, (order,)) as pool:
        yield from pool.map(partial(_make_here, order), numbers, chunksize=8)


def make_clip(order: Order, number: int, art: Art) -> str:
    """Makes and writes one clip, and returns its uid."""
    clip = generate(order.seed, number, order.options, art)
    if order.films:
        write_film(clip.scene, clip.audio, art, order.out)
    return write_clip(clip, order.part, order.out)


def _art_for(order: Order) -> Art:
    return Art(order.art, _glyph_side(order.options.side))


def _glyph_side(side: int) -> int:
    """At what size sprites for pictures of a size are rendered: a few sizes for all, since they are kept."""
    return SIDE * max(1, -(-side // 256))


_workshop: dict[str, Art] = {}


def _start(order: Order) -> None:
    cv2.setNumThreads(1)
    _workshop["art"] = _art_for(order)


def _make_here(order: Order, number: int) -> str:
    return make_clip(order, number, _workshop["art"])
