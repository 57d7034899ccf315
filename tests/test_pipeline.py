"""The pipeline as a whole: real processes over real sockets, small pictures, and stand-in weights."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import zmq
from prometheus_client.parser import text_string_to_metric_families as parse

from streaming import node_process
from streaming.clock import Clock
from streaming.control import ControlClient
from streaming.errors import UserError
from streaming.node_process import Node
from streaming.results import first_difference, read_results
from streaming.supervisor import NODES, NodeFailure, Supervisor
from tests.brokers import Listener, Mosquitto, needs_mosquitto
from tests.media import make_clip
from tests.pipeline import ROOT, alive, command, descendants, free_port, run, settings, supervisor, wait_for
from tests.viewers import joins, played, read

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven seconds of picture and sound."""
    return make_clip(
        tmp_path_factory.mktemp("clip") / "clip.mp4", duration_s=7.0, bursts_s=[(1.0, 2.0), (4.0, 5.5)]
    )


def has_results(out: Path) -> bool:
    """Whether a run has come so far as to write its first line."""
    return (out / "results.jsonl").exists() and (out / "results.jsonl").stat().st_size > 0


def started(clip: Path, out: Path) -> subprocess.Popen[str]:
    """The command, begun on the clip at its own pace."""
    command = [
        "run",
        "--source",
        str(clip),
        "--weights",
        "stand-in",
        "--vocabulary",
        "dog",
        "--out",
        str(out),
    ]
    more = ["--pace", "realtime", "--set", "model.short_side=64", "--set", "vocabulary.cache_dir="]
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run_pipeline.py"), *command, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def finished(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """One undisturbed run, with its video: where it wrote, and the nodes' counters."""
    out = tmp_path_factory.mktemp("finished")
    return out, run(settings(clip, out, "output.annotated=true"))


def test_every_second_of_the_clip_has_a_result(finished: tuple[Path, dict]) -> None:
    out, counters = finished
    results = list(read_results(out / "results.jsonl"))
    assert [r["seq"] for r in results] == list(range(7))
    assert [r["t_s"] for r in results] == [float(i) for i in range(7)]
    assert [r["window_fill"] for r in results] == [1, 2, 3, 4, 5, 5, 5]
    assert counters["recorder"]["results"] == 7
    assert counters["capture"]["dropped"] == 0
    calls, saved = (counters["classification"][key] for key in ("clip_calls", "clip_calls_saved"))
    assert calls > 0
    assert calls + saved >= sum(len(r["tracks"]) for r in results)


def test_tracks_keep_their_identity_and_silence_has_none(finished: tuple[Path, dict]) -> None:
    results = list(read_results(finished[0] / "results.jsonl"))
    loud = [r for r in results if r["tracks"]]
    assert loud, "stand-in weights with sound are expected to find something"
    for result in results:
        if result["audio_dbfs"] < -70:
            assert result["tracks"] == []
    ids = [track["id"] for r in results for track in r["tracks"]]
    assert len(set(ids)) < len(ids)


def test_the_annotated_video_has_the_picture_and_the_sound(finished: tuple[Path, dict]) -> None:
    import av

    with av.open(str(finished[0] / "annotated.mp4")) as video:
        assert video.streams.video[0].codec_context.name == "h264"
        assert video.streams.audio[0].codec_context.name == "aac"
        assert sum(1 for _ in video.decode(video=0)) == 175


@pytest.mark.parametrize("pace", ["asap", "realtime"])
def test_replay_is_exact_at_either_pace(
    finished: tuple[Path, dict], clip: Path, tmp_path: Path, pace: str
) -> None:
    run(settings(clip, tmp_path, f"source.pace={pace}"))
    first = finished[0] / "results.jsonl"
    assert first_difference(first, tmp_path / "results.jsonl") is None


def test_the_whole_size_model_replays_exactly(clip: Path, tmp_path: Path) -> None:
    for out in ("first", "again"):
        run(settings(clip, tmp_path / out, model="r50"))
    results = list(read_results(tmp_path / "first" / "results.jsonl"))
    assert [r["window_fill"] for r in results] == [1, 2, 3, 4, 5, 5, 5]
    assert any(r["tracks"] for r in results)
    assert first_difference(*(tmp_path / out / "results.jsonl" for out in ("first", "again"))) is None


