"""Small sets for the tests: a world without an artist, and files written by hand as AVSBench names them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import wavfile

from model.world.art import Art
from model.world.clip import Clip, generate
from model.world.index import write_index
from model.world.layout import palette, write_clip
from model.world.scene import Options

SIDE = 64


def world(
    root: Path,
    part: str,
    clips: int,
    seconds: int = 2,
    split: str = "mixed",
    seed: int = 4,
    first: Sequence[Callable[[Clip], bool]] = (),
    side: int = SIDE,
) -> list[Clip]:
    """Adds clips to a set, in the reader's order, and returns what they show.

    Of the first clips may be asked what a test needs: the next that has it is taken.
    """
    options = Options(split=split, artists=("shapes",), side=side, seconds=seconds)
    drawn = (generate(seed, index, options, Art(root)) for index in itertools.count())
    made = [next(clip for clip in drawn if wanted(clip)) for wanted in first]
    made += itertools.islice(drawn, clips - len(made))
    for clip in made:
        write_clip(clip, part, root)
    write_index(root)
    return made


def classes(clip: Clip) -> int:
    """How many of its things sound at some time."""
    return int(clip.sounding.any(axis=1).sum())


def edit(path: Path, change: Callable[[Any], object]) -> None:
    """Reads a JSON file, lets `change` alter it, and writes it back."""
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def grey(height: int, width: int, level: int = 90) -> NDArray[np.uint8]:
    return np.full((height, width, 3), level, np.uint8)


def coloured(labels: NDArray[Any]) -> NDArray[np.uint8]:
    return palette()[labels]


def save(path: Path, picture: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def save_sound(path: Path, samples: NDArray[Any], rate_hz: int = 16_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate_hz, samples)


def save_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def silence(seconds: int) -> NDArray[np.int16]:
    return np.zeros(16_000 * seconds, np.int16)
