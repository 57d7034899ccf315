"""Micro-batches in order, and on their way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch

from model.training.batches import carried, micro_batches
from model.training.task import Task, seed_for


class Pair(NamedTuple):
    a: torch.Tensor
    b: list[torch.Tensor]


@dataclass(frozen=True)
class Crate:
    device: str

    def to(self, device: torch.device) -> Crate:
        return Crate(str(device))


def test_whatever_holds_tensors_is_carried_whole() -> None:
    batch = {"pair": Pair(torch.zeros(2), [torch.ones(1)]), "crate": Crate("here"), "names": ("x", 3, None)}
    found = carried(batch, torch.device("meta"))
    assert isinstance(found["pair"], Pair)
    assert found["pair"].a.device.type == found["pair"].b[0].device.type == "meta"
    assert found["crate"] == Crate("meta")
    assert found["names"] == ("x", 3, None)


class Numbers(Task):
    def batch(self, number: int) -> Any:
        return number, torch.get_num_threads()


@pytest.mark.parametrize("workers", [0, 2])
def test_they_come_in_order_and_each_worker_uses_one_core(workers: int) -> None:
    found = list(micro_batches(Numbers(), range(5, 40, 3), workers))
    assert [int(number) for number, _ in found] == list(range(5, 40, 3))
    assert {int(threads) for _, threads in found} == {1}  # one here too, in tests


def test_a_seed_depends_on_every_number_and_their_order() -> None:
    pairs = [(0, 1), (1, 0), (1, 2), (2, 1), (42, 82_000), (82_000, 42), (42, 82_000 + 2**32)]
    seeds = [seed_for(*pair) for pair in pairs]
    assert len(set(seeds)) == len(seeds)
    assert seed_for(1, 2) == seeds[2]
    assert all(0 <= seed < 2**64 for seed in seeds)
