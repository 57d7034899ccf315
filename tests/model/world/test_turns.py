from __future__ import annotations

import numpy as np

from model.world.turns import AT_ONCE, draw_turns


def test_as_many_seconds_are_silent_offscreen_and_shared_as_the_world_promises() -> None:
    rng = np.random.default_rng(1)
    drawn = [draw_turns(rng, 1 + number % 3, 5) for number in range(3000)]
    sources = np.stack([turns.sounding.sum(axis=0) + turns.offscreen for turns in drawn])
    assert sources.max() == AT_ONCE
    assert 0.10 < (sources == 0).mean() < 0.15
    assert 0.10 < np.mean([turns.offscreen for turns in drawn]) < 0.16
    assert 0.15 < (sources == 2).mean() < 0.35
    several = [turns.sounding for turns in drawn if len(turns.sounding) > 1]
    assert 0.4 < np.mean([not rows.any(axis=1).all() for rows in several]) < 0.65
    assert np.mean([(rows.any(axis=1) & ~rows.all(axis=1)).any() for rows in several]) > 0.3
