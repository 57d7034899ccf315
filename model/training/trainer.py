"""The trainer: steps of gradient descent over a `Task`, on one process or many, that can stop and go on.

All that a step does follows from its number, the task and the recipe: which micro-batches it sees, what is
drawn at random, how large the learning rate is. So a run that was interrupted ends, on the same machine and
with the same number of threads, with the same weights to the last bit as one that was not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from model.errors import ModelError
from model.options import Precision
from model.precision import dtype_of
from model.training.batches import carried, micro_batches
from model.training.board import Board
from model.training.matching import DIVERGED
from model.training.optimiser import OptimiserOptions, adamw
from model.training.processes import Processes
from model.training.progress import Teller
from model.training.record import Record
from model.training.saving import Checkpoint, checkpoints
from model.training.schedule import Schedule
from model.training.stopping import stop_requests
from model.training.task import Task, seed_for


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides, beside the task, which weights a run ends with."""

    steps: int
    seed: int = 0
    accumulation: int = 1  # micro-batches of each process whose gradients make a step
    precision: Precision = "float32"  # bfloat16: by autocast, the weights stay float32
    clip_norm: float | None = None  # largest norm of the gradient of all parameters together
    optimiser: OptimiserOptions = field(default_factory=OptimiserOptions)
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """What a run does beside training; none of it changes the weights. `every` counts steps, 0 is never."""

    workers: int = 0  # processes of each process that make micro-batches ahead
    checkpoint_every: int = 0
    keep: int = 3  # checkpoints
    log_every: int = 20
    pictures_every: int = 0
    validate_every: int = 0


class Interrupted(Exception):
    """Somebody asked the run to stop; its state is saved in `checkpoint`, if it has a folder."""

    def __init__(self, step: int, checkpoint: Path | None) -> None:
        super().__init__(f"stopped after {step} steps")
        self.step, self.checkpoint = step, checkpoint


