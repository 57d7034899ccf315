"""Clips with exact truth: what is seen, what is heard, and which pixels show what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.world.art import Art
from model.world.categories import catalogue
from model.world.mixing import Make, mix
from model.world.paint import FPS, Painter
from model.world.scene import Options, Purpose, Scene, chance, draw_scene
from model.world.sounds import draw_voice


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One clip. A picture is the last of its second, as AVSBench has it.

    Attributes:
        frames: (T, side, side, 3) uint8 RGB.
        audio: (T, 16000) float32 in [-1, 1].
        visible: (things, T, side, side) bool, the pixels that show each thing, whether or not it sounds.
        sounding: (things, T) bool.
    """

    scene: Scene
    frames: NDArray[np.uint8]
    audio: NDArray[np.float32]
    visible: NDArray[np.bool_]
    sounding: NDArray[np.bool_]

    @property
    def silent_seconds(self) -> NDArray[np.bool_]:
        """Seconds in which nothing sounds, seen or not; shape (T,)."""
        return ~(self.sounding.any(axis=0) | self.scene.turns.offscreen)


def generate(seed: int, index: int, options: Options | None = None, art: Art | None = None) -> Clip:
    """Makes clip number `index` of a seed. The same three give the same bytes.

    Raises:
        ArtMissing: an artist's set is not installed.
    """
    scene = draw_scene(seed, index, options or Options())
    painter = Painter(scene, art or Art())
    pictures, masks = zip(
        *(painter.frame((second + 1) * FPS - 1) for second in range(scene.options.seconds)), strict=True
    )
    return Clip(
        scene=scene,
        frames=np.stack(pictures),
        audio=soundtrack(scene),
        visible=np.stack(masks, axis=1),
        sounding=sounding(scene),
    )


def sounding(scene: Scene) -> NDArray[np.bool_]:
    """Which thing sounds in which second; those that never do have rows of their own. Shape (things, T)."""
    rows = np.zeros((len(scene.things), scene.options.seconds), np.bool_)
    rows[[thing.speaks for thing in scene.things]] = scene.turns.sounding
    return rows


def soundtrack(scene: Scene) -> NDArray[np.float32]:
    """Synthesises the sound of a scene, shape (T, 16000) float32 in [-1, 1]."""
    rng = chance(scene.seed, scene.index, Purpose.SOUND)
    speaking = [thing.name for thing in scene.things if thing.speaks]
    rows = [*scene.turns.sounding, scene.turns.offscreen]
    parts: list[tuple[Make, NDArray[np.bool_]]] = []
    for name, row in zip([*speaking, scene.offscreen], rows, strict=True):
        if row.any():
            parts.append((draw_voice(catalogue().categories[name], rng).sound, row))
    return mix(rng, parts, scene.options.seconds, scene.levels)


def film(scene: Scene, art: Art) -> Iterator[NDArray[np.uint8]]:
    """Every picture of a scene, 25 a second; its clip has numbers 24, 49, ... Raises `ArtMissing`."""
    painter = Painter(scene, art)
    for number in range(scene.options.seconds * FPS):
        yield painter.frame(number)[0]
