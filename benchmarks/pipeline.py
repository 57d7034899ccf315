"""What the pipeline costs on this machine: every stage, the sliding step, and the four processes.

All figures come from one run, so that their ratios hold however fast the machine is at the moment:

- each stage per snippet, called in one process;
- a streamed step against the forward pass over the whole clip of T snippets, which is what a clip model pays;
- the pipeline of processes against the same calls in one process, start-up and memory.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import document
from benchmarks.clip import write_clip
from model.checkpoint import open_weights
from model.localiser import Localiser, normalise
from model.memory import single, window_of
from model.precision import device_of, dtype_of
from nodes.capture import open_source
from nodes.classification import ClassificationStage
from nodes.feature import FeatureStage
from nodes.model import ModelStage, localiser_options
from nodes.recorder import RecorderStage
from nodes.runtime import Stage
from streaming.clock import Clock
from streaming.config import Config
from streaming.messages import End, Message, Preview
from streaming.node_process import Node
from streaming.results import read_results
from streaming.supervisor import Supervisor

HEIGHT, WIDTH = 360, 480
REPEATS = 7
MIB = 1 << 20
MEMORY_EVERY_NS = 3_000_000_000
Figures = dict[str, float]


def main(config: Config, json_path: Path, seconds: int, document_path: Path | None = None) -> int:
    """Measure, print the table, write the JSON, and the table to a document; always 0. Raises `UserError`."""
    if document_path is not None:
        document.check(document_path, "bench")
    config = config.model_copy(
        update={
            "model": config.model.model_copy(update={"checkpoint": config.model.checkpoint or "stand-in"}),
            "vocabulary": config.vocabulary.model_copy(update={"words": "dog, bell, train, drum, guitar"}),
        }
    )
    threads, load = os.cpu_count() or 1, os.getloadavg()[0]
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory(prefix="ovavss-bench-") as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, seconds, HEIGHT, WIDTH)
        source = config.source.model_copy(update={"uri": str(clip), "pace": "asap", "overflow": "block"})
        output = config.output.model_copy(update={"dir": str(Path(folder) / "out")})
        config = config.model_copy(update={"source": source, "output": output})
        sliding = sliding_step(config)
        alone = one_process(config)
        together = processes(config)
    figures = {
        "machine": machine(threads, (load, os.getloadavg()[0])),
        "config": {
            "model": config.model.name,
            "precision": str(dtype_of(config.model.precision, device_of(config.model.device))),
        },
        "clip": {"seconds": seconds, "height": HEIGHT, "width": WIDTH, "hop_s": config.source.hop_s},
        "sliding": sliding,
        "one_process": alone,
        "processes": together,
        "ratios": {
            "streamed_step_to_whole_clip": sliding["ratio"],
            "processes_to_one_process": together["ms_per_snippet"] / alone["ms_per_snippet"],
        },
    }
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(figures, indent=2) + "\n")
    show(figures)
    if document_path is not None:
        document.write(document_path, "bench", told(figures))
    print(f"written to {json_path}" + (f" and {document_path}" if document_path else ""))
    return 0


def machine(threads: int, load: tuple[float, float]) -> dict[str, Any]:
    return {
        "processor": document.processor(),
        "cores": os.cpu_count(),
        "load": load,  # average of a minute, before and after: how many processes wanted a core
        "threads": threads,
        "torch": torch.__version__,
        "date": datetime.now().isoformat(timespec="seconds"),
    }


def sliding_step(config: Config) -> Figures:
    """A step of the sliding window against a forward pass over the window's whole clip."""
    localiser = Localiser(localiser_options(config))
    open_weights(config.model.checkpoint, config.model.stand_in_salt).fill("localiser", localiser)
    device = device_of(config.model.device)
    localiser.for_inference(config.model.precision, device)
    t = config.model.window
    clip = torch.randint(0, 255, (t, 3, HEIGHT, WIDTH), dtype=torch.uint8, device=device)
    audio = torch.rand(t, 128, device=device)
    with torch.inference_mode():
        ring = deque(
            (single(localiser.observe(normalise(clip[i : i + 1]), audio[i : i + 1])) for i in range(t)), t
        )

        def whole() -> None:
            masks(localiser(normalise(clip)[None], audio[None]))

        def step() -> None:
            ring.append(single(localiser.observe(normalise(clip[:1]), audio[:1])))
            masks(localiser.decode(window_of(list(ring))))

        def masks(sounding: Any) -> None:
            sounding.mask_logits(queries=torch.arange(10)).cpu()

        whole_ms, step_ms = in_turn(whole, step)
    return {
        "whole_clip_ms": median(whole_ms),
        "streamed_step_ms": median(step_ms),
        "ratio": median(b / a for a, b in zip(whole_ms, step_ms, strict=True)),
    }


def in_turn(*calls: Callable[[], Any]) -> list[list[float]]:
    """Milliseconds of each call, taken in turn so that a drift of the machine meets them alike.

    The first round does not count.
    """
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(REPEATS + 1):
        for call, its in zip(calls, times, strict=True):
            start = perf_counter()
            call()
            its.append(1000 * (perf_counter() - start))
    return [its[1:] for its in times]