def test_what_was_recorded_replays_exactly(finished: tuple[Path, dict], clip: Path, tmp_path: Path) -> None:
    first, tape = finished[0] / "results.jsonl", tmp_path / "tape.mcap"
    run(settings(clip, tmp_path / "live", f"output.tape={tape}"))
    run(settings(tape, tmp_path / "again", "output.annotated=true"))
    assert first_difference(first, tmp_path / "live" / "results.jsonl") is None
    assert first_difference(first, tmp_path / "again" / "results.jsonl") is None
    assert (tmp_path / "again" / "annotated.mp4").stat().st_size > 10_000
    kept = command("record", "--source", str(clip), "--out", str(tmp_path / "kept.mcap"), "--seconds", "5")
    assert kept.returncode == 0, kept.stderr
    assert "5 snippets of source" in kept.stdout
    args = ["--model", "r50", "--weights", "stand-in", "--out", str(tmp_path / "third"), "--quiet"]
    small = ["--set", "model.short_side=64", "--set", "output.annotated=false", "--vocabulary", "dog"]
    assert command("replay", str(tmp_path / "kept.mcap"), "--start", "2", *args, *small).returncode == 0
    assert [r["seq"] for r in read_results(tmp_path / "third" / "results.jsonl")] == [2, 3, 4]


def test_sources_that_share_a_model_get_what_each_would_get_alone(
    finished: tuple[Path, dict], clip: Path, tmp_path: Path
) -> None:
    short = make_clip(tmp_path / "short.mp4", duration_s=3.0, bursts_s=[(0.0, 2.0)], width=128, height=128)
    run(settings(short, tmp_path / "alone", "source.id=short"))
    sources = f"sources=[{{id: source, uri: {clip}}}, {{id: short, uri: {short}}}]"
    counters = run(settings(None, tmp_path / "both", sources, "output.annotated=true"))
    assert first_difference(finished[0] / "results.jsonl", tmp_path / "both/source/results.jsonl") is None
    assert first_difference(tmp_path / "alone/results.jsonl", tmp_path / "both/short/results.jsonl") is None
    assert (tmp_path / "both/short/annotated.mp4").stat().st_size > 10_000
    told = counters["recorder"]["sources"]
    assert {name: one["results"] for name, one in told.items()} == {"source": 7, "short": 3}
    assert {name for name in counters if name.startswith("capture")} == {"capture-source", "capture-short"}
    together = run(settings(None, tmp_path / "together", sources, "model.batch=2"))
    told = together["recorder"]["sources"]
    assert {name: one["results"] for name, one in told.items()} == {"source": 7, "short": 3}


def test_half_second_hops_give_two_results_a_second(clip: Path, tmp_path: Path) -> None:
    run(settings(clip, tmp_path, "source.hop_s=0.5"))
    results = list(read_results(tmp_path / "results.jsonl"))
    assert [r["t_s"] for r in results] == [0.5 * i for i in range(13)]
    assert [r["window_fill"] for r in results][:10] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("victim", NODES)
