"""What the trainer knows of what it trains: this, and nothing else.

A run is a row of micro-batches, numbered from 0. Step s of a run takes those with the numbers
(s * accumulation + k) * processes + rank, so one process that gathers gradients over eight micro-batches
sees what eight processes see at once, and a run that is continued needs to know no more than its step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from model.training.optimiser import OptimiserOptions, parameter_groups


class Task(ABC):
    """Something to be trained. `module`, `batch_size` and `batch` are all it needs to have.

    Attributes:
        module: called as `module(batch, totals)`; returns named scalars, of which `loss` is minimised and
            the others are logged. Parameters that require no gradient are frozen. It may draw at random:
            torch's generators are seeded anew for each micro-batch, by its number.
        batch_size: clips (or whatever there is) in a micro-batch, to tell the speed.
        facts: what must still be the same when a run goes on, beside its settings: how many clips there are.
        sometimes_unused: parameters may be without a part in a loss; DDP is told, at some cost.
    """

    module: nn.Module
    batch_size: int = 1
    facts: Mapping[str, Any] = {}
    sometimes_unused: bool = False

    @abstractmethod
    def batch(self, number: int) -> Any:
        """Micro-batch `number` of the run, on the processor, decided by the number and the task's seed.

        Runs in loader workers, which are copies. It is carried to the device as tensors in lists, tuples
        and dictionaries are, or by its own method `to(device)`. Raises `ModelError`.
        """

    def totals(self, batch: Any) -> Tensor | None:
        """What the sums in the loss of a micro-batch are divided by, as a vector.

        The vectors of all micro-batches of a step are added up and averaged over the processes, and each is
        called with the result: so a step costs what its clips cost, however they are shared out. None: the
        loss is a mean, and that of a step the mean over its micro-batches; `totals` is then None.
        """
        return None

    def groups(self, options: OptimiserOptions) -> list[dict[str, Any]]:
        """What is trained, as groups for the optimiser (see `parameter_groups`)."""
        return parameter_groups(self.module, options)

    def validate(self) -> dict[str, float]:
        """Scores on clips that are not trained on; runs in one process, without gradients, in evaluation."""
        return {}

    def pictures(self, batch: Any) -> dict[str, Tensor]:
        """Truth beside prediction, uint8 (3, H, W), by name; as `validate`, with a batch on the device."""
        return {}

    def parts(self) -> Mapping[str, nn.Module]:
        """What is kept when training is done, by the part of a checkpoint that it is (`model.checkpoint`)."""
        return {}


def seed_for(*numbers: int) -> int:
    """A seed that is another one altogether for any other numbers, as many as these."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
