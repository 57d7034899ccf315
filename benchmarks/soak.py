"""A live run for a long time, with faults at random: what it loses, how long it takes to be back, what grows.

    python -m benchmarks.soak --minutes 30 --write docs/reliability.md

Two real RTSP cameras, which play the demonstration clip over and over, share the bundled model, two results
a second each. Every so often something is broken: a node is killed (SIGKILL) or made to hang (SIGSTOP), a
camera is killed for ten seconds, frozen, or stops sending sound; in the last third, cameras alone have
faults, so that processes live long enough to see whether they grow. From the results and from what the
supervisor knows:

- recovery: from a fault to the end of the pause in the results of the sources that it concerns;
- lost: numbers of snippets that have no result, and that nobody counted as dropped at the door;
- memory: the slope over the lives of each process that were long enough;
- latency: of the last quarter of the run against the first, away from faults;
- unexpected exits: deaths that were not made here.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks import document
from streaming.clock import Clock
from streaming.config import load, setting
from streaming.errors import UserError
from streaming.node_process import Node
from streaming.results import read_results
from streaming.supervisor import NODES, Supervisor
from tests.cameras import RtspCamera, missing

ROOT = Path(__file__).parent.parent
CLIP = ROOT / "media" / "demo.mp4"
SOURCES = ("front", "yard")
HOP_S = 0.5
HUNG_S = 10.0
SILENT_S = 3.0
WARM_UP_S = 60.0  # at the beginning, and of a process's life, before anything is measured
PAUSE_S = 1.5  # results further apart than this are a pause
LONG_S = 240.0  # lives of processes that are long enough for a slope
CALM_S = 20.0  # for so long after a fault latency is not that of a run that goes well
PRIMING_S = 0.1  # sound begins a little before its clip


@dataclass
class Fault:
    """Something that was broken: when (wall clock, s), what, and the sources that it concerns."""

    at_s: float
    what: str
    sources: tuple[str, ...]
    recovery_s: dict[str, float] = field(default_factory=dict)


def looped(clip: Path, path: Path, seconds: float) -> Path:
    """A clip over and over in one file, its packets copied."""
    with av.open(str(path), "w") as target:
        streams: dict[int, Any] = {}
        offset_s = 0.0
        while offset_s < seconds:
            with av.open(str(clip)) as source:
                for stream in source.streams:
                    if stream.index not in streams:
                        streams[stream.index] = target.add_stream_from_template(stream)
                for packet in source.demux():
                    if packet.dts is None or packet.pts is None:
                        continue
                    ticks = round(offset_s / packet.time_base)
                    packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                    packet.stream = streams[packet.stream.index]
                    target.mux(packet)
                offset_s += (source.duration or 0) / av.time_base + PRIMING_S
    return path


class Soak:
    """The run, and what is seen of it."""

    def __init__(self, folder: Path, minutes: float, every_s: float, seed: int) -> None:
        self.folder, self.minutes, self.every_s = folder, minutes, every_s
        self.random = random.Random(seed)
        film = looped(CLIP, folder / "film.mp4", minutes * 60 + 120)
        self.cameras = {name: RtspCamera(film) for name in SOURCES}
        listed = ", ".join(f"{{id: {name}, uri: '{camera.uri}'}}" for name, camera in self.cameras.items())
        texts = (
            f"sources=[{listed}]", f"source.hop_s={HOP_S}", f"source.silent_s={SILENT_S}",
            f"output.dir={folder}", "output.annotated=false", f"supervision.hung_s={HUNG_S}",
            "supervision.deaths=100", "vocabulary.words=dog, violin, drum, wolf, telephone",
        )  # fmt: skip
        config = load(settings=[setting(text) for text in texts])
        self.said: list[str] = []
        self.faults: list[Fault] = []
        self.memory: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
        self.supervisor = Supervisor(config, clock=Clock(), watch=self._watch, say=self.said.append)
        self.nodes: Mapping[str, Node] = {}
        self.begun_s = self.stopped_s = self._looked_s = 0.0

    def run(self) -> dict[str, Any]:
        """To the end; the figures."""
        making = threading.Thread(target=self._make_trouble, daemon=True)
        making.start()
        counters = self.supervisor.run()
        ended_s = time.time()
        making.join()
        for camera in self.cameras.values():
            camera.kill()
        return self._figures(counters, ended_s - self.stopped_s)

    def _watch(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes
        now_s = time.time()
        if now_s - self._looked_s < 1.0:
            return
        self._looked_s = now_s
        for name, node in nodes.items():
            if node.state == "ready":
                about = node.status()
                self.memory[name, node.incarnation].append((now_s, about.get("memory_mib", 0.0)))

    def _make_trouble(self) -> None:
        while not all(
            node.counters.get("results") for name, node in self.nodes.items() if name == "recorder"
        ):
            time.sleep(0.5)
        while not self.nodes:
            time.sleep(0.1)
        self.begun_s = time.time()
        until_s = self.begun_s + self.minutes * 60
        kinds = [
            f"{name} {how}"
            for name in (*self.supervisor.config.captures, *NODES[1:])
            for how in ("killed", "hung")
        ]
        of_cameras = [f"{name} {how}" for name in SOURCES for how in ("gone", "frozen", "mute")]
        kinds += of_cameras
        waiting: list[str] = []
        while (next_s := time.time() + self.every_s * self.random.uniform(0.6, 1.4)) < until_s - 60:
            time.sleep(max(0.0, next_s - time.time()))
            if time.time() > self.begun_s + self.minutes * 40:
                kinds, waiting = of_cameras, [one for one in waiting if one in of_cameras]
            waiting = waiting or self.random.sample(kinds, len(kinds))  # each once before any comes twice
            self._break(waiting.pop())
        time.sleep(max(0.0, until_s - time.time()))
        self.stopped_s = time.time()
        self.supervisor.stop()

    def _break(self, what: str) -> None:
        name, how = what.rsplit(" ", 1)
        camera = self.cameras.get(name)
        concerned = (name,) if camera else (name.removeprefix("capture-"),) if "-" in name else SOURCES
        self.faults.append(Fault(time.time(), what, concerned))
        print(f"{datetime.now():%H:%M:%S} {what}", flush=True)
        if camera is not None:
            match how:
                case "gone":
                    camera.kill()
                    time.sleep(10.0)
                    camera.start()
                case "frozen":
                    camera.freeze()
                    time.sleep(10.0)
                    camera.thaw()
                case "mute":
                    camera.tell("mute")
                    time.sleep(10.0)
                    camera.tell("unmute")
            return
        process = self.nodes[name].process
        if process is not None and self.nodes[name].state == "ready":
            process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGSTOP)

    # Figures ---------------------------------------------------------------------------------------------

    def _figures(self, counters: Mapping[str, Any], stop_s: float) -> dict[str, Any]:
        results = {name: list(read_results(self.folder / name / "results.jsonl")) for name in SOURCES}
        times = {
            name: np.array([datetime.fromisoformat(line["wall_time"]).timestamp() for line in lines])
            for name, lines in results.items()
        }
        for fault, then_s in zip(
            self.faults, [*(fault.at_s for fault in self.faults[1:]), np.inf], strict=True
        ):
            for name in fault.sources:
                fault.recovery_s[name] = recovery_s(times[name], fault.at_s, then_s)
        killed = sum(fault.what.endswith(("killed", "hung")) for fault in self.faults)
        deaths = sum("starting it again" in line or "the run goes on" in line for line in self.said)
        lost = {}
        for name, lines in results.items():
            missing = sum(after["seq"] - before["seq"] - 1 for before, after in pairwise(lines))
            capture = counters[f"capture-{name}"]
            lost[name] = {
                "missing": missing,
                "dropped": capture.get("dropped", 0),
                "given_up": sum(one.get("given_up", 0) for one in counters.values()),
            }
        return {
            "minutes": self.minutes,
            "results": {name: len(lines) for name, lines in results.items()},
            "faults": [vars(fault) for fault in self.faults],
            "restarts": {name: one.get("restarts", 0) for name, one in counters.items()},
            "unexpected_exits": deaths - killed,
            "lost": lost,
            "twice": {
                name: len(lines) - len({line["seq"] for line in lines}) for name, lines in results.items()
            },
            "memory_mib_per_hour": slopes(self.memory),
            "memory_mib": {
                name: round(
                    max(mib for (who, _), seen in self.memory.items() if who == name for _, mib in seen), 1
                )
                for name in {who for who, _ in self.memory}
            },
            "latency_ms": self._latency(results, times),
            "stop_s": round(stop_s, 2),
        }

    def _latency(self, results: Mapping[str, list[dict]], times: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """p50 and p99 of the first and the last quarter, of what came away from faults."""
        quarter_s = (self.stopped_s - self.begun_s - WARM_UP_S) / 4
        spans = {
            "first": (self.begun_s + WARM_UP_S, self.begun_s + WARM_UP_S + quarter_s),
            "last": (self.stopped_s - quarter_s, self.stopped_s),
        }
        told: dict[str, Any] = {}
        for span, (begin_s, end_s) in spans.items():
            found = [
                line["latency_ms"]
                for name, lines in results.items()
                for line, at_s in zip(lines, times[name], strict=True)
                if begin_s <= at_s < end_s
                and not any(0 <= at_s - fault.at_s < CALM_S + HUNG_S for fault in self.faults)
            ]
            told[span] = {
                "count": len(found),
                **{f"p{q}": round(float(np.percentile(found, q)), 1) for q in (50, 99) if found},
            }
        return told


def recovery_s(times: np.ndarray, at_s: float, then_s: float) -> float:
    """From a fault to the end of the longest pause in results before the next one; 0 where there was none."""
    near = times[(times > at_s - 2 * HOP_S) & (times < min(then_s, at_s + 60.0))]
    if len(near) < 2:
        return float("inf")
    pauses = np.diff(near)
    return round(float(near[1:][pauses.argmax()] - at_s), 2) if pauses.max() > PAUSE_S else 0.0


def slopes(memory: Mapping[tuple[str, int], list[tuple[float, float]]]) -> dict[str, float]:
    """MiB an hour of each node, over the lives that were long enough: fitted lines, weighed by how long."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (name, _), seen in memory.items():
        times, mib = np.array(seen).T
        steady = times > times[0] + WARM_UP_S
        if steady.any() and times[-1] - times[steady][0] >= LONG_S - WARM_UP_S:
            slope = np.polyfit(times[steady] - times[0], mib[steady], 1)[0] * 3600
            found[name].append((float(slope), float(times[-1] - times[steady][0])))
    return {
        name: round(float(np.average([s for s, _ in lives], weights=[w for _, w in lives])), 1)
        for name, lives in sorted(found.items())
    }


