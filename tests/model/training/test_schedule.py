"""The learning rate at every step."""

from __future__ import annotations

import pytest

from model.errors import ModelError
from model.training.schedule import Schedule


def shares(schedule: Schedule, *steps: int, of: int = 100) -> list[float]:
    return [schedule.share(step, of) for step in steps]


def test_the_papers_falls_to_a_tenth_at_its_milestone() -> None:
    assert shares(Schedule(), 0, 72_170, 72_171, 81_999, of=82_000) == pytest.approx([1, 1, 0.1, 0.1])


def test_milestones_add_up() -> None:
    assert shares(Schedule(milestones=(10, 20), gamma=0.5), 9, 10, 19, 20) == [1, 0.5, 0.5, 0.25]
    assert shares(Schedule(milestones=()), 0, 99) == [1, 1]


def test_cosine_goes_half_a_wave() -> None:
    assert shares(Schedule(kind="cosine"), 0, 25, 50, 100) == pytest.approx([1, 0.853553, 0.5, 0])
    assert shares(Schedule(kind="cosine", final=0.2), 0, 50, 100) == pytest.approx([1, 0.6, 0.2])


def test_warming_up_is_a_straight_line() -> None:
    steps = Schedule(milestones=(), warmup_steps=10, warmup_factor=0.1)
    assert shares(steps, 0, 5, 10, 50) == pytest.approx([0.1, 0.55, 1, 1])
    # The wave begins where the line ends.
    cosine = Schedule(kind="cosine", warmup_steps=20)
    assert shares(cosine, 0, 10, 20, 60, 100) == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert shares(Schedule(warmup_steps=10, warmup_factor=1.0), 0) == [1]


def test_milestones_that_do_not_ascend_are_told() -> None:
    with pytest.raises(ModelError, match=r"milestones: found \[20, 10\], expected steps that ascend"):
        Schedule(milestones=(20, 10))
