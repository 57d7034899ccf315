"""Runs over all recordings of a folder."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from commands.facts import what_runs
from commands.requirements import require_model
from commands.settings import configured, words_of
from streaming.archive.archive import Archive, jobs_of, require_archive
from streaming.archive.ledger import Entry, Ledger
from streaming.archive.table import table, write_csv
from streaming.config import Config
from streaming.console import print_table, whoever_listens
from streaming.errors import UserError, complain
from streaming.legible import legible


def archived(config: Config, args: argparse.Namespace, words: tuple[str, ...]) -> int:
    """A run over every recording of a folder; the exit code. Raises `UserError`."""
    require_archive(config, args.log_status)
    return all_of_a_folder(config, args, words)[0]


def all_of_a_folder(
    config: Config, args: argparse.Namespace, words: tuple[str, ...]
) -> tuple[int, list[Entry]]:
    """The runs over a folder's recordings: the exit code, and what became of each. Raises `UserError`."""

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
    """Makes a set of what runs over a folder find; the exit code. Raises `UserError` and `ModelError`."""
    from model.pseudo.label import counted
    from nodes.pseudo import labelled

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
        clips, failures = labelled(config, root, done, args.seconds, what_runs(config))
    for line in failures:
        complain(UserError(line))
    if not args.quiet:
        print(f"{root}: {counted(clips)}", flush=True)
    return max(code, int(bool(failures)))
