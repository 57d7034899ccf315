"""OV-AVSS Live: which pixels are making sound, and what they are, in any words you type.

The command: each sub-command is a function below; `python run_pipeline.py COMMAND --help` tells its options.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streaming.errors import UserError
from streaming.legible import legible

if TYPE_CHECKING:
    from streaming.archive.ledger import Entry
    from streaming.config import Config, LinksConfig
    from streaming.control import ControlClient

POINTER = "control.json"  # in the output folder of a run: how to reach it
CHECKPOINTS = (
    "Get `model_ov_avss_{name}.pth` from the links in the README of github.com/ruohaoguo/ovavss "
    "(OneDrive or Baidu), put it anywhere and give its path: --weights PATH (or model.checkpoint in a "
    "configuration). To try the machinery without it: --weights stand-in; its masks and labels mean nothing."
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="run_pipeline.py", description=(__doc__ or "").splitlines()[0])
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

    from model.world.arguments import add_arguments

    add_arguments(command("world", "Make audio-visual clips with exact truth, in AVSBench-OV's layout."))

    from model.pseudo.arguments import add_arguments as add_labelling

    label = command("pseudo-label", "Make a set to train on of what a model finds in unlabelled videos.")
    add_labelling(label)
    _modelled(label)
    _by_the_folder(label)
    label.add_argument("--quiet", action="store_true", help="no progress, no summary")
    _configurable(label)

    from model.training.arguments import add_arguments as add_training

    train = command("train", "Train a model, on one processor, one GPU or many (torchrun).")
    add_training(train)
    _settable(train)

    from model.evaluation.arguments import add_arguments as add_evaluation

    evaluate = command("evaluate", "Score a model on clips with known truth, offline and streamed.")
    add_evaluation(evaluate)
    evaluate.add_argument("--model", metavar="NAME", help="preset of a model: tiny (default), r50 or swinb")
    evaluate.add_argument("--weights", metavar="PATH", help="a checkpoint, or 'stand-in' to try without one")
    _configurable(evaluate)

    from model.depot.arguments import add_arguments as add_weights

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


def run(args: argparse.Namespace) -> int:
    return whole_run(args, {("output", "tape"): args.record, ("source", "microphone"): args.microphone})


def replay(args: argparse.Namespace) -> int:
    from streaming.tape import TapeReader

    recorded = {("source", "start_s"): args.start, ("source", "hop_s"): TapeReader(args.source).hop_s}
    return whole_run(args, recorded)


def whole_run(args: argparse.Namespace, more: Mapping[tuple[str, ...], Any]) -> int:
    """A whole run; the exit code. `more` are settings beside those that `run` and `replay` share.

    Raises `UserError`.
    """
    from streaming.config import kind_of_node
    from streaming.console import whoever_listens
    from streaming.supervisor import used_nodes

    config = configured(
        args,
        {
            ("source", "uri"): args.source,
            ("source", "pace"): args.pace,
            ("model", "name"): args.model,
            ("model", "checkpoint"): args.weights,
            ("output", "dir"): args.out,
            ("vocabulary", "words"): args.vocabulary,
            ("viewer", "enabled"): args.viewer,
            **more,
        },
        model=args.model,
    )
    if not config.sources and not config.source.uri:
        raise UserError(
            "nothing to run: give --source FILE, webcam:0 or rtsp://… (or source.uri in a configuration)"
        )
    if any(getattr(config.nodes, name).here for name in ("feature", "model", "classification")):
        require_model(config)
    if not all(getattr(config.nodes, kind_of_node(name)).here for name in used_nodes(config)):
        require_addresses(config, "a run with nodes elsewhere")
    words = words_of(config.vocabulary.words)
    if config.model.checkpoint == "stand-in":
        print("NOTE: stand-in weights: every mask and label of this run is meaningless.", file=sys.stderr)

    with whoever_listens():
        if args.command == "run" and config.source.uri and Path(config.source.uri).is_dir():
            return archived(config, args, words)
        for name in ("jobs", "retry_failed"):
            if getattr(args, name, None):
                raise UserError(f"--{name.replace('_', '-')}: expected a folder as --source, found none")
        return supervised(config, quiet=args.quiet, status_s=args.log_status)


def archived(config: Config, args: argparse.Namespace, words: tuple[str, ...]) -> int:
    """A run over every recording of a folder; the exit code. Raises `UserError`."""
    from streaming.archive.archive import require_archive

    require_archive(config, args.log_status)
    return all_of_a_folder(config, args, words)[0]


def all_of_a_folder(
    config: Config, args: argparse.Namespace, words: tuple[str, ...]
) -> tuple[int, list[Entry]]:
    """The runs over a folder's recordings: the exit code, and what became of each. Raises `UserError`."""
    from streaming.archive.archive import Archive, jobs_of
    from streaming.archive.ledger import Ledger
    from streaming.archive.table import table, write_csv
    from streaming.console import print_table

    def say(line: str) -> None:
        if not args.quiet:
            print(legible(line), file=sys.stderr, flush=True)

    out, stopped = Path(config.output.dir), False
    with Ledger(out) as ledger:
        archive = Archive(
            config, ledger, more=what_runs(config), words=words, retry_failed=args.retry_failed, say=say
        )

        def stop(*_: object) -> None:
            nonlocal stopped
            stopped = True
            archive.stop()

        for signal_ in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signal_, stop)
        entries = archive.run(args.jobs or jobs_of(config))
        write_csv(out, entries)
    failed = sum(one.state == "failed" for one in entries)
    if not args.quiet:
        print_table(table(entries))
        for line in archive.summary(entries):
            print(line, flush=True)
    if failed:
        complain(UserError(f"{failed} of {len(entries)} files failed; --retry-failed tries them again"))
    return (130 if stopped else int(failed > 0)), entries


