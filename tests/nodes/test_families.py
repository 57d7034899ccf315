"""Which stages the nodes have."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodes.families import stages_of
from nodes.openavs.calling import CallingStage
from run_pipeline import main
from streaming.config import load
from streaming.memory import Memory


def test_a_successor_calls_things_by_the_words_that_were_set_last() -> None:
    memory = Memory(vocabulary={"words": ["hound"], "revision": 3})
    stage = stages_of(load(model="edge")).classification(load(model="edge"), memory)
    assert isinstance(stage, CallingStage)
    assert (stage.vocabulary.words, stage.vocabulary.revision) == (("hound",), 3)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ((), "yamnet and deeplab are not here; fetch them: python run_pipeline.py weights fetch edge"),
        (("--weights", "stand-in"), "model 'edge' takes no checkpoint"),
        (
            ("--set", "openavs.yamnet=none.tflite", "--set", "openavs.deeplab=none.tflite"),
            "openavs.yamnet: found no",
        ),
    ],
)
def test_what_a_run_lacks_is_told_before_it_begins(
    more: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OV_AVSS_CACHE", str(tmp_path))
    out = str(tmp_path / "out")
    assert main(["run", "--model", "edge", "--source", "media/demo.mp4", "--out", out, *more]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("preset", ["openavs", "sam4avs"])
def test_a_preset_of_foundation_models_says_what_to_fetch_and_what_to_install(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OV_AVSS_CACHE", str(tmp_path))
    run = ["run", "--model", preset, "--source", "media/demo.mp4", "--out", str(tmp_path / "out")]
    monkeypatch.setattr("model.openavs.pretrained.find_spec", lambda name: name)
    assert main(run) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: clap, grounding-dino and sam")
    assert f"are not here; fetch them: python run_pipeline.py weights fetch {preset}" in error
    assert error.count("\n") == 1
    monkeypatch.setattr("model.openavs.pretrained.find_spec", lambda name: None)
    assert main(run) == 2
    error = capsys.readouterr().err
    assert "pip install -e '.[openavs]'" in error
    assert error.count("\n") == 1


def test_bench_says_that_it_looks_into_other_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--model", "edge"]) == 2
    assert "benchmarks.real_clips" in capsys.readouterr().err