def one_process(config: Config) -> dict[str, Any]:
    """The same objects as the nodes hold, called one after the other."""
    weights = open_weights(config.model.checkpoint, config.model.stand_in_salt)
    line: list[Stage] = [
        FeatureStage.from_config(config, weights),
        ModelStage.from_config(config, weights),
        ClassificationStage.from_config(config, weights),
    ]
    recorder = RecorderStage.from_config(config, Clock())
    finished: list[float] = []
    for message in open_source(config, Clock()):
        if message is None:  # only a camera has nothing to give at times
            continue
        if isinstance(message, Preview | End):
            recorder.process(message)
            continue
        results: list[Message] = [message]
        for stage in line:
            results = [out for one in results for out in stage.process(one)]
        for result in results:
            recorder.process(result)
        finished.append(perf_counter())
    recorder.close()
    stats = recorder.stats()
    return {
        "ms_per_snippet": 1000 * (finished[-1] - finished[0]) / (len(finished) - 1),
        "stage_ms": stats["stage_ms"],
        "objects": stats["objects"],
        "clip_calls": line[2].stats()["clip_calls"],
    }


def processes(config: Config) -> dict[str, Any]:
    """The pipeline as it is run: rate from the first result to the last, start-up, memory of all nodes."""
    clock = Clock()
    peak_mib: dict[str, float] = {}
    looked_ns = [0]

    def watch(nodes: Mapping[str, Node]) -> None:
        if clock.monotonic_ns() - looked_ns[0] < MEMORY_EVERY_NS:  # a look walks all pages: it has a price
            return
        looked_ns[0] = clock.monotonic_ns()
        for name, node in nodes.items():
            if node.process is not None:
                peak_mib[name] = max(peak_mib.get(name, 0.0), proportional_mib(node.process.pid))

    begun_ns = clock.wall_ns()
    counters = Supervisor(config, clock=clock, watch=watch, say=print).run()
    times = [
        datetime.fromisoformat(r["wall_time"]).timestamp()
        for r in read_results(Path(config.output.dir) / "results.jsonl")
    ]
    return {
        "ms_per_snippet": 1000 * (times[-1] - times[0]) / (len(times) - 1),
        "first_result_s": times[0] - begun_ns / 1e9,
        "memory_mib": sum(peak_mib.values()),
        "memory_by_node_mib": peak_mib,
        "stage_ms": counters["recorder"]["stage_ms"],
        "objects": counters["recorder"]["objects"],
        "clip_calls": counters["classification"]["clip_calls"],
    }


def proportional_mib(pid: int) -> float:
    """Memory of a process, with what it shares counted in shares (Linux); 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024 / MIB
    except OSError:
        return 0.0
    return 0.0


def rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The figures for a person: what, how much, and the goal it is held to."""
    sliding, alone, together = figures["sliding"], figures["one_process"], figures["processes"]
    ratios, hop_s = figures["ratios"], figures["clip"]["hop_s"]
    for name, ms in alone["stage_ms"].items():
        yield f"{name}, one process", f"{ms:.0f} ms", ""
    yield "whole clip of T snippets", f"{sliding['whole_clip_ms']:.0f} ms", ""
    yield "streamed step", f"{sliding['streamed_step_ms']:.0f} ms", ""
    yield "  ratio", f"{ratios['streamed_step_to_whole_clip']:.2f}", "<= 0.33"
    yield "all stages, one process", f"{alone['ms_per_snippet']:.0f} ms a snippet", ""
    goal = f"<= {1000 * hop_s:.0f} ms"
    yield "all stages, as processes", f"{together['ms_per_snippet']:.0f} ms a snippet", goal
    yield "  ratio", f"{ratios['processes_to_one_process']:.2f}", "<= 1.15"
    yield "start to first result", f"{together['first_result_s']:.1f} s", "<= 15 s"
    yield "memory of all nodes", f"{together['memory_mib']:.0f} MiB", "<= 4096 MiB"


def show(figures: Mapping[str, Any]) -> None:
    """The figures as a table on the terminal."""
    title = f"{figures['config']['model']}, {HEIGHT} x {WIDTH}, T on {figures['machine']['cores']} cores"
    table = Table("figure", "value", "goal", title=title)
    for row in rows(figures):
        table.add_row(*row)
    Console(width=100).print(table)


def told(figures: Mapping[str, Any]) -> Iterator[str]:
    """The figures as Markdown, with the machine that they are of."""
    machine, clip, config = figures["machine"], figures["clip"], figures["config"]
    before, after = machine["load"]
    yield (
        f"{config['model']}, {config['precision']}, {clip['height']} x {clip['width']}, {clip['seconds']} s; "
        f"{machine['date'][:10]}, {machine['cores']} cores of {machine['processor']}, "
        f"torch {machine['torch']}; "
        f"load {before:.1f} before, {after:.1f} after"
    )
    yield ""
    if before > machine["cores"] / 2:
        yield "**Other work ran beside it**: times are too long, and ratios hold only where it was even."
        yield ""
    yield "| figure | value | goal |"
    yield "|---|---|---|"
    for what, value, goal in rows(figures):
        yield f"| {what.strip()} | {value} | {goal} |"
