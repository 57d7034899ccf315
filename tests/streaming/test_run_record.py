from __future__ import annotations

import json
from pathlib import Path

import pytest

from streaming.clock import Clock
from streaming.config import Config, load, setting
from streaming.run_record import NAME, RunRecord, runs_of, sha256_of, without_secrets


def config(*settings: str) -> Config:
    return load(settings=[setting(one) for one in settings])


def results(folder: Path, text: str) -> None:
    (folder / "results.jsonl").write_text(text)


def broken(folder: Path, why: str, text: str) -> None:
    """A run that breaks; it has written results where the folder had other ones."""
    with RunRecord(folder, config(), Clock(), {}):
        if not (folder / "results.jsonl").exists():
            results(folder, text)
        raise RuntimeError(why)


def test_it_is_there_while_the_run_lasts_and_complete_at_its_end(tmp_path: Path) -> None:
    with RunRecord(tmp_path, config(), Clock(), {"device": "cpu"}) as record:
        (begun,) = runs_of(tmp_path)
        assert (begun["ended"], begun["device"]) == (None, "cpu")
        results(tmp_path, "x")
        record.end({"recorder": {"results": 1}})  # the page may stay for longer: that is not heard
        at_end = (tmp_path / NAME).read_bytes()
    assert (tmp_path / NAME).read_bytes() == at_end
    (ended,) = runs_of(tmp_path)
    assert (ended["ending"], ended["counters"]) == ("in order", {"recorder": {"results": 1}})
    assert ended["begun"] == begun["begun"] <= ended["ended"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(NAME)] == [NAME]


def test_a_second_run_adds_an_entry(tmp_path: Path) -> None:
    for text in ("x", "xx"):
        with RunRecord(tmp_path, config(), Clock(), {}):
            results(tmp_path, text)
    assert len(runs_of(tmp_path)) == 2


def test_a_run_that_broke_says_why_and_one_without_results_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        broken(tmp_path, "rtsp://me:hush@camera is gone", "x")
    assert [run["ending"] for run in runs_of(tmp_path)] == ["rtsp://***@camera is gone"]
    before = (tmp_path / NAME).read_text()
    with pytest.raises(RuntimeError):
        broken(tmp_path, "nothing began", "x")
    assert json.loads((tmp_path / NAME).read_text()) == json.loads(before)


def test_no_secret_is_written(tmp_path: Path) -> None:
    secret = config(
        "source.uri=rtsp://admin:hush1@camera/stream?token=hush2",
        "viewer.token=hush3-hush3-hush3-hush3",
        "output.mqtt.address=mqtt://me:hush4@broker",
    )
    with RunRecord(tmp_path, secret, Clock(), {}):
        written = (tmp_path / NAME).read_text()
    assert "camera" in written
    assert "hush" not in written


def test_what_is_no_secret_stays() -> None:
    assert without_secrets({"words": ["key", "dog"], "key": "x", "n": 1, "token": ""}) == {
        "words": ["key", "dog"], "key": "***", "n": 1, "token": "",
    }  # fmt: skip


def test_a_file_that_cannot_be_read_has_no_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert (sha256_of(tmp_path / "a") or "").startswith("ba7816bf")
    assert sha256_of(tmp_path / "b") is None
