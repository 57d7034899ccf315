"""Micro-batches by number, made ahead by workers, and their way to the device."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from model.errors import ModelError
from model.training.stopping import SIGNALS
from model.training.task import Task


@dataclass(frozen=True)
class Failed:
    """Stands for a micro-batch that could not be made; a loader would bury what is told under a traceback."""

    told: str


class ByNumber(Dataset[Any]):
    """A task's micro-batches as a data set of torch."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __getitem__(self, number: int) -> Any:
        try:
            return self.task.batch(number)
        except ModelError as error:
            return Failed(str(error))


def micro_batches(task: Task, numbers: range, workers: int) -> Iterator[Any]:
    """The micro-batches of these numbers in order, made ahead by so many processes, or here if it is 0.

    Raises `ModelError`.
    """
    loader = DataLoader(
        ByNumber(task),
        batch_size=None,
        sampler=numbers,  # type: ignore[arg-type]
        num_workers=workers,
        worker_init_fn=_begin,
    )
    for batch in loader:
        if isinstance(batch, Failed):
            raise ModelError(batch.told)
        yield batch


def _begin(_: int) -> None:
    """Signals are for the trainer, which finishes its step and needs its workers for it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)


def carried(batch: Any, device: torch.device) -> Any:
    """A micro-batch on a device: tensors, whatever has a method `to`, and containers of these."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if hasattr(batch, "to"):
        return batch.to(device)
    if isinstance(batch, dict):
        return {key: carried(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(carried(value, device) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(carried(value, device) for value in batch)
    return batch