def pseudo_label(args: argparse.Namespace) -> int:
    """Runs over a folder, and makes a set of what was found; the exit code. Raises `UserError`."""
    from model.errors import ModelError
    from model.pseudo.label import counted
    from nodes.pseudo import labelled
    from streaming.archive.archive import require_archive
    from streaming.console import whoever_listens

    root = Path(args.out)
    given = {
        ("source", "uri"): args.source,
        ("source", "hop_s"): 1.0,
        ("model", "name"): args.model,
        ("model", "checkpoint"): args.weights,
        ("output", "dir"): str(root / "runs"),
        ("output", "annotated"): False,
        ("output", "certainty"): True,
        ("vocabulary", "words"): args.vocabulary,
    }
    config = configured(args, given, args.model)
    if not Path(args.source).is_dir():
        raise UserError(f"--source: {args.source}: found no folder, expected one of videos")
    if config.source.hop_s != 1.0 or not config.output.certainty or not config.output.results:
        raise UserError(
            "pseudo-label needs source.hop_s=1.0, output.certainty and output.results as they are"
        )
    require_archive(config, None)
    require_model(config)
    words = words_of(config.vocabulary.words)
    with whoever_listens():
        code, entries = all_of_a_folder(config, args, words)
        if code == 130:
            return code
        done = [entry.file for entry in entries if entry.state == "done"]
        try:
            clips, failures = labelled(config, root, done, args.seconds, what_runs(config))
        except ModelError as error:
            raise UserError(str(error)) from error
    for line in failures:
        complain(UserError(line))
    if not args.quiet:
        print(f"{root}: {counted(clips)}", flush=True)
    return max(code, int(bool(failures)))


def supervised(config: Config, *, quiet: bool, status_s: float | None) -> int:
    """A run with its display, to its end; the exit code. Raises `UserError`."""
    from streaming.clock import Clock
    from streaming.console import Watcher, print_table, summary
    from streaming.run_record import RunRecord
    from streaming.supervisor import NodeFailure, Supervisor

    clock = Clock()
    begun_ns = clock.wall_ns()
    folder = Path(config.output.dir)
    record = RunRecord(folder, config, clock, what_runs(config))
    told = False

    def tell(counters: Mapping[str, Mapping[str, Any]]) -> None:
        """What came of it, once: the page may stay for a while after that."""
        nonlocal told
        if told:
            return
        told = True
        record.end(counters)
        if quiet:
            return
        watcher.rest()
        first_ns = counters.get("recorder", {}).get("first_result_wall_ns")
        startup_s = (first_ns - begun_ns) / 1e9 if first_ns else None
        print_table(summary(counters, (clock.wall_ns() - begun_ns) / 1e9, startup_s))
        print(f"written to {config.output.dir}" if first_ns else "ended before the first result", flush=True)
        if config.model.checkpoint == "stand-in":
            print("Stand-in weights: these masks and labels mean nothing.", flush=True)

    with Watcher(clock, quiet=quiet, status_s=status_s) as watcher:
        supervisor = Supervisor(config, clock=clock, watch=watcher.watch, say=watcher.say, lingers=tell)
        for signal_ in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signal_, lambda *_: supervisor.stop())
        try:
            with announced(folder, supervisor.config.links), record:
                tell(supervisor.run())
        except NodeFailure as error:
            complain(error)
            return 1
    return 0


