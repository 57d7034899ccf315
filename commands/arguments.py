"""The command line: every sub-command and its options."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from model.depot.arguments import add_arguments as add_weights
from model.evaluation.arguments import add_arguments as add_evaluation
from model.pseudo.arguments import add_arguments as add_labelling
from model.training.arguments import add_arguments as add_training
from model.world.arguments import add_arguments as add_world


def parser(about: str = "") -> argparse.ArgumentParser:
    """The command line; `about` is what the program says of itself."""
    top = argparse.ArgumentParser(prog="run_pipeline.py", description=about)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=about)

    run = command("run", "Run the pipeline over a source and write results.jsonl and annotated.mp4.")
    _live(run)
    _modelled(run)
    run.add_argument("--out", metavar="DIR", help="where results go (default: runs/latest)")
    run.add_argument(
        "--pace", choices=("asap", "realtime"), help="as fast as possible (default), or as it was recorded"
    )
    run.add_argument("--record", metavar="FILE", help="keep what comes in, to be played again by `replay`")
    _by_the_folder(run)
    _told(run)
    _configurable(run)

    replay = command("replay", "Run the pipeline over what `record` or `run --record` has kept, exactly.")
    replay.add_argument("source", metavar="FILE", help="the recording, an MCAP file")
    replay.add_argument("--start", type=float, metavar="S", help="begin so many seconds into it")
    replay.add_argument(
        "--pace", choices=("asap", "realtime"), help="as fast as possible (default), or as it came"
    )
    replay.add_argument(
        "--model",
        metavar="NAME",
        help="preset of a model: tiny (default), edge, openavs, sam4avs, r50 or swinb",
    )
    replay.add_argument("--weights", metavar="PATH", help="a checkpoint, or 'stand-in' to try without one")
    replay.add_argument("--vocabulary", metavar="WORDS", help="what to look for, as for `run`")
    replay.add_argument("--out", metavar="DIR", help="where results go (default: runs/latest)")
    _told(replay)
    _configurable(replay)

    record = command("record", "Keep the snippets of a source, without looking at them, for `replay`.")
    _live(record)
    record.add_argument("--out", required=True, metavar="FILE", help="the recording, an MCAP file")
    record.add_argument("--pictures", choices=("lossless", "jpeg"), help="how they are kept (lossless)")
    record.add_argument("--seconds", type=seconds, metavar="S", help="stop after so long")
    _configurable(record)

    check = command("check", "Check a configuration without starting anything.")
    check.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file, see configs/")
    _settable(check)

    node = command("node", "Run one node of a pipeline that spans several machines.")
    node.add_argument("name", choices=("capture", "feature", "model", "classification", "recorder", "viewer"))
    _configurable(node)

    words = command("vocabulary", "Show or replace the vocabulary of a running pipeline.")
    words.add_argument("words", nargs="?", help='the new words, "dog, violin, train", or a YAML file')
    words.add_argument(
        "--out", default="runs/latest", metavar="DIR", help="the run's --out (default: runs/latest)"
    )

    doctor = command("doctor", "Tell what works on this machine, and how to mend what does not.")
    doctor.add_argument(
        "--out", default="runs/latest", metavar="DIR", help="where results would go (default: runs/latest)"
    )
    doctor.add_argument("--json", action="store_true", help="all that was found, for programs")

    status = command("status", "Show how a running pipeline is doing: its sources and its nodes.")
    status.add_argument(
        "--out", default="runs/latest", metavar="DIR", help="the run's --out (default: runs/latest)"
    )
    status.add_argument("--json", action="store_true", help="all that is known, for programs")

    report = command(
        "report", "Tell of a run in one HTML file that opens from disk, for those who were not there."
    )
    report.add_argument("dir", type=Path, metavar="DIR", help="the run's --out")
    report.add_argument(
        "--out", type=Path, metavar="FILE", help="the file to write (default: DIR/report.html)"
    )

    keys = command("keys", "Make the CURVE keys that links between machines need.")
    keys.add_argument("dir", type=Path, metavar="DIR", help="where they go: a new folder")

    add_world(command("world", "Make audio-visual clips with exact truth, in AVSBench-OV's layout."))

    label = command("pseudo-label", "Make a set to train on of what a model finds in unlabelled videos.")
    add_labelling(label)
    _modelled(label)
    _by_the_folder(label)
    label.add_argument("--quiet", action="store_true", help="no progress, no summary")
    _configurable(label)

    train = command("train", "Train a model, on one processor, one GPU or many (torchrun).")
    add_training(train)
    _settable(train)

    evaluate = command("evaluate", "Score a model on clips with known truth, offline and streamed.")
    add_evaluation(evaluate)
    evaluate.add_argument("--model", metavar="NAME", help="preset of a model: tiny (default), r50 or swinb")
    evaluate.add_argument("--weights", metavar="PATH", help="a checkpoint, or 'stand-in' to try without one")
    _configurable(evaluate)

    add_weights(command("weights", "List, fetch and check the weights that do not come with the project."))

    bench = command("bench", "Measure every stage, the sliding step and the whole pipeline on this machine.")
    bench.add_argument(
        "--json", type=Path, metavar="FILE", default=Path("runs/bench.json"), help="where figures go"
    )
    bench.add_argument(
        "--seconds", type=whole_seconds, default=20, help="length of the clip the pipeline is timed on"
    )
    bench.add_argument(
        "--write", type=Path, metavar="FILE", help="a document whose marked part is replaced by the figures"
    )
    _configurable(bench)
    bench.add_argument("--model", metavar="NAME", help="preset of a model: tiny (default), r50 or swinb")
    return top


def seconds(text: str) -> float:
    """A number of seconds above 0, from a command line."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number of seconds above 0")
    return value


