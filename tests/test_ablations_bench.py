"""The ablations: each row is a valid configuration, is done once, and is told beside the paper's figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import ablations
from benchmarks.ablations import CONFIG, ROWS, SCORES, Bench, tables
from model.training.command import KINDS
from model.training.config import load
from streaming.config import setting


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_can_be_set_and_changes_what_it_says(row: ablations.Row) -> None:
    kinds = {name: kind.config for name, kind in KINDS.items()}
    before = load(CONFIG, kinds)
    after = load(CONFIG, kinds, [setting(f"{key}={value}") for key, value in row.settings.items()])
    changed = after.model != before.model or after.stages != before.stages
    assert changed == bool(row.settings)


def test_names_are_unlike_and_what_is_trained_elsewhere_is_there() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert {row.folder for row in ROWS} <= set(names)


def test_rows_are_done_once_and_seed_by_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, ...]] = []

    def command(*arguments: str) -> None:
        done.append(arguments)
        if arguments[0] == "evaluate":
            out = Path(arguments[arguments.index("--out") + 1])
            out.mkdir(parents=True)
            (out / "scores.json").write_text(json.dumps(dict.fromkeys(SCORES, 0.5)))

    monkeypatch.setattr(ablations, "_command", command)
    out = tmp_path / "out"
    out.mkdir()
    rows = [row for row in ROWS if row.name in ("bundled", "crop-none")]
    Bench("a.safetensors", [tmp_path], out, 3).run(rows, [1, 2])
    assert [arguments[0] for arguments in done] == ["train", "evaluate"] * 4
    trained = [arguments[arguments.index("--out") + 1] for arguments in done if arguments[0] == "train"]
    assert trained == [str(out / f"bundled-{seed}") for seed in (1, 1, 2, 2)]
    assert {f"stages.{name}.weights=a.safetensors" for name in ("see", "hear", "name")} <= set(done[0])
    assert (out / "bundled-1" / "stock").resolve() == (out / "bundled-2" / "stock").resolve()
    again = Bench("a.safetensors", [tmp_path], out, 3)
    again.run(rows, [1, 2])
    assert len(done) == 8
    told = tables(again.found)
    assert "| crop-none | 50.0 ± 0.0 |" in told
    assert "46.23 | 18.43 | 26.36 | 35.32 | 2 |" in told
