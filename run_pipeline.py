"""OV-AVSS Live: which pixels are making sound, and what they are, in any words you type.

The command. `python run_pipeline.py --help` tells what it can do; what a sub-command does is in `commands/`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise

from commands.arguments import parser
from model.errors import ModelError
from streaming.errors import UserError, complain

# Where each is. Only the one that was asked for is loaded: the libraries behind some take seconds.
COMMANDS = {
    "run": "commands.running:run",
    "replay": "commands.running:replay",
    "record": "commands.running:record",
    "check": "commands.checking:check",
    "node": "commands.node:node",
    "vocabulary": "commands.asking:vocabulary",
    "status": "commands.asking:status",
    "report": "commands.reporting:report",
    "keys": "commands.checking:keys",
    "doctor": "commands.doctor:doctor",
    "world": "commands.learning:world",
    "pseudo-label": "commands.folders:pseudo_label",
    "train": "commands.learning:train",
    "evaluate": "commands.learning:evaluate",
    "weights": "commands.learning:weights",
    "bench": "commands.learning:bench",
}


def require_values(argv: Sequence[str]) -> None:
    """Raises `UserError` for an argument without a character in it, which a path would take for this folder.

    A shell makes one of a variable that is not set.
    """
    for before, text in pairwise(["", *argv]):
        alone = text.removesuffix("=") if text.startswith("--") and text.endswith("=") else ""
        if before != "--set" and (not text.strip() or alone):
            where = alone or (before if before.startswith("--") else "command line")
            raise UserError(
                f"{where}: found empty text, expected a value (is a variable of the shell not set?)"
            )


def main(argv: list[str] | None = None) -> int:
    """Does what the arguments say; exit code 0, 1 where a run failed, 2 for a mistake, 130 if stopped."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        require_values(argv)
        args = parser((__doc__ or "").splitlines()[0]).parse_args(argv)
        module, _, name = COMMANDS[args.command].partition(":")
        return getattr(import_module(module), name)(args)
    except (UserError, ModelError) as error:
        complain(error)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
