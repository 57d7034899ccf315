"""One process or many: who this one is, and the little they say to each other.

`torchrun` starts the processes and tells each, by environment variables, its rank and where the others are;
without it there is one, and nothing is said.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from model.errors import ModelError
from model.precision import device_of

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Processes:
    """This process among those that train together; `device` is where it computes."""

    rank: int = 0
    count: int = 1
    device: torch.device = CPU
    # What was shared last. A thread of gloo's may hold a tensor for a moment longer than the call takes; if
    # nobody else does by then, it needs the interpreter to let go, and aborts the process if that is about to
    # end (github.com/pytorch/pytorch/pull/179291).
    _kept: deque[Tensor] = field(default_factory=lambda: deque(maxlen=32), compare=False, repr=False)

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and speaks to people."""
        return self.rank == 0

    def mean(self, x: Tensor) -> Tensor:
        """The mean of a small tensor over all processes, where it was."""
        if self.count == 1:
            return x
        shared = x.to(self.device, copy=True)
        dist.all_reduce(shared)
        self._kept.append(shared)
        return (shared / self.count).to(x.device)

    def wait(self) -> None:
        """Until all are here."""
        self.mean(torch.zeros(()))

    @contextmanager
    def first_ahead(self) -> Iterator[None]:
        """A block that the first goes through alone, and then all others: they find what it has made."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()

    def joined(self, module: nn.Module, sometimes_unused: bool) -> nn.Module:
        """The module, its gradients averaged over all processes whenever they are computed."""
        if self.count == 1:
            return module
        return DistributedDataParallel(
            module,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            broadcast_buffers=False,  # frozen statistics are the same everywhere
            find_unused_parameters=sometimes_unused,
            gradient_as_bucket_view=True,
        )

    @staticmethod
    def apart(module: nn.Module) -> AbstractContextManager[None]:
        """Gradients are only gathered here, to be averaged together with the next ones."""
        return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """This process as `torchrun` made it, or alone. Raises `ModelError` for a GPU that is not there."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(device=device_of(device))
        return
    place = device_of(device)
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if place.type == "cuda":
        if place.index is not None:
            raise ModelError(
                f"run.device: found {device!r}, expected auto, cpu or cuda: each process has its own"
            )
        place = device_of(f"cuda:{local}")
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), count, place)
    finally:
        # Joined modules lie in cycles and hold the group, whose threads must end while the interpreter lives:
        # one that lets go of a tensor later ends all with "terminate called without an active exception".
        gc.collect()
        dist.destroy_process_group()