def whole_seconds(text: str) -> int:
    """A whole number of seconds, at least 1, from a command line."""
    return whole_number(text, "a whole number of seconds")


def whole_number(text: str, what: str = "a whole number") -> int:
    """A whole number, at least 1, from a command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {what}, at least 1")
    return int(text)


def _live(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--source", metavar="SOURCE",
        help="a recording in any format that FFmpeg reads, webcam:0, or rtsp://NAME:PASSWORD@HOST/PATH; for "
        "`run` also a folder, of which every recording is run over",
    )  # fmt: skip
    command.add_argument(
        "--microphone", metavar="NAME", help="heard with a webcam: default, an index or a name, or none"
    )


def _modelled(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model",
        metavar="NAME",
        help="preset of a model: tiny (default), edge, openavs, sam4avs, r50 or swinb",
    )
    command.add_argument(
        "--weights",
        metavar="PATH",
        help="a checkpoint, or 'stand-in' to try without one (r50, swinb); tiny brings its own",
    )
    command.add_argument(
        "--vocabulary", metavar="WORDS", help='what to look for: "dog, violin, train", or a YAML file'
    )


def _by_the_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--jobs", type=whole_number, metavar="N", help="of a folder, run over so many files at once"
    )
    command.add_argument(
        "--retry-failed", action="store_true", help="of a folder, try again what failed the last time"
    )


def _told(command: argparse.ArgumentParser) -> None:
    command.add_argument("--quiet", action="store_true", help="no progress, no summary")
    command.add_argument(
        "--viewer", action=argparse.BooleanOptionalAction, default=None,
        help="serve a page to watch the run on, and tell its address",
    )  # fmt: skip
    command.add_argument(
        "--log-status", type=seconds, nargs="?", const=1.0, metavar="S",
        help="tell the whole status every S seconds (1 unless given), a line for each source",
    )  # fmt: skip


def _configurable(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help="a YAML configuration, see configs/")
    _settable(command)


def _settable(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
        help="any setting of the configuration, such as source.hop_s=0.5 (repeatable)",
    )  # fmt: skip
