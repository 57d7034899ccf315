"""Starts the nodes, watches them, and ends them in order; whatever happens, nothing is left behind.

The line is short: capture, feature, model, classification, recorder, each a process of its own. A stream
that ends travels down it as a message, so files are complete before the recorder says it is done. A node
that dies ends the run with one clear error.
"""

from __future__ import annotations

import collections
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streaming.clock import Clock
from streaming.config import Config, LinksConfig, NodeConfig, kind_of_node
from streaming.control import Answer, ClientRequest, ControlServer, Done, Event, Failed, Hello, Ready, Status
from streaming.errors import UserError
from streaming.security import Security, make_socket_dir

if TYPE_CHECKING:
    from streaming.outputs.metrics import Metrics

NODES = ("capture", "feature", "model", "classification", "recorder")
POLL_S = 0.1
START_S = 300.0  # a large model on a slow disk takes its time
DRAIN_S = 4.0  # what an interrupted run gives its nodes to finish
TERMINATE_S = 5.0  # a recorder that was not drained still finishes its film
PING_S = 5.0
LOST_S = 30.0  # a node on another machine that says nothing for so long is lost
LAST_LINES = 20
# Without -P, a `model` or `nodes` in the folder the command is given in would be taken for ours.
PROGRAM = (sys.executable, "-P", "-m", "nodes.start")

log = logging.getLogger(__name__)


class NodeFailure(Exception):
    """A node died or gave up for a reason that is no mistake of the user's."""


@dataclass
class Node:
    """A process of the pipeline, or one that runs elsewhere (`process` is None)."""

    name: str
    process: subprocess.Popen[str] | None
    state: str = "starting"  # starting, ready, done
    counters: dict[str, Any] = field(default_factory=dict)
    last_lines: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=LAST_LINES))
    reader: threading.Thread | None = None
    heard_ns: int = 0


def resolved_links(links: LinksConfig, directory: Path) -> LinksConfig:
    """Every link with an address: those not configured become sockets in `directory`."""
    names = ("snippets", "features", "masks", "results", "previews", "control")
    return links.model_copy(
        update={name: getattr(links, name) or f"ipc://{directory / name}" for name in names}
    )


def used_nodes(config: Config) -> Sequence[str]:
    """The nodes this configuration wants, in the order of the line."""
    return (*config.captures, *NODES[1:])


