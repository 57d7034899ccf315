"""Loads what nodes need once, and forks a node whenever it is asked to (see `streaming/nursery.py`).

Nothing here computes, opens a socket of ZeroMQ or starts a thread: a fork copies the one thread alone that
calls it. It ends with whoever has started it, and then the nodes that it has forked end by themselves.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys

from streaming.nursery import NUMBER

LOADED = (
    "nodes.start",
    "nodes.capture",
    "nodes.feature",
    "nodes.model",
    "nodes.classification",
    "nodes.recorder",
)
MOST_BYTES = 65_536


def main() -> None:
    """For a process of its own, whose standard input is a socket: each message is a node to begin."""
    line = socket.socket(fileno=os.dup(0))
    wake, wake_in = os.pipe()
    for end in (wake, wake_in):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake_in)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()  # pages that nobody writes to stay shared
    pipes: dict[int, int] = {}  # of each living node, where its end is to be told
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if wake in ready:
                os.read(wake, MOST_BYTES)
                tell_who_ended(pipes)
            if line.fileno() not in ready:
                continue
            asked, fds, _, _ = socket.recv_fds(line, MOST_BYTES, 2)
            if not asked:
                os._exit(0)
            pid = os.fork()
            if not pid:
                selector.close()
                for fd in (line.fileno(), wake, wake_in, *pipes.values(), fds[1]):
                    os.close(fd)
                be_born(json.loads(asked), fds[0])
            pipes[pid] = fds[1]
            os.close(fds[0])
            tell(fds[1], pid)


def tell(pipe: int, number: int) -> None:
    """Say something of a node, if somebody still listens."""
    with contextlib.suppress(BrokenPipeError):
        os.write(pipe, NUMBER.pack(number))


def tell_who_ended(pipes: dict[int, int]) -> None:
    """Say of each node that has ended how it did; it is no more in `pipes`."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            tell(pipes[pid], os.waitstatus_to_exitcode(status))
            os.close(pipes.pop(pid))


def be_born(args: list[str], words: int) -> None:
    """Become the node that `args` name, which speaks to `words`. Does not return."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.dup2(words, 2)
    os.close(words)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    from nodes.start import main as node

    sys.argv = ["nodes.start", *args]
    node(os.getppid())


if __name__ == "__main__":
    main()