def test_a_node_that_is_killed_or_hangs_comes_back_and_nothing_is_lost(
    finished: tuple[Path, dict], clip: Path, tmp_path: Path, victim: str, signal_: signal.Signals
) -> None:
    """Every second has its one result, in order; those of a recording that was gone on with are the same."""
    killed: list[int] = []
    said: list[str] = []

    def watch(nodes: Mapping[str, Node]) -> None:
        process, counters = nodes[victim].process, nodes[victim].counters
        if victim in ("capture", "recorder"):  # after four results there is a piece of film to be kept
            begun = counters.get("sent" if victim == "capture" else "results", 0) >= 4
        else:
            begun = any(seq > 0 for _, seq, _ in counters.get("reached", {}).values())
        if begun and process is not None and not killed:  # by its own account: others may be far behind
            killed.append(process.pid)
            process.send_signal(signal_)

    film = "output.annotated=true"
    config = settings(clip, tmp_path, "source.pace=realtime", film, "supervision.hung_s=6")
    running = supervisor(config, watch=watch, say=said.append)
    sockets = Path(str(running.config.links.control).removeprefix("ipc://")).parent
    counters = running.run()
    assert killed
    how = "was killed by SIGKILL" if signal_ == signal.SIGKILL else "said nothing for 6 s and was killed"
    assert said[0].startswith(f"the {victim} node {how}; starting it again in ")
    assert f"the {victim} node is back" in said
    assert not sockets.exists()
    results = list(read_results(tmp_path / "results.jsonl"))
    assert [result["seq"] for result in results] == list(range(7))
    assert counters[victim]["restarts"] == 1
    assert counters["recorder"]["results"] == 7
    assert {result["generation"] for result in results} == {0}
    before, after = finished[0] / "results.jsonl", tmp_path / "results.jsonl"
    if victim in ("feature", "recorder"):  # the others lose tracks, looks at objects, or where packets began
        assert first_difference(before, after) is None
    ids = [track["id"] for result in results for track in result["tracks"]]
    if victim == "model":
        assert max(ids) > 1_000_000  # none of the ids that somebody may know by now
    films = sorted(path.name for path in tmp_path.glob("*.mp4"))
    assert films == ["annotated-2.mp4"] * (victim == "recorder") + ["annotated.mp4"]


