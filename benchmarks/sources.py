"""What a preset of OpenAVS costs a processor per snippet, and whether a machine keeps up with live sources.

    python -m benchmarks.sources CLIP --model edge
    python -m benchmarks.sources CLIP CLIP CLIP CLIP --live

Costs are processor time and not the clock's, so that others on the machine count for little: of the three
stages between capture and recorder, in one process, on one thread. `--live` runs the whole pipeline on all
clips at once, each at its own pace, two results a second: as from cameras, what is not taken in time is lost.
It wants the machine to itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time

import torch

from benchmarks import document
from model.errors import ModelError
from nodes.capture import open_source
from nodes.openavs.calling import CallingStage
from nodes.openavs.hearing import HearingStage
from nodes.openavs.seeing import SeeingStage
from streaming.clock import Clock
from streaming.config import load, setting
from streaming.errors import UserError
from streaming.messages import Message, Snippet, decode, encode
from streaming.supervisor import NodeFailure, Supervisor

WARM_UP = 2  # snippets


def costs_ms(clip: str, model: str) -> tuple[list[list[float]], list[float]]:
    """Processor milliseconds of each snippet: in each of the three stages, and in capture before them.

    Raises `UserError` or `ModelError`.
    """
    given = ("source.hop_s=0.5", "output.annotated=false", f"source.uri={clip}")
    config = load(model=model, settings=[setting(text) for text in given])
    torch.set_num_threads(1)
    stages = [kind.from_config(config) for kind in (HearingStage, SeeingStage, CallingStage)]
    spent: list[list[float]] = [[] for _ in stages]
    captured: list[float] = []
    begun = process_time()
    for message in open_source(config, Clock()):
        if not isinstance(message, Snippet):
            continue
        captured.append(1000 * (process_time() - begun))
        on_its_way: Message = message
        for stage, ms in zip(stages, spent, strict=True):
            start = process_time()
            (on_its_way,) = stage.process(decode(encode(on_its_way)))
            ms.append(1000 * (process_time() - start))
        begun = process_time()
    if len(captured) <= WARM_UP:
        raise UserError(f"{clip}: found {len(captured)} snippets, expected more than {WARM_UP}")
    return spent, captured


def live(clips: Sequence[str], model: str, out: Path) -> list[str]:
    """A row for each of these sources at once: what it had, what was answered, and how late.

    Raises `UserError` or `NodeFailure`.
    """
    sources = [{"id": f"source-{number}", "uri": clip} for number, clip in enumerate(clips, start=1)]
    given = ("source.hop_s=0.5", "source.pace=realtime", "source.overflow=latest", "output.annotated=false")
    more = (f"output.dir={out}", f"sources={json.dumps(sources)}")
    config = load(model=model, settings=[setting(text) for text in (*given, *more)])
    counters = Supervisor(config, clock=Clock()).run()
    rows = ["| source | snippets | answered | latency, median | 95 % |", "|---|---|---|---|---|"]
    for source in sources:
        due = counters[f"capture-{source['id']}"]["snippets"]
        told = counters["recorder"]["sources"][source["id"]]
        late = f"{told['latency_p50_ms']:.0f} ms | {told['latency_p95_ms']:.0f} ms"
        rows.append(f"| {Path(source['uri']).name} | {due} | {told['results']} | {late} |")
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    command = argparse.ArgumentParser(prog="python -m benchmarks.sources", description=__doc__)
    command.add_argument("clip", nargs="+", help="a recording, of which every half second is taken")
    command.add_argument("--model", default="edge", help="the preset (edge)")
    command.add_argument("--live", action="store_true", help="run the pipeline on all of them at once")
    args = command.parse_args(argv)
    try:
        if args.live:
            with TemporaryDirectory() as out:
                print("\n".join(live(args.clip, args.model, Path(out))))
            return 0
        spent, captured = costs_ms(args.clip[0], args.model)
    except (ModelError, UserError, NodeFailure) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    named = zip(("feature", "model", "classification"), spent, strict=True)
    told = ", ".join(f"{name} {median(ms[WARM_UP:]):.0f}" for name, ms in named)
    whole = sum(median(ms[WARM_UP:]) for ms in spent)
    share = 4 * 2 * whole / 1000
    print(f"{document.processor()}, {len(captured)} snippets; processor ms per snippet (median): {told}.")
    print(
        f"Four sources at 2 Hz: {share:.2f} of a core in these; capture {median(captured):.0f} ms a snippet."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
