"""Conversations with a pipeline that is running."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commands.settings import words_of
from streaming.clock import Clock
from streaming.config import LinksConfig
from streaming.console import print_table
from streaming.control import ControlClient
from streaming.errors import UserError
from streaming.legible import legible
from streaming.security import Security
from streaming.status import status_tables

POINTER = "control.json"  # in the output folder of a run: how to reach it


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


@contextmanager
def running(folder: Path) -> Iterator[ControlClient]:
    """The conversation with the pipeline that writes to a folder. Raises `UserError` where none is."""
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
    with running(Path(args.out)) as client:
        told = client.call("status")
    if args.json:
        print(json.dumps(told, indent=1))
        return 0
    for table in status_tables(told):
        print_table(table)
        print()
    return 0
