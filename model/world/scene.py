"""The plan of a clip: which things, by which artists, where, and when each sounds. Drawn before any pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from model.errors import ModelError
from model.world.art import ARTISTS, TRAIN, artists_of
from model.world.categories import Category, catalogue
from model.world.light import Light, draw_light
from model.world.mixing import Levels, draw_levels
from model.world.motion import Camera, Path, draw_camera, draw_paths
from model.world.turns import Turns, draw_turns

LARGEST, SMALLEST = 0.62, 0.22  # of a thing's longest side, in parts of the picture's
SPEAKING = (0.3, 0.4, 0.24, 0.06)  # chances of one to four visible things of a sounding kind
SILENT = (0.4, 0.35, 0.25)  # chances of none to two other things
GALLERY = (0.3, 0.35, 0.25, 0.1)  # chances of one to four things in a picture of the gallery ...
SPEAKING_IN_GALLERY = 0.4  # ... and the share of them that are of a sounding kind
INKED = 0.35, 0.25  # share of the things in a gallery, and in a lesson's scenes, that are redrawn
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What kind of clips to make.

    Raises:
        ModelError: a value is not usable; the message says what is.
    """

    split: str = "base"
    artists: tuple[str, ...] = TRAIN
    side: int = 160  # of the square picture, in pixels; even, as films need it
    seconds: int = 5

    def __post_init__(self) -> None:
        catalogue().of_split(self.split)
        artists_of(",".join(self.artists))
        if self.side % 2 or not 64 <= self.side <= 1024:
            raise ModelError(f"size: found {self.side}, expected an even number from 64 to 1024")
        if not 1 <= self.seconds <= 60:
            raise ModelError(f"seconds: found {self.seconds}, expected 1 to 60")


@dataclass(frozen=True, kw_only=True)
class Ink:
    """A thing is redrawn with lines (`ink.py`)."""

    width: float
    colours: int
    pale: float


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a thing's sprite is changed."""

    flip: bool
    hue: float  # degrees
    saturation: float
    brightness: float
    outline: float  # width of a dark line around it, in parts of its size
    shadow: float  # darkness of what it throws upon all behind it
    ink: Ink | None = None


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Something visible; nearer than the things before it."""

    name: str  # of its category, or the Unicode name of a silent object
    emoji: str
    artist: str
    speaks: bool  # of a sounding kind, whether or not it sounds here
    look: Look
    path: Path


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A whole plan. Rows of `turns.sounding` are the things that `speaks`, in their order."""

    seed: int
    index: int
    options: Options
    things: tuple[Thing, ...]
    offscreen: str  # the category that is heard in `turns.offscreen`, and not seen
    turns: Turns
    camera: Camera
    light: Light
    levels: Levels = field(repr=False)


class Purpose(IntEnum):
    """Each use of chance has a stream of its own, so that changing one leaves the others as they are."""

    PLAN = 0
    BACKDROP = 1
    SOUND = 2
    NOISE = 3
    INK = 4


def chance(seed: int, index: int, purpose: Purpose, more: int = 0) -> Generator:
    """The random numbers of one clip for one purpose."""
    return np.random.default_rng([seed, index, purpose, more])


def draw_scene(seed: int, index: int, options: Options) -> Scene:
    """Plans clip number `index` of a seed: what it holds depends on these three alone."""
    rng = chance(seed, index, Purpose.PLAN)
    pool, silent = _drawn(options.split, options.artists)
    count = 1 + int(rng.choice(len(SPEAKING), p=SPEAKING))
    *seen, unseen = (pool[number] for number in rng.choice(len(pool), count + 1, replace=False))
    others = int(rng.choice(len(SILENT), p=SILENT))
    names = rng.choice(silent, others, replace=False).tolist()
    things = _draw_things(rng, seen, names, options)
    return Scene(
        seed=seed,
        index=index,
        options=options,
        things=tuple(things),
        offscreen=unseen.name,
        turns=draw_turns(rng, count, options.seconds),
        camera=draw_camera(rng),
        light=draw_light(rng, options.side),
        levels=draw_levels(rng),
    )


