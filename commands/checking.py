"""What is done without a run."""

from __future__ import annotations

import argparse

from commands.settings import words_of
from streaming.config import load, setting
from streaming.security import make_keys
from streaming.sources.address import redacted


def check(args: argparse.Namespace) -> int:
    config = load(args.config, settings=map(setting, args.settings))
    words_of(config.vocabulary.words)
    sources = ", ".join(redacted(source.uri) for source in config.all_sources if source.uri)
    print(f"{args.config}: valid (model {config.model.name}, source {sources or 'to be given'})")
    return 0


def keys(args: argparse.Namespace) -> int:
    print(
        f"keys written to {make_keys(args.dir)}; copy the directory to each machine and set links.keys to it"
    )
    return 0
