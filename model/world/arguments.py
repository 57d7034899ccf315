"""The options of `run_pipeline.py world`, apart from what they do, so that --help loads nothing."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the sub-command."""
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the set goes; what is there is kept")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed makes the same bytes")
    parser.add_argument(
        "--clips", type=int, default=100, metavar="N", help="how many (default: 100; 0: index only)"
    )
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="number of the first clip (default: 0)"
    )
    parser.add_argument(
        "--split", choices=("base", "novel", "mixed"), default="base", help="categories to show and hear"
    )
    parser.add_argument(
        "--part", choices=("train", "val", "test"), help="default: train for base categories, test for others"
    )
    parser.add_argument(
        "--artists", default="train", metavar="WHO",
        help="train (the default), test, or a list such as 'noto,twemoji'; 'shapes' needs no art",
    )  # fmt: skip
    parser.add_argument("--seconds", type=int, default=5, metavar="N", help="length of a clip (default: 5)")
    parser.add_argument(
        "--size", type=int, default=160, metavar="PIXELS", help="side of a picture (default: 160)"
    )
    parser.add_argument(
        "--films", action="store_true", help="also write each clip as an mp4 at 25 pictures/s"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes to use (default: 1)")
    parser.add_argument(
        "--art", type=Path, metavar="DIR", help="where emoji sets are installed (default: build/world-art)"
    )
    parser.add_argument("--sprites", action="store_true", help="render all sprites into --art, and no clips")
