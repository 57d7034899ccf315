"""What the doctor says of the model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import model.health
import nodes.doctor
from model.depot.table import table
from model.errors import ModelError
from nodes.doctor import model as model_checks
from streaming.doctor.findings import Finding


def findings() -> list[Finding]:
    return [one for one in model_checks() if isinstance(one, Finding)]


def test_here_the_whole_model_takes_a_step() -> None:
    found = findings()
    assert {one.mark for one in found} <= {"ok", "note"}
    assert found[0].fact.startswith("loaded: torch 2.")
    assert any(one.fact.startswith("cpu: ") and " threads, " in one.fact for one in found)
    assert found[-1].fact.startswith("a step of the model that comes with the project took ")


def test_without_torch_there_is_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    *_, loaded, last = findings()
    assert "torch 2." in loaded.fact
    assert last == Finding("problem", "no model can be run without these packages")


def test_weights_that_are_not_whole_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> list[str]:
        raise ModelError("tiny.safetensors: other bytes")

    monkeypatch.setattr(model.health, "checked_weights", damaged)
    last = findings()[-1]
    assert (last.mark, last.fact) == ("problem", "tiny.safetensors: other bytes")
    assert "git checkout" in last.mend


def test_it_tells_which_extras_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes.doctor, "find_spec", lambda name: name if name == "ai_edge_litert" else None)
    (told,) = [one for one in findings() if one.fact.startswith("extras")]
    assert told.mark == "ok"
    assert "openavs (transformers is not installed)" in told.fact
    assert "edge (ai-edge-litert is not" not in told.fact


def test_it_tells_which_weights_were_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OV_AVSS_CACHE", str(tmp_path))
    for name in (
        "mask2former-r50/model_final_3c8ec9.pkl",
        "deeplab/deeplabv3_mnv2_pascal_quant.tflite",
        "vggish/vggish-10086976.pth.part",
    ):
        (tmp_path / "weights" / name).parent.mkdir(parents=True)
        (tmp_path / "weights" / name).write_bytes(b"x")
    told = {one.fact: one for one in findings() if one.fact.startswith("fetched weights")}
    count = len(table()) - 1
    assert f"fetched weights in {tmp_path}/weights: mask2former-r50; {count} more in `weights list`" in told
    damaged = told["fetched weights deeplab: of the wrong size"]
    assert (damaged.mark, damaged.mend) == (
        "note", "fetch them again: python run_pipeline.py weights fetch deeplab"
    )  # fmt: skip
    assert told["fetched weights vggish: here in part"].mend.endswith("weights fetch vggish")


def test_a_gpu_that_torch_cannot_use_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[model.health.Device]:
        raise RuntimeError("CUDA driver version is insufficient\nfor CUDA runtime version")

    monkeypatch.setattr(model.health, "devices", broken)
    (note,) = [one for one in findings() if one.mark == "note"]
    assert note.fact == "torch cannot use its GPU: CUDA driver version is insufficient"
    assert "model.device=cpu" in note.mend
