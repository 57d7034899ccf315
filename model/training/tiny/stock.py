"""Clips of the world, rendered once and learnt from many times.

Rendering costs as much as learning, so pictures are kept, as arrays that are mapped and not read; and since
pictures do not depend on what sounds, each clip has several sound tracks, other things sounding in each.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from model.errors import ModelError
from model.vggish import second_examples
from model.world.art import TRAIN, Art
from model.world.categories import Category, catalogue
from model.world.mixing import draw_levels, mix
from model.world.paint import FPS, Painter
from model.world.scene import Options, Purpose, Scene, chance, draw_gallery, draw_scene, redrawn
from model.world.sounds import bank, looked_up
from model.world.turns import draw_turns

Cast = Literal["scenes", "gallery", "sounds"]
VOICES, VOICE_SECONDS = 128, 4  # of each category in the bank that sound tracks are mixed from
MOST_THINGS = 6
EDITION = 4  # of the world: one more whenever the same plan makes other clips
FEWEST_PIXELS = 60  # of a thing, for it to be worth showing
SOUNDING_SHARE = 0.7  # of what is shown: there are six times as many kinds that never sound
_Job = TypeVar("_Job")
_Done = TypeVar("_Done")


@dataclass(frozen=True, kw_only=True)
class StockPlan:
    """What is in a stock; the same plan makes the same stock.

    Attributes:
        cast: `scenes`, the world's own, some things redrawn; `sounds`, no more than their sound tracks;
            `gallery`, one picture each of things of any kind.
        split: of which categories: base, novel or mixed.
        soundtracks: how many for each clip.
    """

    cast: Cast
    split: str
    seed: int
    clips: int
    soundtracks: int = 0
    side: int = 160
    seconds: int = 5
    artists: tuple[str, ...] = TRAIN

    @property
    def name(self) -> str:
        """What its folder is called."""
        return f"{self.cast}-{self.split}-{self.seed}-{self.clips}x{self.seconds}s"

    @property
    def options(self) -> Options:
        return Options(split=self.split, side=self.side, seconds=self.seconds, artists=self.artists)

    @property
    def pictures(self) -> list[int]:
        """Numbers of the pictures, of the film's 25 a second, that are kept of each clip."""
        if self.cast == "sounds":
            return []
        return [FPS - 1] if self.cast == "gallery" else [(n + 1) * FPS - 1 for n in range(self.seconds)]

    def scene(self, index: int) -> Scene:
        if self.cast == "gallery":
            return draw_gallery(self.seed, index, self.options)
        return redrawn(draw_scene(self.seed, index, self.options))


