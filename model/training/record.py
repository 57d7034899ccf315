"""What the steps since the last line of the log came to, and how long they took."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from model.training.processes import Processes


class Record:
    """Means over steps and processes. Scalars stay on the device until they are asked for."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._sums: dict[str, Tensor] = {}
        self._steps, self._spent_s, self._since_s = 0, 0.0, time.perf_counter()

    def add(self, told: Mapping[str, Tensor]) -> None:
        """What one step told."""
        for name, value in told.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._steps += 1

    def pause(self) -> None:
        """Do not count the time from the last step until now."""
        self._since_s = time.perf_counter()

    def tick(self) -> None:
        """Count the time until now."""
        now_s = time.perf_counter()
        self._spent_s += now_s - self._since_s
        self._since_s = now_s

    def taken(self) -> tuple[dict[str, float], float]:
        """Means by name and seconds per step since it was last asked; all processes ask together."""
        names = sorted(self._sums)
        means = self._processes.mean(torch.stack([self._sums[name] for name in names]).cpu() / self._steps)
        step_s = self._spent_s / self._steps
        self._sums.clear()
        self._steps, self._spent_s = 0, 0.0
        return dict(zip(names, means.tolist(), strict=True)), step_s