class Trainer:
    """Trains a task.

    Args:
        folder: where checkpoints go; None: there are none.
        board: the folder of TensorBoard's files, or None.
        settings: what else decided the task, plain values in dictionaries; a run goes on from a checkpoint
            only where they are still the same.
        name: what people are told is being trained; nothing is told if it is empty.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        upkeep: Upkeep | None = None,
        *,
        processes: Processes | None = None,
        folder: Path | None = None,
        board: Path | None = None,
        settings: Mapping[str, Any] | None = None,
        name: str = "",
    ) -> None:
        self.task, self.recipe = task, recipe
        self.upkeep = upkeep or Upkeep()
        self.processes = processes or Processes()
        self.settings = dict(settings or {}) | {"data": dict(task.facts)}
        self.folder, self.name = folder, name
        self.step = 0
        self._board = board if self.processes.first else None
        self._dtype = dtype_of(recipe.precision, self.processes.device)
        task.module.to(self.processes.device)
        self.optimiser = adamw(task.groups(recipe.optimiser), recipe.optimiser)
        self.model = self.processes.joined(task.module, task.sometimes_unused)

    # A run -----------------------------------------------------------------------------------------------

    def resume(self) -> bool:
        """Go on from the newest checkpoint in the folder; returns whether there is one.

        Raises `ModelError` if it cannot be read, or came about under other settings.
        """
        found = checkpoints(self.folder) if self.folder else []
        if not found:
            return False
        saved = Checkpoint.read(found[-1])
        saved.require(self.settings, found[-1])
        self.task.module.load_state_dict(dict(saved.module))
        self.optimiser.load_state_dict(dict(saved.optimiser))
        self.step = saved.step
        return True

    def run(self, until: int | None = None) -> None:
        """Train up to the recipe's last step, or no further than `until`.

        Raises `Interrupted` at the end of a step, when all is saved, after SIGINT or SIGTERM; `ModelError`
        if a micro-batch cannot be made, or training has diverged.
        """
        last = min(self.recipe.steps, self.recipe.steps if until is None else until)
        quiet = not (self.name and self.processes.first)
        with (
            stop_requests(patient=self.processes.count > 1) as requests,
            Board(self._board, self.step) as board,
            Teller(self.name, self.step, last, quiet=quiet) as teller,
        ):
            record = Record(self.processes)
            self.task.module.train()
            for batches in self._rows(last):
                record.add(self.take(batches))
                record.tick()
                teller.step(self.step)
                self._log(self.step == last, record, board, teller)
                self._examine(self.step == last, batches, board, teller)
                stop = float(self.processes.mean(torch.tensor(float(bool(requests))))) > 0
                path = self._save() if stop or self._due("checkpoint", self.step == last) else None
                if stop:
                    raise Interrupted(self.step, path)
                record.pause()

    def _rows(self, last: int) -> Iterator[list[Any]]:
        """The micro-batches of each step still to be taken."""
        numbers = range(self.numbers(self.step).start, self.numbers(last).start, self.processes.count)
        batches = micro_batches(self.task, numbers, self.upkeep.workers)
        while row := list(islice(batches, self.recipe.accumulation)):
            yield row

    def _due(self, what: str, at_end: bool) -> bool:
        every = getattr(self.upkeep, f"{what}_every")
        return at_end or (every > 0 and self.step % every == 0)

    def _log(self, at_end: bool, record: Record, board: Board, teller: Teller) -> None:
        if self._due("log", at_end):
            means, step_s = record.taken()
            samples = self.task.batch_size * self.recipe.accumulation * self.processes.count
            curves = {name if "/" in name else f"loss/{name}": x for name, x in means.items()}
            speed = {"speed/step_s": step_s, "speed/samples_per_s": samples / step_s}
            board.scalars(self.step, curves | speed)
            teller.scores(self.step, {"loss": means["loss"], "lr": means["step/lr"]}, step_s)

    def _examine(self, at_end: bool, batches: Sequence[Any], board: Board, teller: Teller) -> None:
        """Pictures and validation, by the first process while the others wait."""
        pictures = self.upkeep.pictures_every > 0 and self._due("pictures", at_end)
        validation = self.upkeep.validate_every > 0 and self._due("validate", at_end)
        if self.processes.first and (pictures or validation):
            self.task.module.eval()
            with torch.no_grad():
                if pictures:
                    with self._arithmetic():
                        shown = self.task.pictures(carried(batches[0], self.processes.device))
                    board.pictures(self.step, shown)
                if validation and (scores := self.task.validate()):
                    board.scalars(self.step, {f"validation/{name}": x for name, x in scores.items()})
                    teller.scores(self.step, {f"validation {name}": x for name, x in scores.items()})
            self.task.module.train()
        if pictures or validation:
            self.processes.wait()

    def _save(self) -> Path | None:
        path = None
        if self.folder and self.processes.first:
            state = self.task.module.state_dict(), self.optimiser.state_dict()
            path = Checkpoint(self.step, self.settings, *state).write(self.folder, self.upkeep.keep)
        self.processes.wait()
        return path

    # A step ----------------------------------------------------------------------------------------------

    def numbers(self, step: int) -> range:
        """The numbers of this process's micro-batches in a step."""
        everywhere = self.recipe.accumulation * self.processes.count
        first = step * everywhere + self.processes.rank
        return range(first, first + everywhere, self.processes.count)

    def take(self, batches: Sequence[Any]) -> dict[str, Tensor]:
        """One step over its micro-batches; returns what the module told of them, and how far it went.

        Raises `ModelError` if training has diverged: nothing has changed then.
        """
        try:
            told = self.gradients(batches)
        except ModelError as error:
            raise ModelError(f"step {self.step + 1}: {error}") from error
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
        if not norm.isfinite():
            raise ModelError(f"step {self.step + 1}: found a gradient of norm {norm:g}: {DIVERGED}")
        if self.recipe.clip_norm is not None:
            clip_grads_with_norm_(parameters, self.recipe.clip_norm, norm)
        lr = self.recipe.optimiser.lr * self.recipe.schedule.share(self.step, self.recipe.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = lr * group["factor"]
        self.optimiser.step()
        self.step += 1
        return told | {"step/gradient_norm": norm, "step/lr": norm.new_tensor(lr)}

    def gradients(self, batches: Sequence[Any]) -> dict[str, Tensor]:
        """Leaves the gradients of a step, averaged over all processes, in the parameters."""
        self.optimiser.zero_grad()
        totals = self._totals(batches)
        device, share = self.processes.device, 1.0 if totals is not None else 1 / len(batches)
        told: dict[str, Tensor] = {}
        for k, (number, batch) in enumerate(zip(self.numbers(self.step), batches, strict=True), start=1):
            torch.manual_seed(seed_for(self.recipe.seed, number))
            with nullcontext() if k == len(batches) else self.processes.apart(self.model):
                with self._arithmetic():
                    terms = self.model(carried(batch, device), totals)
                (share * terms["loss"]).backward()
            for name, value in terms.items():
                told[name] = told.get(name, 0.0) + share * value.detach().float()
        return told

    def _arithmetic(self) -> torch.autocast:
        device = self.processes.device.type
        return torch.autocast(device, self._dtype, enabled=self._dtype != torch.float32)

    def _totals(self, batches: Sequence[Any]) -> Tensor | None:
        """What the sums of a step are divided by: over all its micro-batches, the mean over processes."""
        own = [self.task.totals(batch) for batch in batches]
        known = [totals.double() for totals in own if totals is not None]
        return self.processes.mean(torch.stack(known).sum(0)) if known else None