def what_runs(config: Config) -> dict[str, Any]:
    """For the record of a run: weights with their SHA-256 and device, as far as they are of this machine."""
    from model.checkpoint import weights_path
    from model.errors import ModelError
    from model.precision import device_of
    from streaming.run_record import sha256_of

    checkpoint, device = config.model.checkpoint, config.model.device
    if config.nodes.model.here:
        with suppress(ModelError):  # the node will say it
            device = str(device_of(device))
    file = None
    if checkpoint and checkpoint != "stand-in":
        with suppress(ModelError):  # what is fetched need not be here where the nodes are elsewhere
            file = weights_path(checkpoint)
    weights: dict[str, Any] = {"checkpoint": checkpoint, "sha256": file and sha256_of(file)}
    if config.model.family == "openavs":
        from nodes.openavs.providers import weights_files

        with suppress(ModelError):
            weights["files"] = {name: sha256_of(path) for name, path in weights_files(config).items()}
    return {"weights": weights, "device": device}


def record(args: argparse.Namespace) -> int:
    from nodes.record import record as keep

    given = {
        ("source", "uri"): args.source,
        ("source", "microphone"): args.microphone,
        ("output", "tape"): args.out,
        ("output", "tape_pictures"): args.pictures,
    }
    print(keep(configured(args, given), args.seconds))
    return 0


def configured(
    args: argparse.Namespace, given: Mapping[tuple[str, ...], Any], model: str | None = None
) -> Config:
    """A command's configuration: its file, the options that were given, and --set. Raises `UserError`."""
    from streaming.config import load, nested, setting

    layers = [nested(key, value, f"--{option(key)}") for key, value in given.items() if value is not None]
    return load(args.config, model=model, settings=[*layers, *map(setting, args.settings)])


@contextmanager
def announced(folder: Path, links: LinksConfig) -> Iterator[None]:
    """Leave word in the output folder, while a run lasts, of how to reach it. Raises `UserError`."""
    pointer = folder / POINTER
    keys = links.keys and str(Path(links.keys).absolute())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pointer.write_text(json.dumps({"control": links.control, "keys": keys}))
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from error
    try:
        yield
    finally:
        pointer.unlink(missing_ok=True)


def option(key: tuple[str, ...]) -> str:
    """The command-line option behind a configuration key."""
    return {
        "uri": "source",
        "name": "model",
        "checkpoint": "weights",
        "dir": "out",
        "words": "vocabulary",
        "start_s": "start",
        "tape": "record",
        "tape_pictures": "pictures",
        "enabled": "viewer",
    }.get(key[-1], key[-1])


def require_model(config: Config) -> None:
    """Raises `UserError` that says what to fetch or install when something of the model is missing."""
    if config.model.family == "ov-avss":
        require_weights(config.model.name, config.model.checkpoint)
        return
    from model.errors import ModelError
    from nodes.openavs.providers import require_providers

    if config.model.checkpoint is not None:
        raise UserError(
            f"--weights: model {config.model.name!r} takes no checkpoint; its weights are set under openavs"
        )
    try:
        require_providers(config)
    except ModelError as error:
        raise UserError(str(error)) from error


def require_ov_avss(config: Config, command: str) -> None:
    """Raises `UserError` for a model that a command cannot look into."""
    if config.model.family != "ov-avss":
        raise UserError(
            f"{command}: model {config.model.name!r} is of the family {config.model.family}, expected one of "
            "ov-avss; `python -m benchmarks.real_clips` scores the others"
        )


def require_weights(name: str, checkpoint: str | None) -> None:
    """Raises `UserError` that says where to get weights when there are none."""
    from model.checkpoint import BUNDLED, weights_path
    from model.errors import ModelError

    if checkpoint is None:
        raise UserError(f"model {name!r} has no weights here. " + CHECKPOINTS.format(name=name))
    if checkpoint == "stand-in":
        return
    try:
        path = weights_path(checkpoint)
    except ModelError as error:
        raise UserError(str(error)) from error
    if path.is_file():
        return
    if checkpoint.startswith(BUNDLED):
        raise UserError(f"{path}: is missing; it comes with the project: fetch it again")
    raise UserError(f"{checkpoint}: no such checkpoint. " + CHECKPOINTS.format(name=name))


