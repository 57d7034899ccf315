"""Makes the clip that `make demo` shows, media/demo.mp4: a scene of the generated world, planned by hand.

`python tools/make_demo_clip.py` needs one font, Noto Color Emoji by Google, which draws all that is seen
(docs/world.md says how to get it). The same font and libraries make the same bytes. `truth` needs no font,
and tells what a right answer is.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from model.errors import ModelError
from model.world.art import Art
from model.world.categories import catalogue
from model.world.clip import soundtrack
from model.world.layout import write_film
from model.world.light import Light
from model.world.mixing import Levels
from model.world.motion import Camera, Wave
from model.world.motion import Path as Course
from model.world.paint import FPS
from model.world.scene import Look, Options, Scene, Thing
from model.world.turns import Turns

CLIP = Path(__file__).resolve().parents[1] / "media" / "demo.mp4"
SIDE = 400  # of the square picture, in pixels
SEED = 371  # of the meadow, and of the voices: about as loud as each other


@dataclass(frozen=True)
class Role:
    """What is in the clip, and when it sounds: `score` has a sign for each second, # where it does.

    Its middle is at (x, y) and drifts to the right by `drift` a second; lengths are in parts of the side.
    """

    name: str
    emoji: str
    x: float
    y: float
    size: float
    drift: float
    score: str


CAST = (  #     name         emoji   x     y    size   drift   0    5    10   15     nearest last
    Role("violin",    "🎻", 0.74, 0.23, 0.35, -0.002, "....#####.........##"),
    Role("wolf",      "🐺", 0.21, 0.25, 0.34,  0.003, ".............###...."),
    Role("sunflower", "🌻", 0.50, 0.57, 0.26,  0.000, "...................."),
    Role("drum",      "🥁", 0.81, 0.76, 0.34, -0.002, ".......####........."),
    Role("dog",       "🐕", 0.20, 0.76, 0.36,  0.003, ".###..............##"),
)  # fmt: skip
# What is heard and never seen.
HEARD, HEARD_SCORE = "telephone",                      "................##.."  # fmt: skip
SECONDS = len(HEARD_SCORE)


@dataclass(frozen=True)
class Second:
    """What is true of one second.

    Attributes:
        sounding: names of what is in the picture and sounds.
        offscreen: whether something sounds that is not in the picture; nothing else does then.
        middles: (x, y) in pixels of everything in the picture, in the second's last picture.
    """

    sounding: frozenset[str]
    offscreen: bool
    middles: dict[str, tuple[float, float]]


def truth() -> list[Second]:
    """What is true of each second of the clip, by its plan."""
    paths = {thing.name: thing.path for thing in scene().things}
    return [
        Second(
            sounding=frozenset(role.name for role in CAST if role.score[second] == "#"),
            offscreen=HEARD_SCORE[second] == "#",
            middles={name: _middle(path, second) for name, path in paths.items()},
        )
        for second in range(SECONDS)
    ]


def _middle(path: Course, second: int) -> tuple[float, float]:
    x, y, _, _ = path.at(second + (FPS - 1) / FPS)
    return x * SIDE, y * SIDE


def scene() -> Scene:
    """The plan as the world's own: in even light, before a camera that stands still."""
    kinds = catalogue().categories
    still = Wave((0.0, 0.0), (0.0, 0.0))
    return Scene(
        seed=SEED,
        index=0,
        options=Options(split="mixed", artists=("noto",), side=SIDE, seconds=SECONDS),
        things=tuple(_thing(role, speaks=role.name in kinds) for role in CAST),
        offscreen=HEARD,
        turns=Turns(np.stack([_row(role.score) for role in CAST if role.name in kinds]), _row(HEARD_SCORE)),
        camera=Camera(shake=0, drift=0, roll=0, zoom=1, waves=(still, still, still, still, still)),
        light=Light(
            side=SIDE, gain=1, gamma=1, cast=(1, 1, 1), vignette=0, lamp=(0, 0), flicker=0, wave=still,
            blur=0, noise=0,
        ),
        levels=Levels(source_dbfs=-20, noise_below_db=None),
    )  # fmt: skip


def _row(score: str) -> NDArray[np.bool_]:
    return np.array([sign == "#" for sign in score])


def _thing(role: Role, *, speaks: bool) -> Thing:
    """All sway, turn and swell in one manner, whether they sound or not."""
    phase = 6 * role.x + 9 * role.y  # no two in step
    wave = Wave((0.21, 0.34), (phase, 2 * phase))
    across = Wave((0.17, 0.26), (2 * phase, phase))
    course = Course(
        x=role.x, y=role.y, vx=role.drift, vy=0, size=role.size, angle=0,
        sway=0.008, turning=3, swelling=0.02, waves=(across, wave, across, wave),
    )  # fmt: skip
    plain = Look(flip=False, hue=0, saturation=1, brightness=1, outline=0, shadow=0.3)
    return Thing(name=role.name, emoji=role.emoji, artist="noto", speaks=speaks, look=plain, path=course)


def make(path: Path) -> None:
    """Writes the clip. Raises `ModelError` if the font is not installed or the file cannot be written."""
    plan = scene()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as folder:
            write_film(plan, soundtrack(plan), Art(), Path(folder)).replace(path)
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be written: {error.strerror or error}; choose another --out"
        ) from error


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the project's demonstration clip.")
    parser.add_argument("--out", type=Path, default=CLIP, help="the mp4 to write (default: media/demo.mp4)")
    cv2.setNumThreads(1)
    try:
        make(parser.parse_args().out)
    except ModelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
