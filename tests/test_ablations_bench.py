"""The ablations: each row is a valid configuration, is done once, and is told beside the paper's figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks import ablations
from benchmarks.ablations import CONFIG, ROWS, SCORES, Bench, tables
from model.training.command import KINDS
from model.training.config import load
from run_pipeline import main
from streaming.config import setting

HEAD = "sem_seg_head.predictor."
# What a Mask2Former has, and what only a model that hears does.
MASKED = (
    "backbone.res2",
    "sem_seg_head.pixel_decoder.adapter_1",
    "sem_seg_head.pixel_decoder.transformer.encoder.layers.0",
    f"{HEAD}query_feat",
    f"{HEAD}transformer_cross_attention_layers.0.norm",
    f"{HEAD}mask_embed.layers.0",
)
HEARING = (
    "sem_seg_head.pixel_decoder.transformer.encoder.vl_layer.b_attn.attn.v_proj",
    f"{HEAD}class_embed",
    f"{HEAD}a2a",
    f"{HEAD}v2a.norm",
    f"{HEAD}audio_query_embed",
    f"{HEAD}transformer_audio_cross_attention_layers.0.norm",
    f"{HEAD}audio_proj.layers.0",
    "alignment.codes",
    "audio_encoder.x",
    "clip_adapter.clip_model.x",
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_can_be_set_and_changes_what_it_says(row: ablations.Row) -> None:
    kinds = {name: kind.config for name, kind in KINDS.items()}
    before = load(CONFIG, kinds)
    after = load(CONFIG, kinds, [setting(f"{key}={value}") for key, value in row.settings.items()])
    changed = after.model != before.model or after.stages != before.stages
    assert changed == bool(row.settings)


@pytest.mark.parametrize("name", ["published", "no-relations", "bundled"])
def test_what_a_row_has_no_place_for_is_not_in_its_model(tmp_path: Path, name: str) -> None:
    """The lesson that teaches the backbone teaches an alignment, too, which the paper's own form has not."""
    (row,) = (row for row in ROWS if row.name == name)
    settings = {f"stages.{stage}.weights": "bundled:tiny" for stage in (*ablations.TAKEN, "locate")}
    chosen = [
        part for key, value in (settings | row.settings).items() for part in ("--set", f"{key}={value}")
    ]
    assert main(["train", "--config", str(CONFIG), "--out", str(tmp_path), *chosen]) == 0
    aligned = any(key.startswith("alignment.") for key in load_file(tmp_path / "model.safetensors"))
    assert aligned == (name != "published")


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
    held = {f"{name}.weight": torch.zeros(1) for name in (*MASKED, *HEARING)}
    base = str(tmp_path / "base.safetensors")
    save_file(held, base)
    Bench(base, [tmp_path], out, 3, 7).run(rows, [1, 2])
    assert [arguments[0] for arguments in done] == ["train", "evaluate"] * 4
    trained = [arguments[arguments.index("--out") + 1] for arguments in done if arguments[0] == "train"]
    assert trained == [str(out / f"bundled-{seed}") for seed in (1, 1, 2, 2)]
    assert {f"stages.{name}.weights={base}" for name in ("see", "hear", "name")} <= set(done[0])
    assert (out / "bundled-1" / "stock").resolve() == (out / "bundled-2" / "stock").resolve()
    assert set(load_file(out / "mask2former.safetensors")) == {f"{name}.weight" for name in MASKED}
    assert all("stages.locate.steps=3" in arguments for arguments in done if arguments[0] == "train")
    assert all("7" in arguments for arguments in done if arguments[0] == "evaluate")
    again = Bench(base, [tmp_path], out, 3, 7)
    again.run(rows, [1, 2])
    assert len(done) == 8
    told = tables(again.found)
    assert "| crop-none | 50.0 ± 0.0 |" in told
    assert "46.23 | 18.43 | 26.36 | 35.32 | 2 |" in told


def test_tables_take_the_place_of_those_that_stand_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Bench, "run", lambda self, rows, seeds: self.found.update(bundled={"1": dict.fromkeys(SCORES, 0.25)})
    )
    told = tmp_path / "ablations.md"
    told.write_text("# Ablations\n\nWhat is said of them.\n\n## Table 3: old\n\n| old |\n")
    ablations.main(["--data", "x", "--out", str(tmp_path / "out"), "--write", str(told)])
    text = told.read_text()
    assert text.startswith("# Ablations\n\nWhat is said of them.\n\n## Table 3: early fusion\n")
    assert "old" not in text.replace("Threshold", "")
    assert "| bundled | 25.0 |" in text
    ablations.main(["--data", "x", "--out", str(tmp_path / "out"), "--write", str(tmp_path / "new.md")])
    assert (tmp_path / "new.md").read_text().startswith("# Ablations\n\n## Table 3: early fusion\n")