class Supervisor:
    """One run of the pipeline.

    `watch` is called about ten times a second with the nodes, for a progress display; `say` is given each
    line that a node writes on its standard error. `program` is what a node is started with, before its name
    and the file of its settings.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock,
        watch: Callable[[Mapping[str, Node]], None] = lambda nodes: None,
        say: Callable[[str], None] = lambda line: None,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self.clock = clock
        self.nodes: dict[str, Node] = {}
        self._watch, self._say, self._program = watch, say, program
        self._directory = make_socket_dir()
        # For those who make a supervisor and never come to run it.
        weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        self.config = config.model_copy(update={"links": resolved_links(config.links, self._directory)})
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._metrics: Metrics | None = None

    def stop(self) -> None:
        """Ask for an orderly end, from a signal handler or another thread; a second call hurries."""
        (self._hurry if self._stop.is_set() else self._stop).set()

    def run(self) -> dict[str, dict[str, Any]]:
        """Run to the end of the stream, or to `stop`; the nodes' last counters, by name.

        Raises `UserError` for what the user can mend and `NodeFailure` when a node died. Before it returns
        or raises, every process has ended and the directory of sockets is gone.
        """
        control = None
        try:
            keys = self.config.links.keys
            control = ControlServer(
                str(self.config.links.control), clock=self.clock, security=Security(keys) if keys else None
            )
            self._metrics = open_metrics(self.config)
            self._start()
            self._until_done(control)
        finally:
            if control is not None:
                for node in self._elsewhere():
                    control.request(node.name, "stop")
            self._end_processes()
            if control is not None:
                control.close()
            if self._metrics is not None:
                self._metrics.close()
            shutil.rmtree(self._directory, ignore_errors=True)
        return {name: node.counters for name, node in self.nodes.items()}

    # Starting --------------------------------------------------------------------------------------------

    def _start(self) -> None:
        settings = self._directory / "config.json"
        settings.write_text(self.config.model_dump_json())
        settings.chmod(0o600)
        for name in used_nodes(self.config):
            node = Node(name, None)
            self.nodes[name] = node
            if not self._settings_of(name).here:
                continue
            node.process = subprocess.Popen(
                [*self._program, name, str(settings)],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends the nodes in order
                env={**os.environ, **environment(self._settings_of(name).threads)},
            )
            node.reader = threading.Thread(target=self._read, args=(node,), daemon=True)
            node.reader.start()

    def _settings_of(self, name: str) -> NodeConfig:
        return getattr(self.config.nodes, kind_of_node(name))

    def _read(self, node: Node) -> None:
        assert node.process is not None
        assert node.process.stderr is not None
        with node.process.stderr as lines:
            for line in lines:
                node.last_lines.append(line.rstrip())
                self._say(f"{node.name}: {line.rstrip()}")

    # Watching --------------------------------------------------------------------------------------------

    def _until_done(self, control: ControlServer) -> None:
        begun_ns = pinged_ns = self.clock.monotonic_ns()
        stopping_ns: int | None = None
        started = False
        while any(node.state != "done" for node in self.nodes.values()):
            for event in control.poll(POLL_S):
                self._on_event(control, event)
            self._look_for_deaths(control)
            self._watch(self.nodes)
            if self._metrics is not None:
                self._metrics.update(self._told_of_all())
            now_ns = self.clock.monotonic_ns()
            if not started and all(node.state != "starting" for node in self.nodes.values()):
                started = True
                for name in self.config.captures:
                    control.request(name, "start")
            if now_ns - pinged_ns > PING_S * 1e9:
                pinged_ns = now_ns
                for node in self._elsewhere():
                    control.request(node.name, "ping", deadline_s=LOST_S)
            if self._stop.is_set() and stopping_ns is None:
                if not started:
                    return  # nothing is on its way yet
                # The source first: its end runs down the line, and each node finishes what it has.
                stopping_ns = now_ns
                for name in self.config.captures:
                    if self.nodes[name].state != "done":
                        control.request(name, "stop", deadline_s=DRAIN_S)
            if stopping_ns is not None and (self._hurry.is_set() or now_ns - stopping_ns > DRAIN_S * 1e9):
                return
            late = [node.name for node in self.nodes.values() if node.state == "starting"]
            if late and now_ns - begun_ns > START_S * 1e9:
                raise NodeFailure(f"not ready after {START_S:.0f} s: {', '.join(late)}{self._hint(late)}")

    def _elsewhere(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.process is None and node.state != "done"]

    def _hint(self, late: Sequence[str]) -> str:
        if any(self.nodes[name].process is None for name in late):
            return " (started on another machine? same configuration, addresses and keys there?)"
        return ""

    def _on_event(self, control: ControlServer, event: Event) -> None:
        match event:
            case ClientRequest():
                self._answer(control, event)
            case Answer():
                if event.error:
                    log.warning("%s: %s: %s", event.node, event.name, event.error)
            case Hello() | Ready() | Status() | Failed() | Done():
                node = self.nodes.get(event.node)
                if node is None:
                    log.warning("a node called %s reported, but none of that name belongs here", event.node)
                    return
                node.heard_ns = self.clock.monotonic_ns()
                match event:
                    case Ready():
                        node.state = "ready"
                    case Status():
                        # A node that was there before this supervisor has long said that it is ready.
                        node.state, node.counters = "ready", event.counters
                    case Done():
                        node.state, node.counters = "done", event.stats
                    case Failed():
                        raise UserError(event.error)

    def _answer(self, control: ControlServer, request: ClientRequest) -> None:
        """Requests from a command line or a page: the vocabulary, the status, the end."""
        match request.name:
            case "status":
                control.reply(request, self._told_of_all())
            case "vocabulary.set" | "vocabulary.get":
                control.relay(request, "classification")
            case "stop":
                self.stop()
                control.reply(request, None)
            case _:
                control.reply(request, error=f"no such request: {request.name}")

    def _told_of_all(self) -> dict[str, dict[str, Any]]:
        return {name: self._told(node) for name, node in self.nodes.items()}

    @staticmethod
    def _told(node: Node) -> dict[str, Any]:
        """What the status says of a node."""
        about = {"state": node.state, **node.counters}
        if node.process is not None:
            about |= {"pid": node.process.pid, "memory_mib": memory_mib(node.process.pid)}
        return about

    def _look_for_deaths(self, control: ControlServer) -> None:
        for node in self._elsewhere():
            if node.state == "ready" and self.clock.monotonic_ns() - node.heard_ns > LOST_S * 1e9:
                raise NodeFailure(
                    f"the {node.name} node on another machine has been silent for {LOST_S:.0f} s"
                )
        for node in self.nodes.values():
            if node.process is None or node.state == "done" or node.process.poll() is None:
                continue
            # Its last words may still be under way.
            for event in control.poll(0.2):
                self._on_event(control, event)
            if self.nodes[node.name].state != "done":
                if node.reader is not None:
                    node.reader.join(timeout=1.0)
                raise NodeFailure(
                    f"the {node.name} node {death(node.process.returncode)}{told(node.last_lines)}"
                )

    # Ending ----------------------------------------------------------------------------------------------

    def _end_processes(self) -> None:
        living = [node.process for node in self.nodes.values() if node.process is not None]
        if all(node.state == "done" for node in self.nodes.values()):
            _wait(living, TERMINATE_S)
        for signal_, grace_s in ((signal.SIGTERM, TERMINATE_S), (signal.SIGKILL, None)):
            living = [process for process in living if process.poll() is None]
            for process in living:
                process.send_signal(signal_)
            _wait(living, grace_s)
        for node in self.nodes.values():
            if node.reader is not None:  # not for ever: a child of the node's may hold the other end open
                node.reader.join(timeout=1.0)


def open_metrics(config: Config) -> Metrics | None:
    """Figures for Prometheus, where they are wanted. Raises `UserError` for a port that is taken."""
    if config.output.metrics is None:
        return None
    from streaming.outputs.metrics import Metrics

    ids = [source.id for source in config.all_sources]
    return Metrics(config.output.metrics, dict(zip(config.captures, ids, strict=True)))


def _wait(processes: list[subprocess.Popen[str]], timeout_s: float | None) -> None:
    """Wait for all of them, together no longer than `timeout_s`."""
    deadline = None if timeout_s is None else Clock().monotonic_ns() + int(timeout_s * 1e9)
    for process in processes:
        remaining_s = None if deadline is None else max(0.0, (deadline - Clock().monotonic_ns()) / 1e9)
        try:
            process.wait(remaining_s)
        except subprocess.TimeoutExpired:
            continue


def environment(threads: int) -> dict[str, str]:
    """What a node's process is told: where the code is, and how to share the cores.

    Libraries get their number of threads, and those that wait for each other soon stop spinning: the cores
    belong to all nodes. (Never spinning is worse: a layer of the model is over before a sleeping thread has
    woken.)
    """
    count = str(threads)
    paths = [str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")]
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "GOMP_SPINCOUNT": "1000",
    }


def memory_mib(pid: int) -> float:
    """What a process holds in memory; 0 for one that has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, LookupError, ValueError):
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def death(returncode: int) -> str:
    """How a process ended, in words."""
    if returncode < 0:
        try:
            return f"was killed by {signal.Signals(-returncode).name}"
        except ValueError:
            return f"was killed by signal {-returncode}"
    return f"ended early with exit code {returncode}"


def told(last_lines: Sequence[str]) -> str:
    """The last line a process wrote, as the likeliest reason."""
    lines = [line for line in last_lines if line.strip()]
    return f"; its last words: {lines[-1]}" if lines else ""
