"""The options of `run_pipeline.py evaluate`, apart from what they do, so that --help loads nothing."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the sub-command, less those of the configuration."""
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, metavar="DIR",
        help="one or several sets; scored together, so of the same categories",
    )  # fmt: skip
    parser.add_argument(
        "--part", choices=("train", "val", "test"), default="test", help="of each set (default: test)"
    )
    parser.add_argument(
        "--layout", choices=("avsbench-ov", "semantic", "s4", "ms3"), default="avsbench-ov",
        help="how the sets lie on disk (default: avsbench-ov, as worlds do)",
    )  # fmt: skip
    parser.add_argument(
        "--mode", choices=("offline", "streaming", "both"), default="both",
        help="clips at once, a second at a time, or both (default)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="where scores.json and the tables go")
    parser.add_argument("--clips", type=int, metavar="N", help="only N of each set's clips, evenly spread")
    parser.add_argument(
        "--no-controls", action="store_true", help="leave out the runs with the sound off or of another clip"
    )