@dataclass(frozen=True)
class Stock:
    """N clips of T pictures, K sound tracks each.

    Attributes:
        frames: (N, T, side, side, 3) uint8 RGB.
        shown: (N, T, side, side) uint8: 1 + the number of the thing that a pixel shows, 0 for none.
        names: of the things of each clip.
        examples: (N, K, T, 96, 64) float16 log-mel examples.
        heard: per clip and track what is heard, (N, K, T, things + 1) bool; the last one is off-screen.
        offscreen: name of what sounds off-screen, per clip and track.
    """

    plan: StockPlan
    frames: NDArray[np.uint8]
    shown: NDArray[np.uint8]
    names: Sequence[Sequence[str]]
    examples: NDArray[np.float16]
    heard: NDArray[np.bool_]
    offscreen: Sequence[Sequence[str]]

    def __len__(self) -> int:
        return len(self.frames)

    def masks(self, clip: int) -> NDArray[np.bool_]:
        """(things, T, side, side): the pixels that show each thing."""
        numbers = np.arange(1, len(self.names[clip]) + 1, dtype=np.uint8)
        return self.shown[clip] == numbers[:, None, None, None]

    def draw_thing(self, rng: np.random.Generator) -> tuple[int, int]:
        """A clip and a thing in its first picture, more often than not one of a sounding kind."""
        loud, quiet = self._worth_showing
        chosen = loud if rng.uniform() < SOUNDING_SHARE else quiet
        clip, thing = chosen[int(rng.integers(len(chosen)))].tolist()
        return clip, thing

    @cached_property
    def _worth_showing(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(clip, thing) of all that is large enough: of sounding kinds, and of others."""
        loud = set(catalogue().categories)
        places: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        for clip, names in enumerate(self.names):
            areas = np.bincount(self.shown[clip, 0].ravel(), minlength=len(names) + 1)[1:]
            for thing in np.flatnonzero(areas >= FEWEST_PIXELS).tolist():
                places[0 if names[thing] in loud else 1].append((clip, thing))
        return np.array(places[0]), np.array(places[1])

    def sounding(self, clip: int, track: int) -> NDArray[np.bool_]:
        """(things, T)."""
        return self.heard[clip, track, :, : len(self.names[clip])].T


def stock(folder: Path, plan: StockPlan, jobs: int, say: Callable[[str], None]) -> Stock:
    """The stock of a plan: as it lies in `folder`, or made there.

    Raises:
        ModelError: art is missing, or the folder cannot be written or holds another stock.
    """
    told = json.loads(json.dumps(asdict(plan))) | {"edition": EDITION}
    marker = folder / "stock.json"
    if marker.is_file():
        found = json.loads(marker.read_text(encoding="utf-8"))
        if found["plan"] != told:
            raise ModelError(f"{folder}: holds another stock; remove it, or choose another --out")
        return _mapped(folder, plan, found)
    say(f"{folder}: rendering {plan.clips} clips")
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        facts: dict[str, Any] = {"plan": told} | _render(partial, plan, jobs) | _score(partial, plan, jobs)
        (partial / marker.name).write_text(json.dumps(facts), encoding="utf-8")
        partial.replace(folder)
    except OSError as error:
        raise ModelError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return _mapped(folder, plan, facts)


def _mapped(folder: Path, plan: StockPlan, facts: dict[str, Any]) -> Stock:
    def array(name: str) -> Any:
        return np.load(folder / f"{name}.npy", mmap_mode="r")

    return Stock(
        plan=plan, frames=array("frames"), shown=array("shown"), names=facts["names"],
        examples=array("examples"), heard=array("heard"), offscreen=facts["offscreen"],
    )  # fmt: skip


def _render(folder: Path, plan: StockPlan, jobs: int) -> dict[str, Any]:
    n, t, side = plan.clips, len(plan.pictures), plan.side
    frames = np.lib.format.open_memmap(folder / "frames.npy", "w+", np.uint8, (n, t, side, side, 3))
    shown = np.lib.format.open_memmap(folder / "shown.npy", "w+", np.uint8, (n, t, side, side))
    names = []
    work = ((plan, index) for index in range(n))
    for index, (pictures, maps, things) in enumerate(_shared(_paint, work, jobs)):
        frames[index], shown[index] = pictures, maps
        names.append(things)
    return {"names": names}


_art: Art | None = None
_bank: dict[str, NDArray[np.float32]] = {}


def _paint(job: tuple[StockPlan, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[str]]:
    global _art
    _art = _art or Art()
    plan, index = job
    scene = plan.scene(index)
    names = [thing.name for thing in scene.things]
    nothing = np.zeros((0, plan.side, plan.side, 3), np.uint8)
    if not plan.pictures:
        return nothing, nothing[..., 0], names
    painter = Painter(scene, _art)
    pictures, maps = [], []
    for number in plan.pictures:
        picture, masks = painter.frame(number)
        shown = np.zeros(picture.shape[:2], np.uint8)
        for place, mask in enumerate(masks, start=1):
            shown[mask] = place
        pictures.append(picture)
        maps.append(shown)
    return np.stack(pictures), np.stack(maps), names


def _score(folder: Path, plan: StockPlan, jobs: int) -> dict[str, Any]:
    """Sound tracks for all clips."""
    n, k, t = plan.clips, plan.soundtracks, plan.seconds
    examples = np.lib.format.open_memmap(folder / "examples.npy", "w+", np.float16, (n, k, t, 96, 64))
    heard = np.zeros((n, k, t, MOST_THINGS + 1), np.bool_)
    offscreen: list[list[str]] = []
    if k:
        # Filled before the processes are forked off, which then share it.
        categories = catalogue().of_split(plan.split)
        for voices in _shared(_sing, ((plan, category) for category in categories), jobs, 1):
            _bank.update(voices)
        work = ((plan, index) for index in range(n))
        for index, (sound, who, unseen) in enumerate(_shared(_orchestrate, work, jobs)):
            examples[index], heard[index] = sound, who
            offscreen.append(unseen)
        _bank.clear()
    np.save(folder / "heard.npy", heard)
    return {"offscreen": offscreen}


def _sing(job: tuple[StockPlan, Category]) -> dict[str, NDArray[np.float32]]:
    plan, category = job
    return bank([category], plan.seed, voices=VOICES, seconds=VOICE_SECONDS)


def _orchestrate(job: tuple[StockPlan, int]) -> tuple[NDArray[np.float16], NDArray[np.bool_], list[str]]:
    plan, index = job
    scene = plan.scene(index)
    speaking = [place for place, thing in enumerate(scene.things) if thing.speaks]
    names = [scene.things[place].name for place in speaking]
    others = sorted(set(_bank) - set(names))
    heard = np.zeros((plan.soundtracks, plan.seconds, MOST_THINGS + 1), np.bool_)
    examples, unseen = [], []
    for track in range(plan.soundtracks):
        rng = chance(plan.seed, index, Purpose.SOUND, track + 1)
        turns = draw_turns(rng, len(speaking), plan.seconds)
        unseen.append(others[int(rng.integers(len(others)))])
        heard[track][:, speaking] = turns.sounding.T
        heard[track][:, -1] = turns.offscreen
        parts = []
        for name, row in zip([*names, unseen[-1]], [*turns.sounding, turns.offscreen], strict=True):
            voices = _bank[name]
            if row.any():
                parts.append((looked_up(voices[int(rng.integers(len(voices)))]), row))
        sound = mix(rng, parts, plan.seconds, draw_levels(rng))
        examples.append(second_examples(torch.from_numpy(sound)).numpy().astype(np.float16))
    return np.stack(examples), heard, unseen


def _shared(
    work: Callable[[_Job], _Done], jobs: Iterable[_Job], processes: int, at_once: int = 8
) -> Iterator[_Done]:
    """What `work` makes of each job, in order, by several processes that take some `at_once`."""
    if processes == 1:
        yield from map(work, jobs)
        return
    with get_context("fork").Pool(processes, torch.set_num_threads, (1,)) as pool:
        yield from pool.imap(work, jobs, chunksize=at_once)
