from __future__ import annotations

import numpy as np

from model.world.ink import LINE, inked
from model.world.shapes import draw_shape


def sprite(side: int = 96) -> np.ndarray:
    drawn = np.array(draw_shape("🐕", side).convert("RGBA"), np.float32)
    drawn[..., :3] += 20 * np.sin(np.arange(side))[:, None, None]  # shading
    drawn[..., :3] = drawn[..., :3].clip(0, 255)
    drawn[..., 3] /= 255
    return drawn


def test_few_flat_colours_are_left_between_dark_lines() -> None:
    given = sprite()
    found = inked(given, 0.03, 3, 0.0)
    inside = found[..., 3] > 0.99
    dark = np.abs(found[..., :3] - LINE).max(-1) < 8
    assert 0.05 < dark[inside].mean() < 0.9
    fill = found[inside & (np.abs(found[..., :3] - LINE).max(-1) > 60)][:, :3]
    shades = np.unique(fill.round(), axis=0, return_counts=True)[1]
    assert np.sort(shades)[-3:].sum() > 0.6 * len(fill)


def test_the_outline_is_kept_and_drawn_upon() -> None:
    given = sprite()
    before, after = given[..., 3] > 0.5, inked(given, 0.03, 4, 0.0)[..., 3] > 0.5
    assert not (before & ~after).any()
    assert after.sum() < 1.5 * before.sum()


def test_pale_is_nearer_to_white_and_wide_is_darker() -> None:
    given = sprite()

    def mean(width: float, pale: float) -> float:
        found = inked(given, width, 4, pale)
        return float(found[found[..., 3] > 0.9][:, :3].mean())

    assert mean(0.02, 0.5) > mean(0.02, 0.0) > mean(0.06, 0.0)
