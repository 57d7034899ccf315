"""What `test_processes.py` has two processes do, started by torchrun with a folder to write to."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import torch

from model.training.optimiser import OptimiserOptions
from model.training.processes import Processes, processes
from model.training.trainer import Interrupted, Recipe, Trainer, Upkeep
from tests.model.training.toys import Localise, Products, localise

RECIPE = Recipe(steps=6, clip_norm=1.0, optimiser=OptimiserOptions(lr=1e-2))


def products() -> Products:
    """Uneven micro-batches and dropout, in double precision."""
    task = Products(dropout=0.3, uneven=True)
    task.module.double()
    return task


def clips() -> Localise:
    task = localise(batch_size=1)
    task.module.localiser.double()
    return task


def first_gradients(trainer: Trainer) -> dict[str, torch.Tensor]:
    trainer.gradients([trainer.task.batch(number) for number in trainer.numbers(0)])
    return {name: p.grad for name, p in trainer.task.module.named_parameters() if p.grad is not None}


class Told(Products):
    """Only the second process is asked to stop, in its third step."""

    def __init__(self, here: Processes) -> None:
        super().__init__()
        self.here = here

    def batch(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        if number == 5:
            assert self.here.rank == 1
            os.kill(os.getpid(), signal.SIGTERM)
        return super().batch(number)


def run(here: Processes, folder: Path) -> None:
    """All trainers are gone at its end: they would keep the group's threads alive."""
    with here.first_ahead():
        seen = sorted(path.name for path in folder.glob("went-*"))
        time.sleep(0.3)
        (folder / f"went-{here.rank}").write_text(" ".join(seen))

    Trainer(products(), RECIPE, Upkeep(log_every=2), processes=here, folder=folder / "run", name="run").run()

    found = first_gradients(Trainer(clips(), RECIPE, processes=here))
    if here.first:
        torch.save(found, folder / "gradients.pt")

    told = Trainer(Told(here), RECIPE, processes=here, folder=folder / "told")
    try:
        told.run()
    except Interrupted as stop:
        (folder / f"stopped-{here.rank}").write_text(str(stop.step))


if __name__ == "__main__":
    torch.set_num_threads(1)
    with processes("cpu") as here:
        run(here, Path(sys.argv[1]))
