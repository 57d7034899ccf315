"""Runs over a source: live, of a file, of a recording that `record` has made."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from commands.asking import announced
from commands.facts import what_runs
from commands.folders import archived
from commands.requirements import require_addresses, require_model
from commands.settings import configured, words_of
from streaming.clock import Clock
from streaming.config import Config, kind_of_node
from streaming.console import Watcher, print_table, summary, whoever_listens
from streaming.errors import UserError, complain
from streaming.run_record import RunRecord
from streaming.supervisor import NodeFailure, Supervisor, used_nodes
from streaming.tape import TapeReader


def run(args: argparse.Namespace) -> int:
    return whole_run(args, {("output", "tape"): args.record, ("source", "microphone"): args.microphone})


def replay(args: argparse.Namespace) -> int:
    recorded = {("source", "start_s"): args.start, ("source", "hop_s"): TapeReader(args.source).hop_s}
    return whole_run(args, recorded)


def whole_run(args: argparse.Namespace, more: Mapping[tuple[str, ...], Any]) -> int:
    """A whole run; the exit code. `more` are settings beside those that `run` and `replay` share.

    Raises `UserError`.
    """
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


def supervised(config: Config, *, quiet: bool, status_s: float | None) -> int:
    """A run with its display, to its end; the exit code. Raises `UserError`."""
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
