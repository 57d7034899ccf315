"""Paints a scene at any time: the picture, and of every thing the pixels that show it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from model.world.art import Art, Sprite
from model.world.backdrop import draw_backdrop
from model.world.ink import inked
from model.world.scene import Look, Purpose, Scene, Thing, chance

FPS = 25
OVERSIZE = 1.25  # of the backdrop, so that the camera may shake
SHOWN = 0.5  # the share of a pixel from which it counts as the thing's


class Painter:
    """Paints the pictures of one scene. Raises `ArtMissing` if a sprite cannot be had."""

    def __init__(self, scene: Scene, art: Art) -> None:
        self._scene = scene
        self._side = scene.options.side
        rng = chance(scene.seed, scene.index, Purpose.BACKDROP)
        self._backdrop = draw_backdrop(rng, round(OVERSIZE * self._side))
        self._sprites = [
            _prepared(art.sprite(thing.artist, thing.emoji), thing, self._side) for thing in scene.things
        ]

    def frame(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Picture `number` of the film, at 25 a second.

        Returns:
            The picture, shape (side, side, 3) uint8 RGB, and which of its pixels show each thing, shape
            (things, side, side) bool: what is covered by nearer things is not shown.
        """
        t, size = number / FPS, (self._side, self._side)
        camera = self._scene.camera.matrix(t, self._side)
        lead = camera.copy()
        lead[:, 2] -= lead[:, :2] @ np.full(2, (len(self._backdrop) - self._side) / 2)
        picture = cv2.warpAffine(self._backdrop, lead, size, borderMode=cv2.BORDER_REFLECT_101)
        shares = np.zeros((len(self._sprites), self._side, self._side), np.float32)
        for place, (thing, sprite) in enumerate(zip(self._scene.things, self._sprites, strict=True)):
            layer = cv2.warpAffine(sprite, _placed(thing, sprite, camera, t, self._side), size)
            cover = np.asarray(layer[..., 3], np.float32)
            if thing.look.shadow:
                picture *= 1 - thing.look.shadow * _shadow(cover, thing.path.size * self._side)[..., None]
            picture = picture * (1 - cover[..., None]) + layer[..., :3]
            shares[:place] *= 1 - cover
            shares[place] = cover
        noise = chance(self._scene.seed, self._scene.index, Purpose.NOISE, number)
        return self._scene.light.on(np.asarray(picture, np.float32), t, noise), shares > SHOWN


def _prepared(sprite: Sprite, thing: Thing, side: int) -> NDArray[np.float32]:
    """The sprite as the thing looks, at about its size, with a free border; RGB times alpha, alpha 0 to 1."""
    scale = thing.path.size * side / max(sprite.shape[:2])
    alpha = sprite[..., 3:].astype(np.float32) / np.float32(255)
    whole: NDArray[np.float32] = np.concatenate([_recoloured(sprite, thing.look), alpha], axis=-1)
    if (ink := thing.look.ink) is not None:
        whole = inked(whole, ink.width, ink.colours, ink.pale)
    whole[..., :3] *= whole[..., 3:]
    if thing.look.flip:
        whole = whole[:, ::-1]
    size = [max(2, round(length * scale)) for length in sprite.shape[1::-1]]
    # Averaging areas keeps small sprites free of moiré; the warp that follows hardly scales any more.
    small = cv2.resize(whole, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    line = round(thing.look.outline * max(size))
    border = line + 2
    framed = cv2.copyMakeBorder(small, border, border, border, border, cv2.BORDER_CONSTANT)
    drawn = np.asarray(framed, np.float32)
    return _outlined(drawn, line) if line else drawn


def _recoloured(sprite: Sprite, look: Look) -> NDArray[np.float32]:
    hsv = cv2.cvtColor(sprite[..., :3].astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + look.hue) % 360
    hsv[..., 1] = np.minimum(1, hsv[..., 1] * look.saturation)
    hsv[..., 2] *= look.brightness
    return np.asarray(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.float32)


def _outlined(sprite: NDArray[np.float32], line: int) -> NDArray[np.float32]:
    """A dark line around the sprite, and part of it."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * line + 1, 2 * line + 1))
    grown = cv2.dilate(sprite[..., 3], disc)[..., None]
    ink = np.concatenate([np.full_like(sprite[..., :3], 20) * grown, grown], axis=-1)
    return np.asarray(sprite + ink * (1 - sprite[..., 3:]), np.float32)


def _placed(
    thing: Thing, sprite: NDArray[np.float32], camera: NDArray[np.float64], t: float, side: int
) -> NDArray[np.float64]:
    """Maps the sprite's pixels to the picture's, shape (2, 3)."""
    x, y, degrees, size = thing.path.at(t)
    scale, angle = size / thing.path.size, np.deg2rad(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (np.array(sprite.shape[1::-1]) - 1) / 2
    shift = np.array([x, y]) * side - 0.5 - turn @ middle
    placed = np.vstack([np.column_stack([turn, shift]), [0, 0, 1]])
    return np.asarray(camera @ placed, np.float64)


def _shadow(cover: NDArray[np.float32], size: float) -> NDArray[np.float32]:
    """What a cover throws, soft, a little below it and to its right."""
    moved = cv2.warpAffine(cover, np.array([[1, 0, 0.04 * size], [0, 1, 0.07 * size]]), cover.shape[::-1])
    return np.asarray(cv2.GaussianBlur(moved, (0, 0), max(0.6, 0.035 * size)), np.float32)
