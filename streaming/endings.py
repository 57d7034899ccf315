"""How a process ended, in words."""

from __future__ import annotations

import signal


def death(returncode: int) -> str:
    """What a return code of `subprocess` means.

    >>> death(-9)
    'was killed by SIGKILL'
    """
    if returncode < 0:
        try:
            return f"was killed by {signal.Signals(-returncode).name}"
        except ValueError:
            return f"was killed by signal {-returncode}"
    return f"ended early with exit code {returncode}"
