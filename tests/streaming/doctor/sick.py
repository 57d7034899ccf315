"""Checks that run into whatever a check can run into, each once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from streaming.doctor.findings import Finding


def well(*args: str) -> Iterator[Finding]:
    yield Finding("ok", f"well {' '.join(args)}".strip())
    yield Finding("note", "a [red]camera\x1b[2J", "plug it in")


def crashes() -> Iterator[Finding | str]:
    yield Finding("ok", "first")
    yield "loading a library"
    os.kill(os.getpid(), signal.SIGKILL)


def hangs() -> Iterator[Finding | str]:
    yield "asking a driver"
    time.sleep(600)


def raises() -> Iterator[Finding]:
    yield Finding("ok", "first")
    raise ZeroDivisionError("never\nmind")


def chatters() -> Iterator[Finding]:
    print("of no interest")
    os.write(1, b"nor this\n")
    os.system("echo nor this")
    yield Finding("ok", "said")
