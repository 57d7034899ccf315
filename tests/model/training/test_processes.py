"""Two processes on one machine train as one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model.errors import ModelError
from model.training.processes import Processes, processes
from model.training.trainer import Recipe, Trainer
from tests.model.training.toys import whole_run
from tests.model.training.two_processes import RECIPE, clips, first_gradients, products
from tests.pipeline import ROOT


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which two processes have left what they found, and what they said."""
    folder = tmp_path_factory.mktemp("two")
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
            "-m", "tests.model.training.two_processes", str(folder),
        ],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, done.stderr


def alone(**changes: int) -> Recipe:
    """One process gathers what two see at once."""
    return Recipe(**{**RECIPE.__dict__, "accumulation": 2, **changes})


def test_a_run_of_two_ends_with_the_weights_of_one(two: tuple[Path, str], tmp_path: Path) -> None:
    Trainer(products(), alone(), folder=tmp_path).run()
    torch.testing.assert_close(whole_run(two[0] / "run"), whole_run(tmp_path), rtol=1e-9, atol=1e-12)


def test_the_localiser_learns_the_same(two: tuple[Path, str]) -> None:
    """Each process has a clip of another size, with other numbers of objects and of supervised frames."""
    expected = first_gradients(Trainer(clips(), alone()))
    torch.testing.assert_close(torch.load(two[0] / "gradients.pt"), expected, rtol=1e-4, atol=1e-6)


def test_when_one_is_asked_to_stop_all_do(two: tuple[Path, str]) -> None:
    folder, _ = two
    assert [(folder / f"stopped-{rank}").read_text() for rank in range(2)] == ["3", "3"]
    assert [path.name for path in (folder / "told").iterdir()] == ["step-00000003.pt"]


def test_what_the_first_makes_ahead_the_other_finds(two: tuple[Path, str]) -> None:
    assert [(two[0] / f"went-{rank}").read_text() for rank in range(2)] == ["", "went-0"]


def test_one_of_them_speaks(two: tuple[Path, str]) -> None:
    lines = [line for line in two[1].splitlines() if line.startswith("run: ")]
    assert [line.split(": ")[1] for line in lines] == ["step 2 of 6", "step 4 of 6", "step 6 of 6"]


def test_alone_nothing_is_said() -> None:
    with processes("cpu") as here:
        assert here == Processes()
        assert here.first
        assert float(here.mean(torch.tensor(3.0))) == 3.0


def test_a_gpu_that_is_not_there_is_told() -> None:
    with pytest.raises(ModelError, match="cuda:99"), processes("cuda:99"):
        pass