def test_a_node_that_always_dies_ends_the_run_with_one_clear_error(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No orphan process, no socket file, no traceback; whatever was written stays whole."""
    monkeypatch.setattr(node_process, "RETRY_S", (0.05, 0.05))
    pids: set[int] = set()

    def watch(nodes: Mapping[str, Node]) -> None:
        pids.update(node.process.pid for node in nodes.values() if node.process)
        process = nodes["classification"].process
        if nodes["recorder"].counters.get("results", 0) >= 1 and process is not None:
            process.kill()

    config = settings(clip, tmp_path, "source.pace=realtime", "supervision.deaths=2")
    running = Supervisor(config, clock=Clock(), watch=watch)
    sockets = Path(str(running.config.links.control).removeprefix("ipc://")).parent
    with pytest.raises(NodeFailure, match="the classification node died 2 times; at last it was killed"):
        running.run()
    assert len(pids) == len(NODES) + 1
    assert not any(alive(pid) for pid in pids)
    assert not sockets.exists()
    assert list(read_results(tmp_path / "results.jsonl"))


def test_nodes_do_not_outlive_a_killed_supervisor(clip: Path, tmp_path: Path) -> None:
    process = started(clip, tmp_path)
    assert wait_for(lambda: has_results(tmp_path))
    pids = descendants(process.pid)
    assert len(pids) == len(NODES)
    control = json.loads((tmp_path / "control.json").read_text())["control"]
    process.kill()
    process.wait()
    assert wait_for(lambda: not any(alive(pid) for pid in pids), 20)
    assert not Path(control.removeprefix("ipc://")).parent.exists()


def test_an_interrupted_run_ends_in_order_with_complete_files(clip: Path, tmp_path: Path) -> None:
    process = started(clip, tmp_path)
    assert wait_for(lambda: has_results(tmp_path))
    pids = descendants(process.pid)
    asked = command("status", "--out", str(tmp_path))
    assert asked.returncode == 0, asked.stderr
    rows = {line.split()[0]: line.split() for line in asked.stdout.splitlines() if line.strip()}
    assert rows["source"][1] in ("state", "ready")
    assert all(rows[name][1] == "ready" and rows[name][-1] == "MiB" for name in NODES)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "seconds processed" in out
    assert not any(alive(pid) for pid in pids)
    assert 1 <= len(list(read_results(tmp_path / "results.jsonl"))) < 7
    import av

    with av.open(str(tmp_path / "annotated.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) > 10


def test_the_vocabulary_can_be_replaced_while_running(clip: Path, tmp_path: Path) -> None:
    """From another process, by the address the run leaves; the revision is stamped on every result."""
    changed: list[object] = []
    pointer: list[str] = []

    def ask() -> None:
        client = ControlClient(pointer[0], clock=Clock())
        try:
            changed.append(client.call("vocabulary.set", {"words": ["trumpet", "sheep"]}, deadline_s=30))
            with pytest.raises(UserError, match="control character"):
                client.call("vocabulary.set", {"words": ["a\x00b"]}, deadline_s=30)
        finally:
            client.close()

    asking = threading.Thread(target=ask)

    def watch(nodes: Mapping[str, Node]) -> None:
        if nodes["recorder"].counters.get("results", 0) >= 1 and not asking.ident:
            asking.start()

    running = supervisor(settings(clip, tmp_path, "source.pace=realtime"), watch=watch)
    pointer.append(str(running.config.links.control))
    running.run()
    asking.join(30)
    assert changed == [{"revision": 2, "words": ["trumpet", "sheep"]}]
    results = list(read_results(tmp_path / "results.jsonl"))
    revisions = [r["vocabulary_revision"] for r in results]
    assert revisions == sorted(revisions)
    assert set(revisions) == {1, 2}
    for result in results:
        words = {"dog", "violin"} if result["vocabulary_revision"] == 1 else {"trumpet", "sheep"}
        assert {track["label"] for track in result["tracks"]} <= words


def test_the_nodes_can_talk_over_tcp(finished: tuple[Path, dict], clip: Path, tmp_path: Path) -> None:
    ports = iter(range(47610, 47620))
    links = ("snippets", "features", "masks", "results", "control")
    run(settings(clip, tmp_path, *(f"links.{link}=tcp://127.0.0.1:{next(ports)}" for link in links)))
    assert first_difference(finished[0] / "results.jsonl", tmp_path / "results.jsonl") is None


@needs_mosquitto
def test_others_are_told_what_is_found_in_every_source(clip: Path, tmp_path: Path) -> None:
    """A subscriber, a broker and whoever asks for figures, all of a run with two sources."""
    broker, port = Mosquitto(tmp_path), free_port()
    listener = Listener(broker.port)
    context = zmq.Context()
    subscriber = context.socket(zmq.SUB)
    subscriber.subscribe("")
    subscriber.connect(f"ipc://{tmp_path}/stream")
    lines: dict[str, list[str]] = {"front": [], "back": []}
    figures: list[str] = []

    def watch(nodes: Mapping[str, Node]) -> None:
        if nodes["recorder"].counters.get("results", 0) >= 4 and nodes["recorder"].state == "ready":
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
                figures[:] = [answer.read().decode()]

    try:
        run(
            settings(
                None, tmp_path / "out", f"sources=[{{id: front, uri: {clip}}}, {{id: back, uri: {clip}}}]",
                f"output.publish=ipc://{tmp_path}/stream", f"output.metrics={port}",
                f"output.mqtt.address=mqtt://127.0.0.1:{broker.port}", "source.pace=realtime",
            ),
            watch=watch,
        )  # fmt: skip
        while subscriber.poll(500):
            source, line = subscriber.recv_multipart()
            lines[source.decode()].append(line.decode())
        listener.waits_for(lambda: listener.newest("ov-avss/status") == b"offline")
    finally:
        context.destroy(linger=0)
        listener.close()
        broker.kill()
    for source, told in lines.items():
        assert told == (tmp_path / "out" / source / "results.jsonl").read_text().splitlines()
        events = Counter(event["event"] for event in listener.events(source))
        assert events["appeared"] == events["silent"] > 0
        assert listener.state(source)["tracks"] == []
        found = {track["id"] for line in told for track in json.loads(line)["tracks"]}
        assert {event["track"] for event in listener.events(source)} - {None} == found
    (text,) = figures
    known = {sample.name: sample for family in parse(text) for sample in family.samples}
    assert known["ovavss_results_total"].value >= 1
    assert {"ovavss_latency_seconds", "ovavss_output_connected", "ovavss_source_audio_dbfs"} <= set(known)


def test_a_broker_that_is_not_there_costs_nothing_but_a_line(
    finished: tuple[Path, dict], clip: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    address = f"mqtt://me:hunter2@127.0.0.1:{free_port()}"
    counters = run(settings(clip, tmp_path, f"output.mqtt.address={address}"), say=said.append)
    assert first_difference(finished[0] / "results.jsonl", tmp_path / "results.jsonl") is None
    (line,) = set(said)
    assert line.startswith(f"recorder: output.mqtt: mqtt://{address.partition('@')[2]} cannot be reached")
    assert counters["recorder"]["outputs"]["mqtt"]["queue"] > 0


class Watching:
    """Somebody who watches a run to its end, and comes back whenever the page is lost."""

    def __init__(self) -> None:
        self.address = ""
        self.told: set[int] = set()  # numbers of the results that were heard of
        self.live: set[int] = set()  # of those that came with their masks
        self.pictures = self.sounds = self.visits = 0
        self.ending: str | None = None
        self._thread = threading.Thread(target=lambda: played(self._watch()), daemon=True)

    def begin(self, address: str) -> None:
        if not self.address:
            self.address = address
            self._thread.start()

    def join(self) -> None:
        self._thread.join(120)

    async def _watch(self) -> None:
        async with aiohttp.ClientSession() as session:
            while self.ending is None:
                with suppress(aiohttp.ClientError, ConnectionError):
                    page = await joins(session, self.address)
                    self.visits += 1
                    await page.says(type="watch", max_fps=30, sound="source")
                    while self.ending is None:
                        self._hear(read(await page.line.receive()))
                await asyncio.sleep(0.05)

    def _hear(self, frame: dict) -> None:
        match frame["type"]:
            case "history":
                self.told |= {hop["seq"] for hop in frame["hops"]}
            case "result":
                self.told.add(frame["seq"])
                self.live.add(frame["seq"])
            case "picture":
                self.pictures += 1
            case "sound":
                self.sounds += 1
            case "ended":
                self.ending = frame["reason"]


def test_a_run_can_be_watched_and_does_not_notice_when_its_page_dies(
    finished: tuple[Path, dict], clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a film, so that pictures are there for the page alone."""
    monkeypatch.setattr(node_process, "RETRY_S", (0.05, 0.05))
    watching, killed, said = Watching(), [], []

    def watch(nodes: Mapping[str, Node]) -> None:
        viewer = nodes["viewer"]
        if "address" in viewer.counters:
            watching.begin(viewer.counters["address"])
        if len(watching.live) >= 2 and watching.pictures and viewer.process is not None and not killed:
            killed.append(viewer.process.pid)
            viewer.process.kill()

    port = free_port()
    config = settings(clip, tmp_path, "source.pace=realtime", "viewer.enabled=true", f"viewer.port={port}")
    counters = run(config, watch=watch, say=said.append)
    watching.join()
    assert first_difference(finished[0] / "results.jsonl", tmp_path / "results.jsonl") is None
    assert watching.address == f"http://127.0.0.1:{port}/"
    assert killed
    assert said == [
        "the viewer node was killed by SIGKILL; starting it again in 0 s", "the viewer node is back",
    ]  # fmt: skip
    assert counters["viewer"]["restarts"] == 1
    assert watching.visits >= 2
    assert watching.told == set(range(7))
    assert watching.pictures > 25
    assert watching.sounds > 1
    assert watching.ending == "every source has ended"
    assert not list(tmp_path.glob("*.mp4"))
    assert not alive(killed[0])


def test_a_page_is_shown_every_message_of_every_source(clip: Path, tmp_path: Path) -> None:
    """And asks how the run is, every second of it."""
    said: list[str] = []
    sources = f"sources=[{{id: front, uri: {clip}}}, {{id: back, uri: {clip}}}]"
    more = ["source.pace=realtime", "viewer.enabled=true", "viewer.port=0"]
    counters = run(settings(None, tmp_path, sources, *more), say=said.append)
    assert said == []
    assert counters["recorder"]["outputs"]["broadcast"]["sent"] == 2 * (7 + 7)
    assert counters["viewer"]["shown"] == 2 * (7 + 7)
    assert counters["viewer"]["damaged"] == 0


def test_the_command_tells_where_to_watch_and_that_a_port_is_taken(clip: Path, tmp_path: Path) -> None:
    args = ["run", "--source", str(clip), "--weights", "stand-in", "--vocabulary", "dog", "--quiet"]
    small = ["--out", str(tmp_path), "--set", "model.short_side=64", "--set", "vocabulary.cache_dir="]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command(*args, *small, "--viewer", "--set", f"viewer.port={port}")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"error: viewer.port: port {port} of 127.0.0.1 cannot be used: Address already in use; choose "
        "another, or 0 for any that is free"
    )
    done = command(*args, *small, "--viewer", "--set", f"viewer.port={port}")
    assert done.returncode == 0, done.stderr
    assert f"watch it at http://127.0.0.1:{port}/" in done.stderr.splitlines()
    assert len(list(read_results(tmp_path / "results.jsonl"))) == 7


