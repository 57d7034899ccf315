"""`run_pipeline.py pseudo-label` and `train --pseudo`, as they are typed: from videos to weights."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.data.pseudo import Filter, read_pseudo
from model.data.sound import read_sound
from streaming.results import read_results
from tests.media import frame_number, make_clip
from tests.pipeline import ROOT, command

# Whatever is drawn is claimed to sound: the clips show nothing that the model knows.
ANYTHING = [
    part
    for setting in ("model.short_side=64", "tracks.sounding_on=0", "tracks.sounding_off=0")
    for part in ("--set", setting)
]


def label(*more: str) -> subprocess.CompletedProcess[str]:
    return command("pseudo-label", "--source", "in", "--out", "set", *ANYTHING, *more, cwd=Path.cwd())


def sidecars() -> dict[str, int]:
    """When each was written, by the recording and the clip's first second."""
    found = sorted(Path("set").glob("AVSBench-semantic/*/*/pseudo.json"))
    told = {path: json.loads(path.read_text()) for path in found}
    return {f"{one['file']} {one['t_s']:.0f}": path.stat().st_mtime_ns for path, one in told.items()}


@pytest.mark.slow
def test_a_folder_of_videos_becomes_a_set_that_a_student_learns_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    make_clip(Path("in/two words.mp4"), duration_s=3.0, bursts_s=[(0.0, 3.0)])
    shutil.copy("in/two words.mp4", "in/sub/other.mp4")
    Path("in/bad.mp4").write_text("hello\n" * 100)

    done = label("--seconds", "2")
    assert done.returncode == 1, "a file failed"
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == "error: 1 of 3 files failed; --retry-failed tries them again"
    assert done.stdout.splitlines()[-1].startswith("set: 4 clips, 6 s, ")
    before = sidecars()
    assert list(before) == ["sub/other.mp4 0", "sub/other.mp4 2", "two words.mp4 0", "two words.mp4 2"]

    # Pictures, sound and masks are those of the seconds that the model was given.
    clips, left = read_pseudo(Path("set"), Filter(sounding=0, mask=0, novel=True))
    assert left.objects > 0
    lines = {line["seq"]: line for line in read_results("set/runs/two words.mp4/results.jsonl")}
    for files in clips.files:
        first = int(files.uid.rsplit("-", 1)[1])
        for second, path in enumerate(files.frames):
            with Image.open(path) as picture:
                assert frame_number(np.array(picture)) == 25 * (first + second + 1) - 1
        clip = files.load()
        assert len(clip.sound) == 16_000 * len(clip.frames)
        assert abs(read_sound(files.audio)).max() > 0.3
        claimed = [bool(lines[first + second]["tracks"]) for second in range(len(clip.frames))]
        assert clip.masks.any(axis=(0, 2, 3)).tolist() == claimed

    # The same again does nothing; what has changed is done again, alone.
    again = label("--seconds", "2")
    assert again.returncode == 1
    assert sidecars() == before
    Path("in/bad.mp4").unlink()
    make_clip(Path("in/sub/other.mp4"), duration_s=2.0, bursts_s=[(0.0, 2.0)])
    changed = label("--seconds", "2")
    assert changed.returncode == 0, changed.stderr
    assert changed.stdout.splitlines()[-1].startswith("set: 3 clips, 5 s, ")
    after = sidecars()
    assert {name: after[name] == before[name] for name in before} == {
        "sub/other.mp4 0": False, "sub/other.mp4 2": True, "two words.mp4 0": True, "two words.mp4 2": True
    }  # fmt: skip

    settings = [
        "data.pseudo.sounding=0", "data.pseudo.mask=0", "data.pseudo.novel=true", "run.threads=1",
        "run.tensorboard=false", "stages.localiser.batch=1",
        "stages.localiser.augmentation.short_sides=[64]",
    ]  # fmt: skip
    told = command(
        "train", "--config", str(ROOT / "configs/train/student.yaml"), "--pseudo", "set", "--out", "student",
        "--steps", "1", *(part for one in settings for part in ("--set", one)), cwd=Path.cwd(),
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert told.stderr.startswith("set: ")
    assert "left out 0 unsure and 0 of novel categories, with 0 of 5 seconds and 0 of 3 clips" in told.stderr
    run = command(
        "run", "--source", "in/two words.mp4", "--weights", "student/model.safetensors", "--out", "out",
        "--set", "model.window=1", "--set", "model.sound_gate=false", "--set", "output.annotated=false",
        "--set", "model.short_side=64", cwd=Path.cwd(),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


def test_mistakes_are_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.mp4").write_text("hello")
    Path("in").mkdir()

    def complaint(*line: str) -> str:
        done = command("pseudo-label", "--quiet", *line, cwd=tmp_path)
        assert done.returncode == 2
        return done.stderr.splitlines()[-1]

    assert complaint("--source", "file.mp4", "--out", "set") == (
        "error: --source: file.mp4: found no folder, expected one of videos"
    )
    assert complaint("--source", "in", "--out", "set") == "error: in: found nothing to make clips of"
    assert "expected a whole number from 1 to 60" in complaint(
        "--source", "in", "--out", "set", "--seconds", "0"
    )
    told = complaint("--source", "in", "--out", "set", "--set", "source.hop_s=0.5")
    assert told == (
        "error: pseudo-label needs source.hop_s=1.0, output.certainty and output.results as they are"
    )
