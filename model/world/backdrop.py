"""Backgrounds, drawn by rule: gradients, clouds, tiles, landscapes, rooms, each at times with clutter."""

from __future__ import annotations

import colorsys
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Picture = NDArray[np.float32]
"""Shape (side, side, 3), RGB from 0 to 255."""


def draw_backdrop(rng: Generator, side: int) -> Picture:
    """Draws a background, shape (side, side, 3) float32, RGB from 0 to 255."""
    kind = (_gradient, _cloudy, _tiles, _landscape, _indoors)[
        int(rng.choice(5, p=[0.15, 0.3, 0.15, 0.2, 0.2]))
    ]
    picture = kind(rng, side)
    if rng.uniform() < 0.45:
        _clutter(rng, picture)
    grain = _cloud(rng, side, octaves=3, coarse=12)
    return np.clip(picture * (1 + rng.uniform(0, 0.25) * (grain[..., None] - 0.5)), 0, 255).astype(np.float32)


def _colour(rng: Generator) -> NDArray[np.float32]:
    """Any colour, dull ones more often than bright ones."""
    return np.array(
        colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0, 0.9) ** 1.3, rng.uniform(0.12, 1.0)), np.float32
    ) * np.float32(255)


def _akin(rng: Generator, colour: NDArray[np.float32], by: float) -> NDArray[np.float32]:
    return np.clip(colour * rng.uniform(1 - by, 1 + by) + rng.uniform(-30, 30, 3) * by, 0, 255).astype(
        np.float32
    )


def _cloud(rng: Generator, side: int, octaves: int, coarse: int) -> NDArray[np.float32]:
    """Smooth noise of several octaves, shape (side, side), from 0 to 1."""
    total = np.zeros((side, side), np.float32)
    for octave in range(octaves):
        grid = rng.uniform(0, 1, (coarse << octave, coarse << octave)).astype(np.float32)
        total += cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC) * np.float32(0.55**octave)
    low, high = float(total.min()), float(total.max())
    return (total - low) / (high - low)


def _ramp(share: NDArray[np.float32], colours: list[NDArray[np.float32]]) -> Picture:
    """Colours between the given ones, by a share from 0 to 1."""
    places = np.linspace(0, 1, len(colours))
    table = np.stack(colours)
    return np.stack([np.interp(share, places, table[:, band]) for band in range(3)], axis=-1).astype(
        np.float32
    )


def _gradient(rng: Generator, side: int) -> Picture:
    across, down = np.meshgrid(*[np.linspace(0, 1, side, dtype=np.float32)] * 2)
    if rng.uniform() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        share = across * np.cos(angle) + down * np.sin(angle)
    else:
        share = np.hypot(across - rng.uniform(), down - rng.uniform())
    share = (share - share.min()) / np.ptp(share)
    return _ramp(share.astype(np.float32), [_colour(rng) for _ in range(int(rng.integers(2, 4)))])


def _cloudy(rng: Generator, side: int) -> Picture:
    cloud = _cloud(rng, side, octaves=int(rng.integers(2, 6)), coarse=int(rng.integers(2, 9)))
    first = _colour(rng)
    others = [_colour(rng) if rng.uniform() < 0.4 else _akin(rng, first, 0.6) for _ in range(2)]
    return _ramp(cloud, [first, *others])


def _tiles(rng: Generator, side: int) -> Picture:
    across, down = np.meshgrid(*[np.arange(side, dtype=np.float32)] * 2)
    angle, size = rng.uniform(0, np.pi / 2), side / rng.uniform(3, 14)
    u = (across * np.cos(angle) + down * np.sin(angle)) / size
    v = (down * np.cos(angle) - across * np.sin(angle)) / (size * rng.uniform(0.5, 2))
    manner = rng.integers(3)
    if manner == 0:  # stripes
        share = (np.floor(u) % 2).astype(np.float32)
    elif manner == 1:  # a board
        share = ((np.floor(u) + np.floor(v)) % 2).astype(np.float32)
    else:  # bricks with joints
        u = u + 0.5 * (np.floor(v) % 2)
        share = ((u % 1 < 0.08) | (v % 1 < 0.1)).astype(np.float32)
    first = _colour(rng)
    return _ramp(share, [first, _akin(rng, first, 0.5) if rng.uniform() < 0.7 else _colour(rng)])


def _landscape(rng: Generator, side: int) -> Picture:
    horizon = rng.uniform(0.3, 0.7)
    down = np.linspace(0, 1, side, dtype=np.float32)[:, None].repeat(side, axis=1)
    sky, ground = _colour(rng), _colour(rng)
    picture = _ramp(np.clip(down / horizon, 0, 1), [sky, _akin(rng, sky, 0.5)])
    across = np.linspace(0, 1, side)
    for layer in range(int(rng.integers(1, 4))):
        waves = [
            rng.uniform(0.01, 0.06) * np.sin(rng.uniform(3, 25) * across + rng.uniform(0, 6))
            for _ in range(3)
        ]
        ridge = horizon + 0.12 * layer + sum(waves)
        cloud = _cloud(rng, side, octaves=4, coarse=6)
        earth = _akin(rng, ground, 0.5)
        picture = np.where((down > ridge)[..., None], _ramp(cloud, [earth, _akin(rng, earth, 0.4)]), picture)
    return picture


def _indoors(rng: Generator, side: int) -> Picture:
    wall, floor = _colour(rng), _colour(rng)
    edge = round(side * rng.uniform(0.55, 0.8))
    picture = _ramp(_cloud(rng, side, octaves=2, coarse=3), [wall, _akin(rng, wall, 0.25)])
    boards = _ramp(_cloud(rng, side, octaves=3, coarse=5), [floor, _akin(rng, floor, 0.4)])
    picture[edge:] = boards[edge:]
    for _ in range(int(rng.integers(0, 4))):  # windows, pictures, furniture
        left, top = (int(place) for place in rng.integers(0, side, 2))
        right, bottom = left + round(side * rng.uniform(0.1, 0.4)), top + round(side * rng.uniform(0.1, 0.4))
        cv2.rectangle(picture, (left, top), (right, bottom), _scalar(rng), -1)
        cv2.rectangle(picture, (left, top), (right, bottom), _scalar(rng), max(1, side // 80))
    return picture


def _clutter(rng: Generator, picture: Picture) -> None:
    """Scatters lines, ovals and corners, more or less transparent, over the picture."""
    side = len(picture)
    over = picture.copy()
    for _ in range(int(rng.integers(3, 25))):
        x, y, a, b = (round(float(value)) for value in rng.uniform(0, side, 4))
        size = max(2, round(side * float(np.exp(rng.uniform(np.log(0.02), np.log(0.25))))))
        form = rng.integers(3)
        if form == 0:
            cv2.line(over, (x, y), (a, b), _scalar(rng), max(1, size // 8), cv2.LINE_AA)
        elif form == 1:
            axes = (size, max(1, round(size * rng.uniform(0.3, 1))))
            cv2.ellipse(over, (x, y), axes, rng.uniform(0, 180), 0, 360, _scalar(rng), -1, cv2.LINE_AA)
        else:
            corners = np.round(np.array([x, y]) + rng.uniform(-size, size, (int(rng.integers(3, 6)), 2)))
            cv2.fillPoly(over, [corners.astype(np.int32)], _scalar(rng), cv2.LINE_AA)
    share = float(rng.uniform(0.35, 1))
    cv2.addWeighted(over, share, picture, 1 - share, 0, dst=picture)


def _scalar(rng: Generator) -> tuple[Any, ...]:
    return tuple(float(value) for value in _colour(rng))