def draw_gallery(seed: int, index: int, options: Options) -> Scene:
    """Plans a picture of things of any kind, those that never sound among them; none is meant to sound.

    The world's own scenes show each of the hundreds of silent kinds seldom; to learn what things look like,
    all should be seen alike.
    """
    rng = chance(seed, index, Purpose.PLAN, 1)
    pool, silent = _drawn(options.split, options.artists)
    count = 1 + int(rng.choice(len(GALLERY), p=GALLERY))
    speaking = int((rng.uniform(size=count) < SPEAKING_IN_GALLERY).sum())
    seen = [pool[number] for number in rng.choice(len(pool), speaking, replace=False)]
    names = rng.choice(silent, count - speaking, replace=False).tolist()
    nothing = np.zeros((speaking, options.seconds), np.bool_)
    return Scene(
        seed=seed,
        index=index,
        options=options,
        things=_at_times_inked(rng, _draw_things(rng, seen, names, options), INKED[0]),
        offscreen="",
        turns=Turns(nothing, np.zeros(options.seconds, np.bool_)),
        camera=draw_camera(rng),
        light=draw_light(rng, options.side),
        levels=draw_levels(rng),
    )


def redrawn(scene: Scene) -> Scene:
    """The same scene, in which some things look as if by another artist."""
    rng = chance(scene.seed, scene.index, Purpose.INK)
    return replace(scene, things=_at_times_inked(rng, scene.things, INKED[1]))


def _at_times_inked(rng: Generator, things: Sequence[Thing], share: float) -> tuple[Thing, ...]:
    shown = []
    for thing in things:
        ink = Ink(
            width=float(rng.uniform(0.012, 0.04)),
            colours=int(rng.integers(3, 9)),
            pale=float(rng.uniform(0, 0.5)),
        )
        inked = rng.uniform() < share
        shown.append(replace(thing, look=replace(thing.look, ink=ink)) if inked else thing)
    return tuple(shown)


@cache
def _drawn(split: str, artists: tuple[str, ...]) -> tuple[tuple[Category, ...], tuple[str, ...]]:
    """The categories of a split, and the names of silent things, that any of these artists has drawn."""
    pool = tuple(kind for kind in catalogue().of_split(split) if _drawings(kind.emoji, artists))
    silent = catalogue().silent
    return pool, tuple(name for name in sorted(silent) if _drawings((silent[name],), artists))


def _drawings(emoji: Sequence[str], artists: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Those of the emoji that any of the artists has drawn, each with who has."""
    drawn = ((glyph, [name for name in artists if ARTISTS[name].has(glyph)]) for glyph in emoji)
    return [(glyph, able) for glyph, able in drawn if able]


def _draw_things(
    rng: Generator, seen: Sequence[Category], silent: Sequence[str], options: Options
) -> list[Thing]:
    count = len(seen) + len(silent)
    largest = LARGEST * (1.0, 0.95, 0.85, 0.75, 0.68, 0.62)[count - 1]
    sizes = np.exp(rng.uniform(np.log(SMALLEST), np.log(largest), count))
    kinds = [(kind.name, kind.emoji, True) for kind in seen]
    kinds += [(name, (catalogue().silent[name],), False) for name in silent]
    paths = draw_paths(rng, sizes.tolist(), options.seconds)
    things = []
    for (name, emoji, speaks), path in zip(kinds, paths, strict=True):
        glyph, able = _one_of(rng, _drawings(emoji, options.artists))
        artist = _one_of(rng, able)
        look = _draw_look(rng)
        things.append(Thing(name=name, emoji=glyph, artist=artist, speaks=speaks, look=look, path=path))
    return [things[number] for number in rng.permutation(count)]


def _one_of(rng: Generator, choices: Sequence[_T]) -> _T:
    """Takes one number from `rng`, however many the choices: what follows is the same by all artists."""
    return choices[int(rng.uniform() * len(choices))]


def _draw_look(rng: Generator) -> Look:
    return Look(
        flip=bool(rng.uniform() < 0.5),
        hue=float(rng.normal(0, 8)),
        saturation=float(rng.uniform(0.6, 1.25)),
        brightness=float(rng.uniform(0.75, 1.15)),
        outline=float(rng.uniform(0.01, 0.03)) if rng.uniform() < 0.2 else 0.0,
        shadow=float(rng.uniform(0.2, 0.6)) if rng.uniform() < 0.3 else 0.0,
    )
