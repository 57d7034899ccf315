"""The model against the numbers recorded from the authors' code, and the command that compares them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from model.errors import ModelError
from model.parity import compare, main, relative_l2

ROOT = Path(__file__).parents[2]
PARITY = ROOT / ".." / "shared" / "parity"
recorded = pytest.mark.skipif(
    not PARITY.is_dir(), reason="the recorded numbers ../shared/parity/*.npz are absent"
)


@recorded
@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["r50", "swinb"])
def test_localisation_equals_the_recorded_pass(backbone: str) -> None:
    errors, bound = compare(PARITY / f"localise_{backbone}.npz")
    assert bound == 1e-4
    names = [name for name, _ in errors]
    with np.load(PARITY / f"localise_{backbone}.npz") as file:
        assert sorted(names) == sorted(set(file.files) - {"arch", "salt", "images", "wave"})
    # Far below what is asked for: every stage to the rounding of float32.
    assert {name: error for name, error in errors if not error < 1e-5} == {}


@recorded
def test_crops_equal_the_recorded_regions() -> None:
    errors, bound = compare(PARITY / "crops.npz")
    assert [name for name, _ in errors] == ["regions"]
    assert bound == 2e-3
    assert errors[0][1] < 5e-4  # what float16 can tell


@recorded
def test_scores_equal_the_recorded_ones() -> None:
    errors, bound = compare(PARITY / "metrics.npz")
    assert [name for name, _ in errors] == ["class_iou", "miou", "base_miou", "novel_miou", "harmonic"]
    assert bound == 1e-9
    assert max(error for _, error in errors) < 1e-12


# The distance --------------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([3.0, 4.0], [3.0, 4.0], 0.0),
        ([3.0, 5.0], [3.0, 4.0], 0.2),
        ([0.0, 0.0], [3.0, 4.0], 1.0),
        ([0.0], [0.0], 0.0),
        (2.5, 2.0, 0.25),
        ([1.0, NAN], [1.0, NAN], 0.0),
        ([1.0, INF], [1.0, INF], 0.0),
        ([1.0, 1.0], [1.0, NAN], INF),
        ([1.0, NAN], [1.0, 1.0], INF),
        ([1.0, 1.0], [1.0, INF], INF),
        ([1.0, INF], [1.0, 1.0], INF),
        ([1.0, -INF], [1.0, INF], INF),
        ([[1.0, 2.0]], [1.0, 2.0], INF),
        ([1.0, 2.0], [1.0], INF),
    ],
)
def test_relative_distance(ours: object, theirs: object, expected: float) -> None:
    assert relative_l2(ours, np.asarray(theirs)) == pytest.approx(expected)


def test_nothing_is_close_to_zero_but_zero() -> None:
    assert relative_l2([1e-12], np.zeros(1)) > 1e6


# The command ---------------------------------------------------------------------------------------------


def scores() -> dict[str, np.ndarray]:
    """A small fixture of scores, counted by hand: one picture of eight pixels with three classes in it."""
    return {
        "ground_truth": np.array([[[0, 0, 1, 1], [0, 0, 2, 2]]]),
        "prediction": np.array([[[0, 0, 1, 1], [1, 2, 2, 0]]]),
        "base_ids": np.array([1, 3]),
        "novel_ids": np.array([2]),
        "class_iou": np.array([2 / 5, 2 / 3, 1 / 3] + [NAN] * 68),
        "miou": np.array((2 / 5 + 2 / 3 + 1 / 3) / 3),
        "base_miou": np.array(2 / 3),
        "novel_miou": np.array(1 / 3),
        "harmonic": np.array(4 / 9),
    }


def worst(output: str) -> float:
    """The figure in the last line of the command's output."""
    return float(output.splitlines()[-1].removeprefix("worst relative L2 error: "))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["model.parity", *map(str, arguments)])
    return main()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fixture.npz"


def test_agreement_is_told_and_ends_with_0(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(path, **scores())
    assert run(monkeypatch, path) == 0
    output = capsys.readouterr().out
    quantities = [line.split() for line in output.splitlines()[:-1]]
    assert [name for name, _ in quantities] == ["class_iou", "miou", "base_miou", "novel_miou", "harmonic"]
    assert worst(output) == max(float(error) for _, error in quantities) < 1e-12


@pytest.mark.parametrize("wrong", [2 / 3 * (1 + 1e-6), 0.4, NAN])
def test_disagreement_is_told_and_ends_with_1(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wrong: float
) -> None:
    np.savez(path, **{**scores(), "base_miou": np.array(wrong)})
    assert run(monkeypatch, path) == 1
    output = capsys.readouterr().out
    assert [line.split()[0] for line in output.splitlines() if "above 1e-09" in line] == ["base_miou"]
    assert worst(output) == pytest.approx(INF if wrong is NAN else abs(2 / 3 - wrong) / wrong, rel=1e-3)


def spoiled(path: Path, how: str) -> None:
    match how:
        case "text":
            path.write_text("no archive")
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            np.savez(path, **scores())
            path.write_bytes(path.read_bytes()[:-200])
        case "a single array":
            with path.open("wb") as file:
                np.save(file, np.zeros(3))
        case "objects":
            np.savez(path, class_iou=np.array([{}], dtype=object))
        case "of no kind":
            np.savez(path, other=np.zeros(3))
        case "an entry missing":
            np.savez(path, **{name: value for name, value in scores().items() if name != "prediction"})
        case "another backbone":
            np.savez(path, arch="vit", salt=1, images=np.zeros((5, 3, 32, 32), np.uint8))


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("absent", "cannot be read as an .npz fixture"),
        ("text", "cannot be read as an .npz fixture"),
        ("empty", "cannot be read as an .npz fixture"),
        ("truncated", "cannot be read as an .npz fixture"),
        ("a single array", "cannot be read as an .npz fixture"),
        ("objects", "cannot be read as an .npz fixture"),
        ("of no kind", "expected an entry 'arch', 'regions' or 'class_iou'"),
        ("an entry missing", "entry 'prediction' is missing"),
        ("another backbone", "arch: found 'vit', expected 'r50' or 'swinb'"),
    ],
)
def test_a_bad_fixture_is_one_line_and_ends_with_2(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], how: str, told: str
) -> None:
    spoiled(path, how)
    with pytest.raises(ModelError):
        compare(path)
    assert run(monkeypatch, path) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert told in err
    assert err.count("\n") == 1


def test_as_a_command(path: Path) -> None:
    np.savez(path, **scores())
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "model.parity", path],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert worst(done.stdout) < 1e-12
