from __future__ import annotations

import os
import signal
from pathlib import Path

import av
import numpy as np
import pytest

from streaming.archive import probe
from streaming.archive.probe import Prober
from tests.media import make_clip


@pytest.fixture
def files(tmp_path: Path) -> Path:
    make_clip(tmp_path / "clip.mkv", duration_s=0.5)
    (tmp_path / "clip.mkv").rename(tmp_path / "clip")
    (tmp_path / "text.mp4").write_text("hello\n" * 100)
    (tmp_path / "page.txt").write_text("hello\n" * 100)
    (tmp_path / "empty.mp4").write_bytes(b"")
    with av.open(str(tmp_path / "sound.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), "s16", "mono")
        frame.sample_rate = 16_000
        out.mux(stream.encode(frame))
    for name, codec in (("a.png", "png"), ("a.gif", "gif")):
        with av.open(str(tmp_path / name), "w") as out:
            picture = out.add_stream(codec, rate=1)
            picture.width = picture.height = 32
            picture.pix_fmt = "rgb24" if codec == "png" else "rgb8"
            drawn = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8)).reformat(
                format=picture.pix_fmt
            )
            out.mux(picture.encode(drawn))
            out.mux(picture.encode(None))
    return tmp_path


def test_a_recording_is_known_by_what_is_in_it(files: Path) -> None:
    with Prober() as prober:
        why_not = {path.name: prober.why_not(str(path)) for path in sorted(files.iterdir())}
    assert why_not.pop("clip") is None
    assert why_not.pop("sound.wav") == "found only sound, expected a video with moving pictures"
    assert why_not.pop("a.gif") == "found a picture (gif)"
    assert sorted(why_not) == ["a.png", "empty.mp4", "page.txt", "text.mp4"]
    assert all(why_not.values())


def test_a_file_that_kills_or_holds_up_is_one_that_cannot_be_opened(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import os, signal, sys, time\n"
        "from streaming.archive.probe import main, why_not\n"
        "import streaming.archive.probe as probe\n"
        "def strange(path):\n"
        "    if path.endswith('text.mp4'): os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    if path.endswith('page.txt'): time.sleep(60)\n"
        "    return why_not(path)\n"
        "probe.why_not = strange\n"
        "main()\n"
    )
    monkeypatch.setattr(probe, "PROGRAM", (probe.PROGRAM[0], "-P", "-c", program))
    with Prober(patience_s=10.0) as prober:
        killed = prober.why_not(str(files / "text.mp4"))
        assert killed == "FFmpeg cannot open it: the process that tried was killed by SIGSEGV"
        assert prober.why_not(str(files / "clip")) is None
        prober._patience_s = 1.0
        assert prober.why_not(str(files / "page.txt")) == "FFmpeg did not come to an end with it in 1 s"
        prober._patience_s = 10.0
        assert prober.why_not(str(files / "clip")) is None


def test_a_prober_that_was_killed_meanwhile_is_replaced_the_next_time(files: Path) -> None:
    with Prober() as prober:
        assert prober.why_not(str(files / "clip")) is None
        assert prober._process is not None
        os.kill(prober._process.pid, signal.SIGKILL)
        prober._process.wait()
        assert "was killed by SIGKILL" in (prober.why_not(str(files / "clip")) or "")
        assert prober.why_not(str(files / "clip")) is None
