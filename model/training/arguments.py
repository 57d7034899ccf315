"""The options of `run_pipeline.py train`, apart from what they do, so that --help loads nothing."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the sub-command, but for --set."""
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="what to train, see configs/train/"
    )
    parser.add_argument("--data", metavar="DIR", help="the set to learn from (data.root)")
    parser.add_argument(
        "--pseudo", metavar="DIR", help="a set of pseudo-labels to learn from (data.pseudo.root)"
    )
    parser.add_argument("--out", metavar="DIR", help="where everything goes (run.out; runs/train)")
    parser.add_argument(
        "--resume", action="store_true",
        help="go on with what lies in --out, as is done anyway; an error if nothing does",
    )  # fmt: skip
    parser.add_argument(
        "--steps", type=int, metavar="N", help="stop each stage after N steps; the schedule stays as it is"
    )
