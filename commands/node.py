"""One node of a pipeline that spans several machines."""

from __future__ import annotations

import argparse
import os

from commands.requirements import require_addresses
from streaming.config import load, setting
from streaming.node_process import environment


def node(args: argparse.Namespace) -> int:
    config = load(args.config, settings=map(setting, args.settings))
    require_addresses(config, "a node by itself")
    # As the supervisor starts its own nodes; it counts only before the libraries are loaded.
    os.environ.update(environment(getattr(config.nodes, args.name).threads))
    from nodes.start import start

    return start(args.name, config)
