"""What light and lens do to a painted picture: gain, gamma, cast, vignette, a lamp, blur, noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from model.world.motion import Wave, draw_wave


@dataclass(frozen=True, kw_only=True)
class Light:
    """One clip's light. Picture sides are `side` pixels."""

    side: int
    gain: float
    gamma: float
    cast: tuple[float, float, float]
    vignette: float
    lamp: tuple[float, float]  # how much brighter to the right, and to the foot
    flicker: float
    wave: Wave
    blur: float  # standard deviation in pixels
    noise: float  # standard deviation in levels of 256

    def on(self, picture: NDArray[np.float32], t: float, rng: Generator) -> NDArray[np.uint8]:
        """Lights a picture of levels 0 to 255, shape (side, side, 3); `rng` makes the sensor's noise."""
        lit = picture * self._field
        lit *= np.float32(1 + self.flicker * self.wave.at(t))
        if self.blur:
            lit = cv2.GaussianBlur(lit, (0, 0), self.blur)
        lit = 255 * np.clip(lit / 255, 0, 1) ** np.float32(self.gamma)
        if self.noise:
            lit += np.float32(self.noise) * rng.standard_normal(lit.shape, dtype=np.float32)
        return np.clip(lit + 0.5, 0, 255).astype(np.uint8)

    @cached_property
    def _field(self) -> NDArray[np.float32]:
        line = np.linspace(-1, 1, self.side)
        across, down = np.meshgrid(line, line)
        field = 1 - self.vignette * (across**2 + down**2) / 2 + self.lamp[0] * across + self.lamp[1] * down
        return (self.gain * field[..., None] * np.array(self.cast)).astype(np.float32)


def draw_light(rng: Generator, side: int) -> Light:
    lamp, cast = rng.normal(0, 0.08, 2), rng.normal(1, 0.06, 3)
    return Light(
        side=side,
        gain=float(np.clip(rng.normal(1, 0.15), 0.55, 1.35)),
        gamma=float(np.exp(np.clip(rng.normal(0, 0.18), -0.4, 0.5))),
        cast=(float(cast[0]), float(cast[1]), float(cast[2])),
        vignette=float(rng.uniform(0, 0.5)) if rng.uniform() < 0.4 else 0.0,
        lamp=(float(lamp[0]), float(lamp[1])),
        flicker=float(rng.uniform(0, 0.02)),
        wave=draw_wave(rng, 0.3, 4),
        blur=float(rng.uniform(0.3, 1.1)) * side / 160 if rng.uniform() < 0.35 else 0.0,
        noise=float(rng.uniform(0, 7)) if rng.uniform() < 0.7 else 0.0,
    )