def told(figures: Mapping[str, Any], command: str) -> Iterator[str]:
    """The figures as Markdown."""
    first, last = figures["latency_ms"]["first"], figures["latency_ms"]["last"]
    yield f"`{command}`, {datetime.now():%Y-%m-%d}, {figures['cores']} cores of {figures['processor']}:"
    yield ""
    yield f"| in {figures['minutes']:g} minutes, {len(figures['faults'])} faults | |"
    yield "|---|---|"
    counts = ", ".join(f"{name} {count}" for name, count in figures["results"].items())
    yield f"| results | {counts} |"
    yield f"| exits that were not made here | {figures['unexpected_exits']} |"
    for name, lost in figures["lost"].items():
        yield (
            f"| snippets of {name} without a result | {lost['missing']}; counted as dropped at the door "
            f"{lost['dropped']}, as left out {lost['given_up']} |"
        )
    yield f"| results told twice | {sum(figures['twice'].values())} |"
    for quantile in ("p50", "p99"):
        before_ms, after_ms = first[quantile], last[quantile]
        change = f"{100 * (after_ms / before_ms - 1):+.1f} %"
        yield f"| latency {quantile}, first and last quarter | {before_ms} and {after_ms} ms ({change}) |"
    grows = ", ".join(f"{name} {slope:+.1f}" for name, slope in figures["memory_mib_per_hour"].items())
    yield f"| memory, MiB an hour | {grows} |"
    most = ", ".join(f"{name} {mib:.0f}" for name, mib in sorted(figures["memory_mib"].items()))
    yield f"| memory, most MiB | {most} |"
    yield f"| from stop to the last process gone | {figures['stop_s']} s |"
    yield ""
    yield "| fault | times | results were back after (s) |"
    yield "|---|---|---|"
    by_kind: dict[str, list[float]] = defaultdict(list)
    counted: dict[str, int] = defaultdict(int)
    for fault in figures["faults"]:
        name, how = fault["what"].rsplit(" ", 1)
        kind = f"{'camera' if name in SOURCES else name.partition('-')[0]} {how}"
        counted[kind] += 1
        by_kind[kind] += fault["recovery_s"].values()
    for kind, found in sorted(by_kind.items()):
        span = f"{min(found):.1f} to {max(found):.1f}" if max(found) else "no pause"
        yield f"| {kind} | {counted[kind]} | {span} |"


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--minutes", type=float, default=30.0)
    options.add_argument(
        "--every", type=float, default=50.0, metavar="S", help="seconds between faults, about"
    )
    options.add_argument("--seed", type=int, default=1)
    options.add_argument(
        "--out", type=Path, help="where results and soak.json go (default: a temporary folder)"
    )
    options.add_argument(
        "--write", type=Path, metavar="FILE", help="a document whose marked part is replaced"
    )
    args = options.parse_args()
    try:
        if args.write:
            document.check(args.write, "soak")
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    if why := missing():
        raise SystemExit(f"error: no RTSP server here: {why}; .ci/run says which Debian packages it needs")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = Soak(folder, args.minutes, args.every, args.seed).run()
        figures |= {"cores": os.cpu_count(), "processor": document.processor(), "seed": args.seed}
        (folder / "soak.json").write_text(json.dumps(figures, indent=1))
    command = (
        f"python -m benchmarks.soak --minutes {args.minutes:g} --every {args.every:g} --seed {args.seed}"
    )
    lines = list(told(figures, command))
    print("\n".join(lines))
    if args.write:
        document.write(args.write, "soak", lines)


if __name__ == "__main__":
    main()
