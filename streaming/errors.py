"""Mistakes a user can make, told in one line."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend: the message says what was found, what was expected and what to do.

    The command prints it as `error: ...` and exits with 2; no traceback is shown.
    """
