"""`run_pipeline.py weights`: list, fetch, verify."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from rich.console import Console
from rich.table import Table as Rows

from model.depot.download import WrongContent, check
from model.depot.fetching import fetch, kept
from model.depot.progress import Teller
from model.depot.shelf import FETCH, folder, how_to_get, place, standing, state
from model.depot.table import WeightSet, chosen, table
from model.depot.words import size

MIRROR = "OV_AVSS_MIRROR"
STOPPED = 130  # as a shell tells of Ctrl-C
PIPE_COLUMNS = 200


def main(args: argparse.Namespace) -> int:
    """The exit code. Raises `ModelError`."""
    if args.action == "fetch":
        return _fetch(args)
    return _verify() if args.action == "verify" else _list(args.json)


def _fetch(args: argparse.Namespace) -> int:
    sets = chosen(args.names, table())
    mirror = os.environ.get(MIRROR, "") if args.mirror is None else args.mirror
    one = sets[0]
    with Teller() as teller:
        try:
            for one in sets:
                fetch(one, teller, mirror=mirror, carried=args.carried)
        except KeyboardInterrupt:
            told = "; ".join(filter(None, [f"{one.name}: stopped", kept(one)]))
            teller.say(told)
            return STOPPED
    return 0


def _verify() -> int:
    sets = table().values()
    wrong, seen = 0, 0
    for one in sets:
        for file in one.files:
            path = place(one, file)
            if not path.is_file():
                continue
            seen += 1
            try:
                check(file, path)
            except WrongContent as error:
                wrong += 1
                print(f"{one.name}: {error}; {how_to_get(one, 'fetch it again')}")
            except OSError as error:
                wrong += 1
                print(f"{one.name}: {path} cannot be read ({error.strerror})")
            else:
                print(f"{one.name}: {path} " + ("is right" if file.sha256 else "cannot be checked"))
    if not seen:
        print(f"no weights are in {folder()}")
    return 1 if wrong else 0


def _list(as_json: bool) -> int:
    sets = table()
    if as_json:
        told = {"folder": str(folder()), "weights": [_plain(one) for one in sets.values()]}
        print(json.dumps(told, indent=1))
        return 0
    rows = Rows(box=None, pad_edge=False)
    for title in ("NAME", "HERE", "SIZE", "CHECKED", "LICENCE", "PRESETS", "FOR"):
        rows.add_column(title, justify="right" if title == "SIZE" else "left", no_wrap=title == "NAME")
    for one in sets.values():
        rows.add_row(
            one.name,
            standing(one),
            "" if one.bytes is None else size(one.bytes),
            "SHA-256" if one.checked else "not checked",
            one.licence,
            ", ".join(one.presets),
            one.purpose + (f" ({one.note})" if one.note else ""),
        )
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    console = Console(file=sys.stdout, highlight=False, markup=False, width=width)
    console.print(rows)
    console.print()
    for one in sets.values():
        if one.by_hand:
            console.print(f"{one.name}: {how_to_get(one)}", soft_wrap=True)
    console.print(f"the rest: {FETCH} NAME", soft_wrap=True)
    console.print(f"they lie in {folder()}", soft_wrap=True)
    return 0


def _plain(one: WeightSet) -> dict[str, Any]:
    files = [{**vars(file), "state": state(one, file), "path": str(place(one, file))} for file in one.files]
    return {**vars(one), "state": standing(one), "files": files}
