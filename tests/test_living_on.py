"""A live run with everything going wrong: real processes, a real RTSP camera, and no second told twice."""

from __future__ import annotations

import fcntl
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from streaming import node_process
from streaming.clock import Clock
from streaming.config import Config
from streaming.control import ControlClient
from streaming.messages import End, Snippet
from streaming.node_process import Node
from streaming.results import read_results
from streaming.supervisor import NODES, Supervisor
from streaming.tape import TapeReader
from tests.cameras import RtspCamera, needs_rtsp
from tests.media import make_clip
from tests.pipeline import ROOT, alive, descendants, settings, supervisor, wait_for

pytestmark = pytest.mark.slow
ENOUGH_S = 90.0


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspCamera]:
    clip = make_clip(
        tmp_path_factory.mktemp("clip") / "clip.mp4",
        duration_s=240.0,
        fps=10,
        video_codec="libx264",
        rate_hz=48_000,
        bursts_s=[(k + 0.2, k + 0.7) for k in range(240)],
    )
    one = RtspCamera(clip)
    yield one
    one.kill()


class Trouble(threading.Thread):
    """Makes it, step by step, while a supervisor runs in the test's own thread."""

    def __init__(self, supervisor: Supervisor, steps: Callable[[Trouble], None]) -> None:
        super().__init__(daemon=True)
        self.supervisor, self._steps = supervisor, steps
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._steps(self)
        except BaseException as error:
            self.failure = error
        finally:
            self.supervisor.stop()

    def until(self, true: Callable[[], Any]) -> None:
        deadline = time.monotonic() + ENOUGH_S
        while not true():
            assert time.monotonic() < deadline, "it has not come true"
            time.sleep(0.05)

    def results(self) -> int:
        nodes = self.supervisor.nodes
        return nodes["recorder"].counters.get("results", 0) if "recorder" in nodes else 0

    def ask(self, name: str, args: dict[str, Any] | None = None) -> Any:
        client = ControlClient(str(self.supervisor.config.links.control), clock=Clock())
        try:
            return client.call(name, args, deadline_s=30)
        finally:
            client.close()

    def signal(self, name: str, signal_: signal.Signals) -> None:
        process = self.supervisor.nodes[name].process
        assert process is not None
        process.send_signal(signal_)

    def strike(self, name: str, signal_: signal.Signals) -> None:
        """Kill a node, or make it hang, and wait until it is back and results have come after that."""
        node = self.supervisor.nodes[name]
        before = node.restarts
        self.signal(name, signal_)
        self.until(lambda: node.restarts > before and node.state == "ready")
        count = self.results()
        self.until(lambda: self.results() >= count + 2)


def run_through(config: Config, steps: Callable[[Trouble], None], **watching: Callable) -> dict[str, Any]:
    """The counters of a run that lasts as long as the trouble that is made."""
    running = supervisor(config, **watching)
    trouble = Trouble(running, steps)
    trouble.start()
    counters = running.run()
    trouble.join(ENOUGH_S)
    assert trouble.failure is None, trouble.failure
    return counters


@needs_rtsp
def test_a_live_run_survives_the_death_of_every_node_a_hang_and_its_camera(
    camera: RtspCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_process, "RETRY_S", (0.2, 1.0))
    config = settings(
        None, tmp_path, f"source.uri={camera.uri}", "source.hop_s=0.5", "source.silent_s=1.5",
        "supervision.hung_s=6", "supervision.deaths=50", "output.annotated=true",
    )  # fmt: skip
    asked: list[Any] = []

    def steps(trouble: Trouble) -> None:
        trouble.until(lambda: trouble.results() >= 3)
        trouble.ask("vocabulary.set", {"words": ["trumpet", "sheep"]})
        for name in NODES:
            trouble.strike(name, signal.SIGKILL)
        trouble.strike("model", signal.SIGSTOP)
        camera.kill()
        capture = trouble.supervisor.nodes["capture"]
        trouble.until(lambda: capture.counters.get("connection") == "lost")
        generation = capture.counters["generation"]
        camera.start()
        trouble.until(lambda: capture.counters["generation"] > generation)
        count = trouble.results()
        trouble.until(lambda: trouble.results() >= count + 2)
        asked.append(trouble.ask("status"))
        asked.append(trouble.ask("vocabulary.get"))

    counters = run_through(config, steps)
    assert {name: counters[name]["restarts"] for name in NODES} == dict.fromkeys(NODES, 1) | {"model": 2}
    assert asked[0]["model"]["restarts"] == 2
    assert asked[0]["model"]["died"] == "said nothing for 6 s and was killed"
    assert asked[1] == {"revision": 2, "words": ["trumpet", "sheep"]}
    results = list(read_results(tmp_path / "results.jsonl"))
    # What the last status said; all, where there was time to drain.
    assert 0 < counters["recorder"]["results"] <= len(results)
    for before, after in pairwise(results):  # each second of the stream once, in order
        assert (before["generation"], before["seq"]) < (after["generation"], after["seq"])
        assert before["seq"] < after["seq"]
        assert before["t_s"] < after["t_s"]
    # The capture node's death and the camera's loss, and nothing else, began a generation.
    assert sorted({result["generation"] for result in results}) == [0, 1, 2]
    assert results[-1]["vocabulary_revision"] == 2
    assert {path.name for path in tmp_path.glob("annotated*.mp4")} == {"annotated.mp4", "annotated-2.mp4"}


