"""Runs of nodes that are up to no good, and a node that nobody here has started."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from streaming.clock import Clock
from streaming.config import load, setting
from streaming.control import ControlClient
from streaming.node_process import Node
from streaming.supervisor import Supervisor

clock = Clock()
ENOUGH_S = 20.0
ZOO = (sys.executable, "-P", "-m", "tests.streaming.unruly")


class Run:
    """A supervisor of nodes from the zoo, and what was seen of it."""

    def __init__(self, *settings: str) -> None:
        self.said: list[str] = []
        self.seen: list[dict[str, str]] = []
        self.on_watch: Callable[[Mapping[str, Node]], None] = lambda nodes: None
        config = load(settings=[setting(text) for text in settings])
        self.supervisor = Supervisor(
            config, clock=clock, watch=self._watch, say=self.said.append, program=ZOO
        )
        self.folder = self.supervisor._directory

    def _watch(self, nodes: Mapping[str, Node]) -> None:
        self.seen.append({name: node.state for name, node in nodes.items()})
        self.on_watch(nodes)

    def to_the_end(self) -> dict[str, dict[str, Any]]:
        try:
            return self.supervisor.run()
        finally:
            processes = [node.process for node in self.supervisor.nodes.values() if node.process is not None]
            assert all(process.returncode is not None for process in processes)
            assert not self.folder.exists()


def once(
    true: Callable[[Mapping[str, Node]], bool], act: Callable[[], None]
) -> Callable[[Mapping[str, Node]], None]:
    """A watch that acts the first time that something is true of the nodes."""
    acted: list[bool] = []

    def watch(nodes: Mapping[str, Node]) -> None:
        if not acted and true(nodes):
            acted.append(True)
            act()

    return watch


class Elsewhere:
    """A node that nobody here has started, in a thread."""

    def __init__(self, run: Run, name: str, work: Callable[[ControlClient], None]) -> None:
        self.control = ControlClient(str(run.supervisor.config.links.control), clock=clock, node=name)
        self.asked: list[str] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(work,))
        self.thread.start()

    def _run(self, work: Callable[[ControlClient], None]) -> None:
        work(self.control)
        while not self.over.is_set() and "stop" not in self.asked:
            for request in self.control.poll(0.05):
                self.asked.append(request.name)
                self.control.reply(request)

    def close(self) -> None:
        self.over.set()
        self.thread.join(ENOUGH_S)
        self.control.close()
