"""The options of `run_pipeline.py weights`, apart from what they do, so that --help loads nothing."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", help="one of:")

    def action(name: str, about: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=about, description=about)

    listed = action("list", "Show what there is, what it is for, and what of it is here.")
    listed.add_argument("--json", action="store_true", help="all that is known, for programs")

    fetch = action("fetch", "Fetch weights, check them, and put them into the cache folder (OV_AVSS_CACHE).")
    fetch.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="weights that `list` shows, or a preset for all that it needs",
    )
    fetch.add_argument(
        "--mirror", metavar="URL", help="ask there in place of every address' own host (OV_AVSS_MIRROR)"
    )
    fetch.add_argument(
        "--from",
        dest="carried",
        type=Path,
        metavar="FOLDER",
        help="take them from a folder, without a network",
    )

    action("verify", "Read all that is here, and tell whether it is what was fetched.")
