"""Mistakes a user can make, told in one line."""

from __future__ import annotations

import sys

from streaming.legible import legible


class UserError(Exception):
    """Something the user can mend: the message says what was found, what was expected and what to do.

    The command prints it as `error: ...` and exits with 2; no traceback is shown.
    """


def complain(error: Exception) -> None:
    """Tell what went wrong, a line for each mistake."""
    for line in str(error).split("\n"):
        print(f"error: {legible(line)}", file=sys.stderr)