def test_a_file_that_is_no_video_is_one_clear_line_and_exit_code_2(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no video")
    done = command("run", "--source", str(text), "--weights", "stand-in", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "notes.txt" in errors[0]
    assert "Traceback" not in done.stderr


def test_a_failed_start_leaves_earlier_results_alone(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text("earlier\n")
    done = command("run", "--source", "missing.mp4", "--weights", "stand-in", "--out", str(tmp_path))
    assert done.returncode == 2
    assert (tmp_path / "results.jsonl").read_text() == "earlier\n"


def test_the_benchmark_measures_every_stage_and_ratio(tmp_path: Path) -> None:
    """That it runs and tells; what it tells is for the machine it runs on."""
    figures = tmp_path / "bench.json"
    done = command(
        "bench", "--seconds", "2", "--json", str(figures),
        "--set", "model.short_side=64", "--set", "vocabulary.cache_dir=",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(figures.read_text())
    assert {"feature", "observe", "decode", "track", "classify"} <= told["one_process"]["stage_ms"].keys()
    assert set(told["processes"]["memory_by_node_mib"]) == set(NODES)
    assert all(ratio > 0 for ratio in told["ratios"].values())
    assert told["processes"]["objects"] == told["one_process"]["objects"]
    assert "<= 1.15" in done.stdout


def test_a_node_started_by_hand_takes_part_and_ends_with_the_run(
    finished: tuple[Path, dict], clip: Path, tmp_path: Path
) -> None:
    """As on another machine: its own command, the same configuration, tcp addresses."""
    ports = iter(range(47620, 47630))
    links = ("snippets", "features", "masks", "results", "previews", "control")
    more = [f"links.{link}=tcp://127.0.0.1:{next(ports)}" for link in links]
    config = settings(clip, tmp_path, "nodes.model.here=false", *more)
    file = tmp_path / "two.yaml"
    file.write_text(config.model_dump_json(exclude_none=True))
    by_hand = subprocess.Popen(
        [sys.executable, str(ROOT / "run_pipeline.py"), "node", "model", "--config", str(file)]
    )
    try:
        run(config)
        assert by_hand.wait(30) == 0
    finally:
        by_hand.kill()
        by_hand.wait()
    assert first_difference(finished[0] / "results.jsonl", tmp_path / "results.jsonl") is None


def test_a_node_started_by_hand_is_told_when_the_run_breaks_off(clip: Path, tmp_path: Path) -> None:
    ports = iter(range(47630, 47640))
    links = ("snippets", "features", "masks", "results", "previews", "control")
    more = [f"links.{link}=tcp://127.0.0.1:{next(ports)}" for link in links]
    more += ["supervision.deaths=1", "source.pace=realtime"]
    config = settings(clip, tmp_path, "nodes.feature.here=false", *more)
    file = tmp_path / "two.yaml"
    file.write_text(config.model_dump_json(exclude_none=True))
    by_hand = subprocess.Popen(
        [sys.executable, str(ROOT / "run_pipeline.py"), "node", "feature", "--config", str(file)]
    )

    def watch(nodes: Mapping[str, Node]) -> None:
        process = nodes["model"].process
        if nodes["recorder"].counters.get("results", 0) >= 1 and process is not None:
            process.kill()

    try:
        with pytest.raises(NodeFailure, match="the model node died once; at last it was killed"):
            run(config, watch=watch)
        assert by_hand.wait(30) == 0
    finally:
        by_hand.kill()
        by_hand.wait()
