"""How the learning rate changes: a pure function of the step, so a run that goes on needs no memory of it."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from model.errors import ModelError

# `steps`: a tenth (gamma) after each milestone, as in the paper; `cosine`: down to `final` along half a wave.
ScheduleKind = Literal["steps", "cosine"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Share of the learning rate at each step. Raises `ModelError` if milestones do not ascend."""

    kind: ScheduleKind = "steps"
    milestones: tuple[int, ...] = (72_171,)
    gamma: float = 0.1
    final: float = 0.0
    warmup_steps: int = 0
    warmup_factor: float = 0.0  # share of the first step, from where it rises in a straight line

    def __post_init__(self) -> None:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ModelError(f"milestones: found {list(self.milestones)}, expected steps that ascend")

    def share(self, step: int, steps: int) -> float:
        """Of step `step` (from 0) of a run of `steps`."""
        rise = 1.0
        if step < self.warmup_steps:
            passed = step / self.warmup_steps
            rise = self.warmup_factor * (1 - passed) + passed
        if self.kind == "steps":
            return rise * self.gamma ** bisect_right(self.milestones, step)
        span = max(1, steps - self.warmup_steps)
        passed = min(1.0, max(0, step - self.warmup_steps) / span)
        return rise * (self.final + (1 - self.final) * (1 + math.cos(math.pi * passed)) / 2)
