"""`run_pipeline.py evaluate`: reads the sets, runs the model over them, writes and prints the scores."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track

from model.data.avsbench import Split, read_ms3, read_s4, read_semantic
from model.data.avsbench_ov import read_avsbench_ov
from model.data.clips import ClipSet
from model.errors import ModelError
from model.evaluation.answers import Predictor
from model.evaluation.evaluate import Task, evaluate, thinned
from model.evaluation.offline import Offline
from model.evaluation.once import computed_once
from model.evaluation.parts import Parts
from model.evaluation.report import Report
from model.evaluation.scores import LABELLED, Layout
from model.evaluation.streaming import Streaming

READERS: Mapping[Layout, Callable[[Path, Split], ClipSet]] = {
    "avsbench-ov": read_avsbench_ov,
    "semantic": read_semantic,
    "s4": read_s4,
    "ms3": read_ms3,
}
PREDICTORS: Mapping[str, Callable[[Parts], Predictor]] = {"offline": Offline, "streaming": Streaming}
MakeParts = Callable[[Sequence[str] | None], Parts]


def main(args: argparse.Namespace, make_parts: MakeParts, about: Mapping[str, str]) -> int:
    """Does what the options (`arguments.py`) say.

    Args:
        make_parts: the model, given the words to choose from; None for those of its configuration.
        about: what is evaluated, for the report.

    Raises:
        ModelError: data or weights cannot be used, or the report cannot be written.
    """
    if args.clips is not None and args.clips < 1:
        raise ModelError(f"--clips: found {args.clips}, expected 1 or more")
    sets = [thinned(READERS[args.layout](root, args.part), args.clips) for root in args.data]
    if args.out:
        prepare(args.out)
    torch.set_num_threads(os.cpu_count() or 1)
    parts = make_parts(words_of(sets[0]) if args.layout in LABELLED else None)
    modes = list(PREDICTORS) if args.mode == "both" else [args.mode]
    kept = (
        (parts.audio_encoder, "forward"),
        (parts.localiser.backbone, "forward"),
        (parts.localiser, "observe"),
    )
    with computed_once(*kept) as forget:
        scorers = evaluate(
            sets,
            {mode: PREDICTORS[mode](parts) for mode in modes},
            args.layout,
            controls=not args.no_controls,
            forget=forget,
            watched=watched,
        )
    data = ", ".join(map(str, args.data))
    report = Report({**about, "data": data, "layout": args.layout, "part": args.part}, scorers)
    Console(highlight=False, width=None if sys.stdout.isatty() else 100).print(report.table())
    if args.out:
        report.write(args.out)
        print(f"written to {args.out}")
    return 0


def words_of(clips: ClipSet) -> list[str]:
    """What the things of a set may be called: its base and novel categories, by number."""
    categories = clips.categories
    return sorted((*categories.base, *categories.novel), key=categories.ids.__getitem__)


def prepare(out: Path) -> None:
    """Makes the folder before anything takes long. Raises `ModelError`."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(f"{out}: cannot be made: {error.strerror or error}; choose another --out") from error


def watched(tasks: Sequence[Task]) -> Iterable[Task]:
    """The same, with a bar on a terminal."""
    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    return track(tasks, "evaluating clips", console=console)
