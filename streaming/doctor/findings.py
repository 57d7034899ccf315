"""What a check has found, and what to do about it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Literal, TextIO

Mark = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One fact about this machine.

    mark: `problem` keeps the pipeline from running; a `note` does not.
    mend: a command or a step that mends it; empty where there is nothing to mend.
    """

    mark: Mark
    fact: str
    mend: str = ""


class Channel:
    """Standard output, for findings alone: whatever else writes there goes to standard error from now on."""

    def __init__(self) -> None:
        self._out: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        sys.stdout = sys.stderr

    def tell(self, one: Finding | str) -> None:
        """A finding; or what is tried next, in case nothing more is heard."""
        told = {"tries": one} if isinstance(one, str) else vars(one)
        print(json.dumps(told), file=self._out, flush=True)
