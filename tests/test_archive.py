"""A run over a folder: the real command, the model that comes with the project, files as they come."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streaming.archive.folder import LEDGER
from streaming.archive.ledger import Ledger
from streaming.results import first_difference
from streaming.run_record import runs_of
from tests.media import cut_short, make_clip
from tests.pipeline import ROOT, alive, command, descendants, wait_for

SMALL = ("--set", "output.annotated=false", "--set", "model.short_side=64")


def archive(*more: str) -> subprocess.CompletedProcess[str]:
    return command("run", "--source", "in", "--out", "out", *SMALL, *more, cwd=Path.cwd())


def begun(*more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "run_pipeline.py"),
            "run",
            "--source",
            "in",
            "--out",
            "out",
            *SMALL,
            *more,
        ],
        stderr=subprocess.PIPE,
        text=True,
    )


def rows() -> dict[str, dict[str, str]]:
    with Path("out/archive.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def states() -> dict[str, str]:
    return {name: row["state"] for name, row in rows().items()}


def written(name: str) -> int:
    return Path("out", name, "results.jsonl").stat().st_mtime_ns


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", duration_s=3.0, bursts_s=[(0.5, 1.5)])


@pytest.mark.slow
def test_every_recording_of_a_folder_is_a_run_whatever_lies_beside_it(folder: Path, clip: Path) -> None:
    names = ["a.mp4", "sub/two words.mp4", "sub/new\nline.mp4", "\U0001f3bb", b"caf\xe9.mp4"]
    for name in names:
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + os.fsencode(name)))
        path.parent.mkdir(exist_ok=True)
        shutil.copy(clip, path)
    make_clip(folder / "half.mkv", duration_s=6.0, bursts_s=[(0.5, 1.5)])
    cut_short(folder / "half.mkv", 0.5)
    shutil.copy(clip, folder / "headless.mp4")
    cut_short(folder / "headless.mp4", 0.5)
    with (folder / "sound.m4v").open("wb") as file:
        file.write(b"\0" * 1000)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("hello\n" * 100)
    (folder / "notes.txt").write_text("hello\n" * 100)
    (folder / ".hidden.mp4").write_bytes(clip.read_bytes())
    (folder / "sub" / "loop").symlink_to("..")

    done = archive("--jobs", "2")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: 4 of 10 files failed; --retry-failed tries them again"
    assert "Traceback" not in done.stderr
    good = ["a.mp4", "caf\\xe9.mp4", "half.mkv", "sub/new\nline.mp4", "sub/two words.mp4", "\U0001f3bb"]
    bad = ["empty.mp4", "headless.mp4", "sound.m4v", "text.mp4"]
    assert states() == dict.fromkeys(good, "done") | dict.fromkeys(bad, "failed")
    assert "cut short or damaged: " in rows()["half.mkv"]["error"]
    assert rows()["empty.mp4"]["error"] == "the file is empty (0 bytes), expected a video"
    assert rows()["a.mp4"]["seconds"] == "3.000"
    assert "left out: 1 not recordings, 1 hidden, 1 links to nothing new" in done.stdout
    assert not any(Path("out", name).exists() for name in bad)

    alone = command("run", "--source", "in/a.mp4", "--out", "alone", "--quiet", *SMALL, cwd=Path.cwd())
    assert alone.returncode == 0, alone.stderr
    for name in set(good) - {"half.mkv"}:
        assert first_difference("alone/results.jsonl", Path("out", name, "results.jsonl")) is None
        assert [run["ending"] for run in runs_of(Path("out", name))] == ["in order"]

    # The same again does nothing; what has changed is done again, and what failed when it is asked for.
    before = {name: written(name) for name in good}
    again = archive("--jobs", "2")
    assert (again.returncode, states()) == (1, dict.fromkeys(good, "done") | dict.fromkeys(bad, "failed"))
    assert {name: written(name) for name in good} == before
    assert "10 recordings, " in again.stdout
    assert "0 done, 10 known from before, 4 failed" in again.stdout
    for name in ("empty.mp4", "text.mp4"):
        (folder / name).unlink()
    shutil.copy(clip, folder / "headless.mp4")
    (folder / "sound.m4v").write_bytes(clip.read_bytes()[:-1])
    os.utime(folder / "a.mp4", ns=(1, 1))
    shutil.rmtree("out/sub/two words.mp4")
    third = archive("--retry-failed")
    assert third.returncode == 0, third.stderr
    assert set(states()) == {*good, "headless.mp4", "sound.m4v"}
    assert "4 done, 4 known from before, 0 failed" in third.stdout
    assert written("a.mp4") > before["a.mp4"]
    assert written("\U0001f3bb") == before["\U0001f3bb"]
    assert written("sub/two words.mp4")


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_what_is_broken_off_goes_on_and_nothing_done_is_lost(
    folder: Path, clip: Path, how: signal.Signals
) -> None:
    shutil.copy(clip, folder / "a.mp4")
    make_clip(folder / "b.mp4", duration_s=8.0)
    shutil.copy(clip, folder / "c.mp4")
    run = begun("--jobs", "1", "--set", "source.pace=realtime")
    results = Path("out/b.mp4/results.jsonl")
    under_way = wait_for(lambda: results.exists() and results.read_bytes().count(b"\n") >= 2, 240.0)
    nodes = [node for nursery in descendants(run.pid) for node in (nursery, *descendants(nursery))]
    run.send_signal(how)
    told = run.communicate(timeout=60)[1]
    assert under_way, told
    assert len(nodes) >= 6
    before = written("a.mp4")
    assert run.returncode == (-how if how == signal.SIGKILL else 130), told
    assert "Traceback" not in told
    assert wait_for(lambda: not any(alive(pid) for pid in nodes))
    with Ledger(Path("out")) as ledger:
        assert {name: entry.state for name, entry in ledger.entries.items()} == {"a.mp4": "done"}
    if how == signal.SIGINT:
        assert states() == {"a.mp4": "done"}

    with Path("out", LEDGER).open("ab") as file:
        file.write(b'{"file": "b.mp4", "si')  # a kill may tear a line
    done = archive("--set", "source.pace=realtime")
    assert done.returncode == 0, done.stderr
    assert "2 done, 1 known from before, 0 failed" in done.stdout
    assert states() == dict.fromkeys(("a.mp4", "b.mp4", "c.mp4"), "done")
    assert written("a.mp4") == before
    assert len(results.read_bytes().splitlines()) == 8


@pytest.mark.slow
def test_other_settings_do_all_again(folder: Path, clip: Path) -> None:
    shutil.copy(clip, folder / "a.mp4")
    for words, told in (("dog", "1 done, 0 known"), ("dog", "0 done, 1 known"), ("dog, violin", "1 done, 0")):
        done = archive("--vocabulary", words)
        assert done.returncode == 0, done.stderr
        assert told in done.stdout


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--viewer",), "in is a folder, whose files are runs of their own: leave out --viewer, or run"),
        (("--record", "x.mcap", "--log-status"), "leave out --record (output.tape), --log-status, or run"),
        (("--out", "in"), "--out: found the folder in itself, expected another one"),
        (("--source", "a.mp4", "--jobs", "2"), "--jobs: expected a folder as --source, found none"),
        (
            ("--source", "a.mp4", "--retry-failed"),
            "--retry-failed: expected a folder as --source, found none",
        ),
    ],
)
def test_what_a_folder_cannot_do_is_told_in_one_line(more: tuple[str, ...], told: str) -> None:
    done = archive(*more)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_two_at_once_are_refused() -> None:
    with Ledger(Path("out")):
        done = archive()
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "out: another run over a folder writes there" in done.stderr


def test_an_empty_folder_is_done_at_once() -> None:
    done = archive()
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 recordings, 0.0 s" in done.stdout
