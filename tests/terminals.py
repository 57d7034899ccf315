"""A terminal for tests: a program in it, and what it writes to it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

from tests.pipeline import ROOT

# What a program may do to a terminal here: colours, hiding the cursor, going up and clearing a line.
HARMLESS = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[1A|\x1b\[2K|\r\n|\r")


class Terminal:
    """A Python program with standard output and error in a terminal of a given size."""

    def __init__(
        self, program: str, *args: str, columns: int = 80, rows: int = 24, term: str = "xterm"
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": term}
        for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            env.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *args],
            stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)

    def wait_for(self, text: str) -> str:
        """What is written until a text has been."""
        seen = ""
        while text not in seen and (more := self._read()):
            seen += more
        assert text in seen, seen
        return seen

    def to_its_end(self) -> str:
        """What is written until the program has ended; it must end well."""
        seen = ""
        while more := self._read():
            seen += more
        assert self.process.wait(60) == 0, seen
        return seen

    def close(self) -> None:
        """The terminal is gone; the program need not be."""
        os.close(self._ours)

    def _read(self) -> str:
        try:
            return os.read(self._ours, 1 << 16).decode(errors="replace")
        except OSError:  # nobody writes any more
            return ""
