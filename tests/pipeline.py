"""Whole runs of the pipeline for tests: the real processes, small pictures, stand-in weights."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from streaming.clock import Clock
from streaming.config import Config, load, setting
from streaming.nursery import Nursery
from streaming.supervisor import Supervisor

ROOT = Path(__file__).resolve().parent.parent


def settings(source: Path | None, out: Path, *more: str, model: str = "tiny") -> Config:
    """A configuration of a model without meaning on pictures of thumbnail size, which run fast."""
    return load(
        model=model,
        settings=[
            setting(text)
            for text in (
                *([f"source.uri={source}"] if source else []),
                f"output.dir={out}",
                "output.annotated=false",
                "model.checkpoint=stand-in",
                "model.precision=float32",
                "model.short_side=64",
                "vocabulary.words=dog, violin",
                "vocabulary.cache_dir=",
                "nodes.model.threads=1",
                *more,
            )
        ],
    )


@cache
def nursery() -> Nursery:
    """Where the nodes of most tests begin: each is spared the seconds in which it would load libraries."""
    made = Nursery()
    atexit.register(made.close)
    return made


def supervisor(config: Config, **watching: Callable) -> Supervisor:
    """Of nodes that begin in the nursery; what is run as a command starts its own from nothing."""
    return Supervisor(config, clock=Clock(), program=(), begin=nursery().start, **watching)


def run(config: Config, **watching: Callable) -> dict:
    """Run to the end in this process's supervisor; the nodes' counters."""
    return supervisor(config, **watching).run()


def command(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
    """`run_pipeline.py` with these arguments, to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "run_pipeline.py"), *args],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,  # type: ignore[call-overload]
    )


def alive(pid: int) -> bool:
    """Whether a process still runs (one that has ended and waits to be collected does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(true: Callable[[], bool], timeout_s: float = 60.0) -> bool:
    """Wait until something is true; whether it became so."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return bool(true())


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def descendants(pid: int) -> list[int]:
    """The processes that a process has started and that live."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry))
    return found
