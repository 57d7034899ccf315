"""The command from end to end: sets on disk, a configuration, small stand-in weights; files and words out."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import run_pipeline
from model.data.avsbench_ov import read_avsbench_ov
from model.evaluation import command
from model.evaluation.command import words_of
from model.evaluation.once import computed_once
from model.evaluation.parts import Parts
from streaming.config import Config
from tests.model.data.laid_out import save_text, world
from tests.model.data.test_avsbench import SAMPLES, _copy, ms3, s4, semantic
from tests.model.evaluation.small_parts import EASY, parts_of
from tests.model.evaluation.test_scores import KEYS

SETTINGS = ["--model=r50", "--weights=stand-in"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small model in the place of the configured one (which tests/nodes/test_parts.py makes), one thread,
    and the environment as it was."""

    def parts(config: Config, words: Sequence[str] | None) -> Parts:
        return parts_of(
            config.model.resolved_selection,
            words=tuple(words or ("dog", "violin")),
            tracks=replace(EASY, sounding_on=0.3, sounding_off=0.3),
        )

    monkeypatch.setattr("nodes.parts.parts_of", parts)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(os, "environ", dict(os.environ))


def evaluate(*arguments: object) -> int:
    return run_pipeline.main(["evaluate", *map(str, arguments)])


def complaint(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert evaluate(*arguments) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("NOTE")]
    assert len(lines) == 1, lines
    return lines[0].removeprefix("error: ")


def test_a_world_is_scored_in_both_modes_and_the_same_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "set"
    world(data, "test", clips=4)
    assert evaluate("--data", data, "--out", tmp_path / "a", *SETTINGS) == 0
    told = capsys.readouterr()
    assert "J: what sounds" in told.out
    assert f"written to {tmp_path / 'a'}" in told.out
    assert "meaningless" in told.err
    scores = json.loads((tmp_path / "a/scores.json").read_text())
    about = {
        "model": "r50",
        "weights": "stand-in",
        "data": str(data),
        "layout": "avsbench-ov",
        "part": "test",
    }
    assert scores.keys() == {*about, *KEYS, *(f"streaming_{key}" for key in KEYS)}
    assert about.items() <= scores.items()
    assert (scores["clips"], scores["frames"]) == (4, 8)
    for key in ("j", "miou", "sounding_recall", "silent_covered", "j_sound_off", "j_sound_shuffled"):
        assert 0 <= scores[key] <= 1, key
        assert 0 <= scores[f"streaming_{key}"] <= 1, key
    assert scores["j"] > 0, "a test of nothing but silence shows little"
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "per_class.png",
        "scores.json",
        "scores.md",
    ]

    # Nothing that is kept from one pass over a clip to the next changes a score.
    monkeypatch.setattr(command, "computed_once", lambda *_: computed_once())
    assert evaluate("--data", data, "--out", tmp_path / "b", *SETTINGS) == 0
    for name in ("scores.json", "scores.md", "per_class.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_one_mode_some_clips_no_controls(tmp_path: Path) -> None:
    world(tmp_path / "base", "val", clips=3, split="base")
    world(tmp_path / "novel", "val", clips=3, split="novel")
    sets = ["--data", tmp_path / "base", tmp_path / "novel", "--part", "val", "--out", tmp_path / "out"]
    assert evaluate(*sets, "--mode=streaming", "--clips=2", "--no-controls", *SETTINGS) == 0
    scores = json.loads((tmp_path / "out/scores.json").read_text())
    assert (scores["streaming_clips"], scores["clips"], scores["j"]) == (4, None, None)
    assert scores["streaming_j_sound_off"] is None
    assert 0 <= scores["streaming_j"] <= 1


@pytest.mark.parametrize("layout", ["s4", "ms3", "semantic"])
@pytest.mark.parametrize("behaviour", ["paper", "reference"])
def test_avsbenchs_own_layouts_are_scored(tmp_path: Path, layout: str, behaviour: str) -> None:
    part = {"s4": "test", "ms3": "val", "semantic": "test"}[layout]
    {"s4": s4, "ms3": ms3, "semantic": semantic}[layout](tmp_path)
    settings = [*SETTINGS, f"--set=model.behaviour={behaviour}"]
    out = tmp_path / "out"
    assert evaluate("--data", tmp_path, "--layout", layout, "--part", part, "--out", out, *settings) == 0
    scores = json.loads((out / "scores.json").read_text())
    assert scores["clips"] == (2 if layout == "semantic" else 1)
    videos = ("m_j", "m_f", "streaming_m_j", "streaming_m_f")
    labels = ("miou", "miou_base", "streaming_miou")
    for known, unknown in ((labels, videos),) if layout == "semantic" else ((videos, labels),):
        assert all(0 <= scores[key] <= 1 for key in known)
        assert all(scores[key] is None for key in unknown)
    assert scores["silent_covered"] is scores["false_sounding_silence"] is None, "AVSBench does not say"


@pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the true frames ../shared/media/avsbench_samples are absent"
)
def test_a_true_clip_is_scored(tmp_path: Path) -> None:
    home = tmp_path / "AVSBench-semantic/v2/a"
    for i in range(10):
        _copy(SAMPLES / "avss/0.jpg", tmp_path / f"AVSBench-openvoc/test/JPEGImages/a/{i}.jpg")
        _copy(SAMPLES / "avss/0.png", home / f"labels_rgb/{i}.png")
    _copy(SAMPLES / "avss/audio.wav", home / "audio.wav")
    save_text(tmp_path / "AVSBench-semantic/metadata.csv", "a,a,0,10,clarinet,test,v2\n")
    assert evaluate("--data", tmp_path, "--out", tmp_path / "out", *SETTINGS) == 0
    scores = json.loads((tmp_path / "out/scores.json").read_text())
    assert (scores["frames"], scores["j_base"], scores["j_sound_shuffled"]) == (10, None, None)
    assert 0 <= scores["j_novel"] <= 1


def test_the_words_are_the_sets_own(tmp_path: Path) -> None:
    world(tmp_path, "test", clips=1, seconds=1)
    clips = read_avsbench_ov(tmp_path, "test")
    words = words_of(clips)
    assert len(words) == 56
    assert [clips.categories.ids[word] for word in words] == sorted(
        clips.categories.ids[word] for word in words
    )
    assert {"dog", "banjo"} <= set(words)
    assert "gun" not in words, "AVSBench's, but not the world's"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "nowhere/AVSBench-semantic/metadata.csv: not found; expected a table of"),
        (["--data", "set", "--layout", "s4"], "set/s4_meta_data.csv: not found"),
        (["--data", "set", "--clips", "0"], "--clips: found 0, expected 1 or more"),
        (["--data", "set", "--set", "model.crop=round"], "--set: model.crop: found 'round'"),
        (["--data", "set", "--model", "r51"], "--model: model.name: found 'r51', expected one of"),
        (["--data", "set", "--weights", "lost.pth"], "lost.pth: no such checkpoint"),
        (["--data", "set", "--out", "file/out"], "file/out: cannot be made: Not a directory; choose another"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    arguments: list[Any], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    world(Path("set"), "test", clips=1, seconds=1)
    Path("file").write_text("")
    settings = [one for one in SETTINGS if not any(one.startswith(given) for given in arguments[2:3])]
    assert complaint(capsys, *settings, *arguments).startswith(message)
