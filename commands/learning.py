"""Worlds, training and scores."""

from __future__ import annotations

import argparse
import os
import sys

from commands.requirements import require_ov_avss, require_weights, require_writable
from commands.settings import configured
from streaming.node_process import environment


def world(args: argparse.Namespace) -> int:
    from model.world.command import main as make

    return make(args)


def train(args: argparse.Namespace) -> int:
    from model.training.command import main as learn

    return learn(args)


def evaluate(args: argparse.Namespace) -> int:
    # As the nodes are started; it counts only before the libraries are loaded.
    os.environ.update(environment(os.cpu_count() or 1))
    from model.evaluation.command import main as score
    from nodes.parts import parts_of

    given = {("model", "name"): args.model, ("model", "checkpoint"): args.weights}
    config = configured(args, given, args.model)
    require_ov_avss(config, "evaluate")
    require_weights(config.model.name, config.model.checkpoint)
    if config.model.checkpoint == "stand-in":
        print("NOTE: stand-in weights: every score of this run is meaningless.", file=sys.stderr)
    about = {"model": config.model.name, "weights": str(config.model.checkpoint)}
    return score(args, lambda words: parts_of(config, words), about)


def weights(args: argparse.Namespace) -> int:
    from model.depot.command import main as mind

    return mind(args)


def bench(args: argparse.Namespace) -> int:
    # As the nodes are started; it counts only before the libraries are loaded.
    os.environ.update(environment(os.cpu_count() or 1))
    from benchmarks.pipeline import main as measure

    config = configured(args, {("model", "name"): args.model}, args.model)
    require_ov_avss(config, "bench")
    require_writable(args.json)
    return measure(config, args.json, args.seconds, args.write)
