"""Nodes that are born with their libraries loaded: forked from a process that has loaded them once.

Of a run over ten seconds with the small model, three quarters of the processor time go into importing torch
and its company, once a node. A nursery (`nodes/nursery.py`) has done so before, and forks: each node is still
a process of its own, which nothing that befalls another can harm, and computes the same.

The number of threads of a library is fixed when it is loaded, so there is a nursery for each number.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Self

from streaming.errors import UserError
from streaming.node_process import environment

PROGRAM = (sys.executable, "-P", "-m", "nodes.nursery")
NUMBER = struct.Struct("=q")  # what comes over a newborn's pipe: its process id, and later how it ended
END_S = 5.0


class NurseryGone(UserError):
    """A nursery has died; what it was asked for did not begin."""


class Forked:
    """A node that a nursery has forked, as `subprocess.Popen` shows a process."""

    def __init__(self, stderr: IO[str], pipe: int) -> None:
        """pipe: over which come its process id and how it ended. Raises `NurseryGone`."""
        self.stderr, self._pipe = stderr, pipe
        self.returncode: int | None = None
        pid = self._read()
        if pid is None:
            self._over(-signal.SIGKILL)
            stderr.close()
            raise NurseryGone("the process that starts the nodes is gone")
        self.pid = pid

    def poll(self) -> int | None:
        """How it ended, as `subprocess` counts; None while it lives."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._pipe, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired("node", timeout or 0.0)
            code = self._read()
            if code is None:  # its nursery died first
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
            self._over(-signal.SIGKILL if code is None else code)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _read(self) -> int | None:
        data = os.read(self._pipe, NUMBER.size)
        return NUMBER.unpack(data)[0] if len(data) == NUMBER.size else None

    def _over(self, returncode: int) -> None:
        self.returncode = returncode
        os.close(self._pipe)


class Nursery:
    """Starts nodes for any number of supervisors, in whichever threads they run.

    keeps: open files that every node holds open as long as it lives, such as a lock.
    """

    def __init__(self, keeps: Sequence[int] = ()) -> None:
        self._keeps = keeps
        self._lock = threading.Lock()
        self._of: dict[int, tuple[subprocess.Popen[bytes], socket.socket]] = {}  # by number of threads

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def start(self, args: Sequence[str], threads: int) -> Forked:
        """A node's process; `args` are its name and the files of its settings and its memory."""
        try:
            return self._start(args, threads)
        except NurseryGone:
            return self._start(args, threads)  # in another: whatever killed the first was not the node

    def _start(self, args: Sequence[str], threads: int) -> Forked:
        words, words_in = os.pipe()
        pipe, pipe_in = os.pipe()
        try:
            with self._lock:
                line = self._line(threads)
                try:
                    socket.send_fds(line, [json.dumps(list(args)).encode()], [words_in, pipe_in])
                except OSError:
                    self._forget(threads)
        finally:
            os.close(words_in)
            os.close(pipe_in)
        return Forked(open(words, errors="replace", encoding="utf-8"), pipe)

    def close(self) -> None:
        """See every nursery to its end."""
        with self._lock:
            for threads in list(self._of):
                self._forget(threads)

    def _line(self, threads: int) -> socket.socket:
        """What the nursery for so many threads listens to; one that has died is replaced."""
        if threads in self._of and self._of[threads][0].poll() is not None:
            self._forget(threads)
        if threads not in self._of:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                process = subprocess.Popen(
                    PROGRAM,
                    stdin=theirs.fileno(),
                    pass_fds=self._keeps,
                    start_new_session=True,  # Ctrl-C is for the supervisors
                    env={**os.environ, **environment(threads)},
                )
            self._of[threads] = process, ours
        return self._of[threads][1]

    def _forget(self, threads: int) -> None:
        process, line = self._of.pop(threads)
        line.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