@needs_rtsp
def test_a_live_run_without_its_model_says_so_and_takes_it_up_again(
    camera: RtspCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model dies whenever it is ready, for a while. The camera goes on; what nobody takes is counted."""
    monkeypatch.setattr(node_process, "RETRY_S", (0.1, 0.1))
    config = settings(
        None, tmp_path, f"source.uri={camera.uri}", "source.hop_s=0.5", "supervision.deaths=2",
    )  # fmt: skip
    said: list[str] = []
    over = threading.Event()

    def watch(nodes: Mapping[str, Node]) -> None:
        model = nodes["model"]
        results = nodes["recorder"].counters.get("results", 0)
        if model.state == "ready" and model.process is not None and not over.is_set() and results:
            model.process.kill()

    def steps(trouble: Trouble) -> None:
        trouble.until(lambda: any("the run goes on without it" in line for line in said))
        capture = trouble.supervisor.nodes["capture"]
        trouble.until(lambda: capture.counters["dropped"] > 0)
        assert capture.counters["connection"] == "live"
        over.set()
        count = trouble.results()
        trouble.until(lambda: trouble.results() >= count + 4)

    counters = run_through(config, steps, watch=watch, say=said.append)
    assert counters["capture"]["dropped"] > 0
    assert counters["capture"].get("restarts", 0) == 0


@needs_rtsp
def test_a_disk_that_takes_no_more_stops_a_live_run_only_for_as_long_as_it_does(
    camera: RtspCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_process, "RETRY_S", (0.2, 0.2))
    config = settings(None, tmp_path, f"source.uri={camera.uri}", "source.hop_s=0.5", "supervision.deaths=50")
    said: list[str] = []
    full = threading.Event()
    full.set()

    def watch(nodes: Mapping[str, Node]) -> None:
        process = nodes["recorder"].process
        if full.is_set() and process is not None and process.poll() is None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def steps(trouble: Trouble) -> None:
        trouble.until(lambda: "recorder" in trouble.supervisor.nodes)
        trouble.until(lambda: trouble.supervisor.nodes["recorder"].restarts >= 2)
        assert trouble.supervisor.nodes["capture"].counters["connection"] == "live"
        full.clear()
        trouble.until(lambda: trouble.results() >= 6)

    counters = run_through(config, steps, watch=watch, say=said.append)
    results = tmp_path / "results.jsonl"
    assert f"the recorder node gave up: {results}: File too large; starting it again in 0 s" in said
    lines = list(read_results(results))  # whole ones
    assert [line["seq"] for line in lines] == sorted({line["seq"] for line in lines})
    assert 0 < counters["recorder"]["results"] <= len(lines)


@needs_rtsp
@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM", "the terminal closes"])
def test_a_live_run_ends_in_order_however_it_is_told(camera: RtspCamera, tmp_path: Path, ending: str) -> None:
    """With every file complete, no process left, and the status told every second on the way."""
    args = [
        "run", "--source", camera.uri, "--weights", "stand-in", "--vocabulary", "dog",
        "--out", str(tmp_path), "--record", str(tmp_path / "kept.mcap"), "--log-status",
        "--set", "model.short_side=64", "--set", "vocabulary.cache_dir=", "--set", "source.hop_s=0.5",
    ]  # fmt: skip
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_pipeline.py"), *args],
        stdin=end, stdout=end, stderr=end, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(end)
    told = Reader(terminal)
    try:
        results = tmp_path / "results.jsonl"
        assert wait_for(lambda: results.exists() and results.read_bytes().count(b"\n") >= 4, ENOUGH_S)
        assert wait_for(lambda: "source: live, " in told.text, ENOUGH_S)
        pids = descendants(process.pid)
        assert len(pids) == len(NODES)
        if ending.startswith("SIG"):
            process.send_signal(signal.Signals[ending])
        else:
            told.close()
        assert process.wait(ENOUGH_S) == 0
        assert not any(alive(pid) for pid in pids)
    finally:
        process.kill()
        told.close()
    assert "Traceback" not in told.text
    count = len(list(read_results(results)))
    assert count >= 4
    with av.open(str(tmp_path / "annotated.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) > 10
    assert not list(tmp_path.glob("*.partial.mp4"))
    assert not (tmp_path / "control.json").exists()
    tape = TapeReader(tmp_path / "kept.mcap")
    kept = [played.message for played in tape.play()]
    assert tape.cut_short is None
    assert isinstance(kept[-1], End)
    assert sum(isinstance(message, Snippet) for message in kept) >= count


class Reader(threading.Thread):
    """Reads a terminal, as somebody looks at it."""

    def __init__(self, terminal: int) -> None:
        super().__init__(daemon=True)
        self.text = ""
        self._terminal, self._open = terminal, True
        self.start()

    def run(self) -> None:
        while self._open:
            try:
                if select.select([self._terminal], [], [], 0.1)[0]:
                    self.text += os.read(self._terminal, 65536).decode(errors="replace")
            except OSError:
                return

    def close(self) -> None:
        if self._open:
            self._open = False
            self.join()
            os.close(self._terminal)
