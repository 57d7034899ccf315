"""The engine: what a step does, that it can be shared out, that a run goes on as if nothing had been."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from model.errors import ModelError
from model.training.optimiser import OptimiserOptions
from model.training.schedule import Schedule
from model.training.task import Task
from model.training.trainer import Interrupted, Recipe, Trainer, Upkeep
from tests.model.training.toys import Products, localise

QUICK = OptimiserOptions(lr=1e-2)


def recipe(steps: int = 8, **changes: Any) -> Recipe:
    return Recipe(**{"steps": steps, "clip_norm": 1.0, "optimiser": QUICK, **changes})


def weights(task: Task) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in task.module.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def gradients(trainer: Trainer) -> dict[str, Tensor]:
    """Of the first step."""
    trainer.gradients([trainer.task.batch(number) for number in trainer.numbers(0)])
    named = trainer.task.module.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


# A step ---------------------------------------------------------------------------------------------------


def test_it_learns() -> None:
    task = Products(batch_size=32)
    trainer = Trainer(task, recipe(300))
    held_out = task.batch(10_000)
    before = task.module(held_out, None)["loss"].item()
    trainer.run()
    task.module.eval()
    assert task.module(held_out, None)["loss"].item() < 0.2 * before


def test_a_step_is_one_of_adamw_with_the_gradient_shortened() -> None:
    task, plain = Products(), Products()
    Trainer(task, recipe(clip_norm=0.05)).run(1)

    loss = plain.module(plain.batch(0), None)["loss"]
    loss.backward()
    length = torch.cat([p.grad.flatten() for p in plain.module.parameters() if p.grad is not None]).norm()
    assert length > 0.05
    for name, parameter in plain.module.named_parameters():
        assert parameter.grad is not None
        gradient = parameter.grad * 0.05 / length
        lr = QUICK.lr * (0.1 if name.startswith("backbone") else 1.0)
        decay = 0.0 if name.startswith("norm") else QUICK.weight_decay
        # The first step of Adam: both running means are the gradient's own.
        expected = parameter * (1 - lr * decay) - lr * gradient / (gradient.abs() + QUICK.eps)
        torch.testing.assert_close(task.module.get_parameter(name), expected)


def test_the_learning_rate_follows_its_schedule() -> None:
    trainer = Trainer(Products(), recipe(schedule=Schedule(milestones=(1, 2))))
    rates = []
    for step in range(3):
        told = trainer.take([trainer.task.batch(step)])
        rates.append(float(told["step/lr"]))
        used = sorted({group["lr"] for group in trainer.optimiser.param_groups})
        assert used == pytest.approx([0.1 * rates[-1], rates[-1]])
    assert rates == pytest.approx([1e-2, 1e-3, 1e-4])


def test_a_gradient_that_is_no_number_ends_the_run_and_changes_nothing(tmp_path: Path) -> None:
    class Broken(Products):
        def batch(self, number: int) -> tuple[Tensor, Tensor]:
            x, y = super().batch(number)
            return x, y * (float("nan") if number == 2 else 1.0)

    task = Broken()
    trainer = Trainer(task, recipe(), Upkeep(checkpoint_every=1), folder=tmp_path)
    with pytest.raises(ModelError, match=r"^step 3: found a gradient of norm nan: training has diverged"):
        trainer.run()
    assert trainer.step == 2
    assert all(value.isfinite().all() for value in weights(task).values())


def test_bfloat16_computes_in_bfloat16_and_keeps_float32() -> None:
    exact, rounded = localise(), localise()
    with_all, with_few = (
        gradients(Trainer(exact, recipe())),
        gradients(Trainer(rounded, recipe(precision="bfloat16"))),
    )
    assert {value.dtype for value in weights(rounded).values()} == {torch.float32}
    a, b = (torch.cat([x.flatten() for x in found.values()]) for found in (with_all, with_few))
    assert not torch.equal(a, b)
    assert torch.cosine_similarity(a, b, dim=0) > 0.9


# Shared out -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uneven", [False, True])
def test_two_micro_batches_of_four_are_one_of_eight(uneven: bool) -> None:
    def task(batch_size: int) -> Products:
        made = Products(uneven=uneven, batch_size=batch_size)
        made.module.double()
        return made

    if uneven:  # one and two samples, divided by three, are the mean over all three
        found = gradients(Trainer(task(4), recipe(accumulation=2)))
        whole = task(4)
        x, y = (torch.cat(parts) for parts in zip(whole.batch(0), whole.batch(1), strict=True))
        assert len(x) == 3
        whole.module((x, y), None)["loss"].backward()
        expected = {name: p.grad for name, p in whole.module.named_parameters()}
    else:
        found = gradients(Trainer(task(4), recipe(accumulation=2)))
        expected = gradients(Trainer(task(8), recipe()))
    torch.testing.assert_close(found, expected)


def test_the_localiser_learns_the_same_however_its_clips_are_shared_out() -> None:
    """Clips of four sizes, with one to three objects, one of them annotated in its first frame only; the
    points at which masks are compared are each clip's own."""
    layouts = [(4, 1), (2, 2), (1, 4)]
    found = []
    for batch_size, accumulation in layouts:
        task = localise(batch_size=batch_size)
        task.module.localiser.double()
        trainer = Trainer(task, recipe(accumulation=accumulation))
        found.append(gradients(trainer))
        assert trainer.numbers(3) == range(3 * accumulation, 4 * accumulation)
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-4, atol=1e-6)