def require_writable(path: Path) -> None:
    """Raises `UserError` for a file that cannot be written, before it takes long to come to it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        there = path.exists()
        path.open("a").close()
        if not there:
            path.unlink()
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another file") from error


def require_addresses(config: Config, who: str) -> None:
    """Raises `UserError` unless every link has an address that other machines can be told."""
    unused = {"keys"}
    if not config.shows_pictures:
        unused.add("previews")
    if not config.viewer.enabled:
        unused.add("broadcast")
    missing = [name for name, value in config.links.model_dump(exclude=unused).items() if value is None]
    if missing:
        raise UserError(
            f"{who} needs the addresses of its links: give links.{', links.'.join(missing)} "
            "in the configuration that all machines share"
        )


def words_of(words: list[str] | str) -> tuple[str, ...]:
    """The words a vocabulary setting means; raises `UserError` before anything starts."""
    from model.errors import ModelError
    from model.vocabulary import Vocabulary

    try:
        return (Vocabulary.parse(words) if isinstance(words, str) else Vocabulary(tuple(words))).words
    except ModelError as error:
        raise UserError(str(error)) from error


def check(args: argparse.Namespace) -> int:
    from streaming.config import load, setting
    from streaming.sources.address import redacted

    config = load(args.config, settings=map(setting, args.settings))
    words_of(config.vocabulary.words)
    sources = ", ".join(redacted(source.uri) for source in config.all_sources if source.uri)
    print(f"{args.config}: valid (model {config.model.name}, source {sources or 'to be given'})")
    return 0


def node(args: argparse.Namespace) -> int:
    from streaming.config import load, setting
    from streaming.node_process import environment

    config = load(args.config, settings=map(setting, args.settings))
    require_addresses(config, "a node by itself")
    # As the supervisor starts its own nodes; it counts only before the libraries are loaded.
    os.environ.update(environment(getattr(config.nodes, args.name).threads))
    from nodes.start import start

    return start(args.name, config)


def vocabulary(args: argparse.Namespace) -> int:
    with running(Path(args.out)) as client:
        if args.words is None:
            answer = client.call("vocabulary.get")
        else:
            words = list(words_of(args.words))
            answer = client.call("vocabulary.set", {"words": words}, deadline_s=30.0 + 0.2 * len(words))
    print(f"revision {answer['revision']}: {legible(', '.join(answer['words']))}")
    return 0


def status(args: argparse.Namespace) -> int:
    from streaming.console import print_table
    from streaming.status import status_tables

    with running(Path(args.out)) as client:
        told = client.call("status")
    if args.json:
        print(json.dumps(told, indent=1))
        return 0
    for table in status_tables(told):
        print_table(table)
        print()
    return 0


def report(args: argparse.Namespace) -> int:
    from streaming.report.report import write_report

    out, remarks = write_report(args.dir, args.out or args.dir / "report.html")
    for remark in remarks:
        print(f"note: {remark}", file=sys.stderr)
    print(f"written to {out}")
    return 0


@contextmanager
def running(folder: Path) -> Iterator[ControlClient]:
    """The conversation with the pipeline that writes to a folder. Raises `UserError` where none is."""
    from streaming.clock import Clock
    from streaming.control import ControlClient
    from streaming.security import Security

    try:
        where = json.loads((folder / POINTER).read_text())
        address, keys = where["control"], where["keys"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"{folder}: no pipeline is running there; give the --out of the run") from error
    client = ControlClient(address, clock=Clock(), security=Security(keys) if keys else None)
    try:
        yield client
    finally:
        client.close()


def keys(args: argparse.Namespace) -> int:
    from streaming.security import make_keys

    print(
        f"keys written to {make_keys(args.dir)}; copy the directory to each machine and set links.keys to it"
    )
    return 0


def doctor(args: argparse.Namespace) -> int:
    from streaming.doctor.examination import Check, examine, lines

    checks = [
        Check("Python", "streaming.doctor.packages:python"),
        Check("Packages", "streaming.doctor.packages:packages", wait_s=30.0),
        Check("Model", "nodes.doctor:model", wait_s=60.0),
        Check("Recordings", "streaming.doctor.media:codecs"),
        Check("Cameras", "streaming.doctor.media:camera_lines", worst="note"),
        Check("Microphones", "streaming.doctor.media:microphone_lines", worst="note"),
        Check("Folders", "streaming.doctor.machine:folders", (args.out,)),
        Check("Ports", "streaming.doctor.machine:ports"),
        Check("Limits", "streaming.doctor.machine:limits", worst="note"),
    ]
    found = {}
    for check, findings in examine(checks):
        found[check.title] = findings
        if not args.json:
            print("\n".join(lines(check, findings)), flush=True)
    runs = all(one.mark != "problem" for findings in found.values() for one in findings)
    if args.json:
        told = {title.casefold(): [vars(one) for one in findings] for title, findings in found.items()}
        print(json.dumps({"runs": runs, "checks": told}, indent=1))
    else:
        print("The pipeline can run here." if runs else "The pipeline cannot run here before that is mended.")
    return 0 if runs else 1


def world(args: argparse.Namespace) -> int:
    from model.errors import ModelError
    from model.world.command import main as make

    try:
        return make(args)
    except ModelError as error:
        raise UserError(str(error)) from error


def evaluate(args: argparse.Namespace) -> int:
    from streaming.node_process import environment

    # As the nodes are started; it counts only before the libraries are loaded.
    os.environ.update(environment(os.cpu_count() or 1))
    from model.errors import ModelError
    from model.evaluation.command import main as score
    from nodes.parts import parts_of

    given = {("model", "name"): args.model, ("model", "checkpoint"): args.weights}
    config = configured(args, given, args.model)
    require_ov_avss(config, "evaluate")
    require_weights(config.model.name, config.model.checkpoint)
    if config.model.checkpoint == "stand-in":
        print("NOTE: stand-in weights: every score of this run is meaningless.", file=sys.stderr)
    about = {"model": config.model.name, "weights": str(config.model.checkpoint)}
    try:
        return score(args, lambda words: parts_of(config, words), about)
    except ModelError as error:
        raise UserError(str(error)) from error


def train(args: argparse.Namespace) -> int:
    from model.errors import ModelError
    from model.training.command import main as learn

    try:
        return learn(args)
    except ModelError as error:
        raise UserError(str(error)) from error


def weights(args: argparse.Namespace) -> int:
    from model.depot.command import main as mind
    from model.errors import ModelError

    try:
        return mind(args)
    except ModelError as error:
        raise UserError(str(error)) from error


def bench(args: argparse.Namespace) -> int:
    from streaming.node_process import environment

    # As the nodes are started; it counts only before the libraries are loaded.
    os.environ.update(environment(os.cpu_count() or 1))
    from benchmarks.pipeline import main as measure

    config = configured(args, {("model", "name"): args.model}, args.model)
    require_ov_avss(config, "bench")
    require_writable(args.json)
    return measure(config, args.json, args.seconds, args.write)


COMMANDS = {
    "run": run,
    "replay": replay,
    "record": record,
    "check": check,
    "node": node,
    "vocabulary": vocabulary,
    "status": status,
    "report": report,
    "keys": keys,
    "doctor": doctor,
    "world": world,
    "pseudo-label": pseudo_label,
    "train": train,
    "evaluate": evaluate,
    "weights": weights,
    "bench": bench,
}


def complain(error: Exception) -> None:
    """Tell what went wrong, a line for each mistake."""
    for line in str(error).split("\n"):
        print(f"error: {legible(line)}", file=sys.stderr)


def require_values(argv: Sequence[str]) -> None:
    """Raises `UserError` for an argument without a character in it, which a path would take for this folder.

    A shell makes one of a variable that is not set.
    """
    for before, text in pairwise(["", *argv]):
        alone = text.removesuffix("=") if text.startswith("--") and text.endswith("=") else ""
        if before != "--set" and (not text.strip() or alone):
            where = alone or (before if before.startswith("--") else "command line")
            raise UserError(
                f"{where}: found empty text, expected a value (is a variable of the shell not set?)"
            )


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    try:
        require_values(argv)
    except UserError as error:
        complain(error)
        return 2
    args = parser().parse_args(argv)
    try:
        return COMMANDS[args.command](args)
    except UserError as error:
        complain(error)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
