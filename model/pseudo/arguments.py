"""The options of `run_pipeline.py pseudo-label` beside those of `run`, so that --help loads nothing."""

from __future__ import annotations

import argparse

SECONDS = (1, 60)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the sub-command."""
    parser.add_argument("--source", required=True, metavar="FOLDER", help="the videos, and folders of them")
    parser.add_argument(
        "--out", required=True, metavar="DATASET", help="where the set goes; it is gone on with"
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=5, metavar="N", help="length of a clip of the set (default: 5)"
    )


def _seconds(text: str) -> int:
    least, most = SECONDS
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from {least} to {most}")
    return int(text)