# Going on -------------------------------------------------------------------------------------------------


class Stopped(Products):
    """Somebody stops the run while it makes a micro-batch."""

    def __init__(self, number: int, by: signal.Signals, **changes: Any) -> None:
        super().__init__(**changes)
        self.at, self.by = number, by

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        if number == self.at:
            os.kill(os.getpid(), self.by)
        return super().batch(number)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_was_stopped_ends_with_the_same_weights_to_the_last_bit(
    tmp_path: Path, by: signal.Signals
) -> None:
    whole = Products(dropout=0.3)
    Trainer(whole, recipe(accumulation=2)).run()

    stopped = Trainer(Stopped(7, by, dropout=0.3), recipe(accumulation=2), folder=tmp_path)
    with pytest.raises(Interrupted) as told:
        stopped.run()
    assert told.value.step == stopped.step == 4  # micro-batch 7 belongs to the fourth step, which is finished
    assert told.value.checkpoint == tmp_path / "step-00000004.pt"

    other = Products(seed=99, dropout=0.3)
    on = Trainer(other, recipe(accumulation=2), folder=tmp_path)
    assert on.resume()
    assert on.step == 4
    on.run()
    assert same(weights(other), weights(whole))


def test_the_localiser_goes_on_to_the_last_bit(tmp_path: Path) -> None:
    """Clips drawn at random, flipped and resized at random, points drawn at random."""
    changes: dict[str, Any] = {"batch_size": 2}
    whole = localise(**changes)
    Trainer(whole, recipe()).run()

    first = localise(**changes)
    Trainer(first, recipe(), folder=tmp_path).run(4)
    assert not same(weights(first), weights(whole))
    second = localise(weights=5, **changes)
    on = Trainer(second, recipe(), folder=tmp_path)
    assert on.resume()
    on.run()
    assert same(weights(second), weights(whole))


def test_without_a_checkpoint_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    assert not Trainer(Products(), recipe(), folder=tmp_path).resume()
    assert not Trainer(Products(), recipe()).resume()


def test_a_second_ctrl_c_means_at_once(tmp_path: Path) -> None:
    class Impatient(Stopped):
        def batch(self, number: int) -> tuple[Tensor, Tensor]:
            os.kill(os.getpid(), signal.SIGINT)
            return super().batch(number)

    with pytest.raises(KeyboardInterrupt):
        Trainer(Impatient(0, signal.SIGINT), recipe(), folder=tmp_path).run()


def test_other_settings_or_other_data_are_told(tmp_path: Path) -> None:
    Trainer(Products(), recipe(), folder=tmp_path, settings={"stage": {"lr": 0.1}}).run(1)
    on = Trainer(Products(), recipe(), folder=tmp_path, settings={"stage": {"lr": 0.2}})
    with pytest.raises(
        ModelError, match=r"step-00000001\.pt: stage\.lr was 0\.1 and is 0\.2 now; go on with"
    ):
        on.resume()

    more = Products()
    more.facts = {"clips": 7}
    on = Trainer(more, recipe(), folder=tmp_path, settings={"stage": {"lr": 0.1}})
    with pytest.raises(ModelError, match=r"data\.clips was None and is 7 now"):
        on.resume()


# Beside training ------------------------------------------------------------------------------------------


def test_checkpoints_are_kept_as_many_as_are_wanted(tmp_path: Path) -> None:
    upkeep = Upkeep(checkpoint_every=2, keep=2)
    Trainer(Products(), recipe(7), upkeep, folder=tmp_path).run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000006.pt", "step-00000007.pt"]


def test_workers_change_nothing_and_their_mistakes_are_one_line() -> None:
    class Missing(Products):
        def batch(self, number: int) -> tuple[Tensor, Tensor]:
            if number == 5:
                raise ModelError("clip5/3.jpg: not found; expected a picture")
            return super().batch(number)

    alone, helped = Products(), Products()
    Trainer(alone, recipe()).run()
    Trainer(helped, recipe(), Upkeep(workers=2)).run()
    assert same(weights(alone), weights(helped))
    with pytest.raises(ModelError, match=r"^clip5/3\.jpg: not found; expected a picture$"):
        Trainer(Missing(), recipe(), Upkeep(workers=2)).run()


def test_a_run_is_told_in_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    class Validated(Products):
        def validate(self) -> dict[str, float]:
            assert not self.module.training
            assert not torch.is_grad_enabled()
            return {"j": 0.25}

    task = Validated()
    Trainer(task, recipe(5), Upkeep(log_every=2, validate_every=4), name="products").run()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "step 2 of 5", "step 4 of 5", "step 4 of 5", "step 5 of 5", "step 5 of 5"
    ]  # fmt: skip
    assert "validation j 0.25" in lines[2]
    assert lines[0].startswith("products: step 2 of 5: loss ")
    assert "lr 0.01" in lines[0]
    assert lines[0].endswith("left")
    assert task.module.training

    Trainer(Products(), recipe(2), Upkeep(log_every=1)).run()
    assert capsys.readouterr().err == ""
