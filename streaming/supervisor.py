"""Starts the nodes, watches them, starts those that die again, and ends them in order.

The line is short: capture, feature, model, classification, recorder, each a process of its own. A stream
that ends travels down it as a message, so files are complete before the recorder says it is done.

A node that dies, or says nothing any more, is started again after a moment, and is given what it has to know
of its life so far (`_memory_of`); its neighbours keep what it had in hand. One that dies over and over is
given up where somebody waits for the end, of a recording; a live run goes on without it and keeps trying.
Whatever happens, no process is left behind.

Beside the line there may be a node that only looks on, the viewer (`BESIDE`). It is looked after like the
others, but no run waits long for it, ends because of it, or goes on because of it.
"""

from __future__ import annotations

import logging
import shutil
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streaming.clock import Clock
from streaming.config import Config, LinksConfig, NodeConfig, is_live, kind_of_node
from streaming.control import (
    Answer,
    ClientRequest,
    ControlServer,
    Done,
    Event,
    Failed,
    Hello,
    Ready,
    Status,
    tidy,
)
from streaming.endings import death
from streaming.errors import UserError
from streaming.memory import Memory
from streaming.node_process import PROGRAM, Begin, Node, begin, end_all, told
from streaming.security import Security, make_socket_dir
from streaming.sources.base import Place

if TYPE_CHECKING:
    from streaming.outputs.metrics import Metrics

TAKERS = {  # who takes what comes of a node, down the line
    "capture": ("feature", "recorder"),
    "feature": ("model",),
    "model": ("classification",),
    "classification": ("recorder",),
    "recorder": (),
}
NODES = tuple(TAKERS)
BESIDE = ("viewer",)  # look on, and are no part of the line
POLL_S = 0.1
START_S = 300.0  # a large model on a slow disk takes its time
DRAIN_S = 3.5  # what an interrupted run gives its nodes to finish
TERMINATE_S = 5.0  # a recorder that was not drained still finishes its film
FAREWELL_S = 1.8  # what those beside the line are given to take leave of whoever looks
LATE_S = 30.0  # a run whose line is ready waits no longer for those beside it
PING_S = 5.0
LOST_S = 30.0  # a node on another machine that says nothing for so long is lost
UNHEEDED_S = (
    5.0  # a node ends by itself long before, if those that it gives to could tell it that they have all
)
STEADY_S = 60.0  # a node that was ready for so long did not die of what it had died of before

log = logging.getLogger(__name__)


class NodeFailure(Exception):
    """A node died or gave up for a reason that is no mistake of the user's."""


def resolved_links(links: LinksConfig, directory: Path) -> LinksConfig:
    """Every link with an address: those not configured become sockets in `directory`."""
    names = ("snippets", "features", "masks", "results", "previews", "broadcast", "control")
    return links.model_copy(
        update={name: getattr(links, name) or f"ipc://{directory / name}" for name in names}
    )


def used_nodes(config: Config) -> Sequence[str]:
    """The nodes this configuration wants, in the order of the line, and last those beside it."""
    return (*config.captures, *NODES[1:], *(["viewer"] if config.viewer.enabled else []))


def in_line(node: Node) -> bool:
    """Whether messages pass through a node on their way."""
    return kind_of_node(node.name) not in BESIDE


class Supervisor:
    """One run of the pipeline.

    `watch` is called about ten times a second with the nodes, for a progress display; `say` is given each
    line for a person: what nodes write on their standard error, and what becomes of nodes. `lingers` is given
    the nodes' counters when all is over but the page, which stays for a while (`viewer.linger_s`). `program`
    is what a node is started with, before its name and the files of its settings and its memory; `begin`
    starts it.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock,
        watch: Callable[[Mapping[str, Node]], None] = lambda nodes: None,
        say: Callable[[str], None] = lambda line: None,
        lingers: Callable[[dict[str, dict[str, Any]]], None] = lambda counters: None,
        program: Sequence[str] = PROGRAM,
        begin: Begin = begin,
    ) -> None:
        self.clock = clock
        self.nodes: dict[str, Node] = {}
        self._watch, self._say, self._lingers = watch, say, lingers
        self._program, self._begin = program, begin
        self._directory = make_socket_dir()
        self._settings = self._directory / "config.json"
        # For those who make a supervisor and never come to run it.
        weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        self.config = config.model_copy(update={"links": resolved_links(config.links, self._directory)})
        self._live = any(is_live(source) for source in config.all_sources)
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._begun_wall_ns: int | None = None  # when every node was ready, and the sources began
        self._reached: dict[str, Place] = {}  # how far the features of each source are
        self._vocabulary: dict[str, Any] | None = None  # the one that was set last, if any was
        self._metrics: Metrics | None = None

    def stop(self) -> None:
        """Ask for an orderly end, from a signal handler or another thread; a second call hurries."""
        (self._hurry if self._stop.is_set() else self._stop).set()

    def run(self) -> dict[str, dict[str, Any]]:
        """Run to the end of the stream, or to `stop`; the nodes' last counters, by name.

        Raises `UserError` for what the user can mend and `NodeFailure` when a node died for good. Before it
        returns or raises, every process has ended and the directory of sockets is gone.
        """
        control, ending = None, "every source has ended"
        try:
            keys = self.config.links.keys
            control = ControlServer(
                str(self.config.links.control), clock=self.clock, security=Security(keys) if keys else None
            )
            self._metrics = open_metrics(self.config)
            self._start()
            self._until_done(control)
            if self._stop.is_set():
                ending = "it was stopped"
            else:
                self._linger(control, ending)
        except (UserError, NodeFailure) as error:
            ending = str(error)
            raise
        finally:
            if control is not None:
                self._take_leave(control, ending)
                for node in self._elsewhere():
                    control.request(node.name, "stop")
            self._leave_behind()
            end_all(list(self.nodes.values()), TERMINATE_S)
            if control is not None:
                control.close()
            if self._metrics is not None:
                self._metrics.close()
            shutil.rmtree(self._directory, ignore_errors=True)
        if failed := [node for node in self._line() if node.state == "failed"]:
            raise NodeFailure("; ".join(f"the {node.name} node {node.reason}" for node in failed))
        return self._counters()

    def _counters(self) -> dict[str, dict[str, Any]]:
        return {
            name: node.counters | ({"restarts": node.restarts} if node.restarts else {})
            for name, node in self.nodes.items()
        }

    # Starting --------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._settings.write_text(self.config.model_dump_json())
        self._settings.chmod(0o600)
        for name in used_nodes(self.config):
            node = self.nodes[name] = Node(name)
            if self._settings_of(name).here:
                self._start_process(node)

    def _start_process(self, node: Node) -> None:
        threads = self._settings_of(node.name).threads
        node.heard_ns = self.clock.monotonic_ns()
        node.start(
            self._program,
            self._settings,
            self._memory_of(node),
            threads=threads,
            say=self._say,
            begin=self._begin,
        )

    def _settings_of(self, name: str) -> NodeConfig:
        return getattr(self.config.nodes, kind_of_node(name))

    def _memory_of(self, node: Node) -> Memory:
        """What a node has to know of its life so far."""
        kind = kind_of_node(node.name)
        source = node.name.partition("-")[2] or next(iter(self._reached), "")  # an only one may have any name
        return Memory(
            incarnation=node.incarnation,
            begun_wall_ns=self._begun_wall_ns,
            reached=self._reached.get(source) if kind == "capture" else None,
            vocabulary=self._vocabulary if kind == "classification" else None,
            port=node.counters.get("port") if kind == "viewer" else None,
        )

    # Watching --------------------------------------------------------------------------------------------

    def _until_done(self, control: ControlServer) -> None:
        begun_ns = pinged_ns = self.clock.monotonic_ns()
        line_ready_ns = stopping_ns = None
        while not all(node.over for node in self._line()):
            for event in control.poll(POLL_S):
                self._on_event(control, event)
            for node in self.nodes.values():
                self._look_after(control, node)
            self._watch(self.nodes)
            if self._metrics is not None:
                self._metrics.update(self._told_of_all())
            now_ns = self.clock.monotonic_ns()
            if self._begun_wall_ns is None and all(node.state != "starting" for node in self._line()):
                line_ready_ns = line_ready_ns or now_ns
                waiting = any(node.state == "starting" for node in self.nodes.values())
                if not waiting or now_ns - line_ready_ns > LATE_S * 1e9:
                    self._begun_wall_ns = self.clock.wall_ns()
                    for name in self.config.captures:
                        control.request(name, "start")
            if now_ns - pinged_ns > PING_S * 1e9:
                pinged_ns = now_ns
                for node in self._elsewhere():
                    control.request(node.name, "ping", deadline_s=LOST_S)
            if self._stop.is_set() and stopping_ns is None:
                if self._begun_wall_ns is None:
                    return  # nothing is on its way yet
                stopping_ns = now_ns
                self._end_sources(control)
            if stopping_ns is not None:
                broken = any(node.state in ("down", "starting") for node in self._line())
                if broken or self._hurry.is_set() or now_ns - stopping_ns > DRAIN_S * 1e9:
                    return
            late = [node.name for node in self._line() if node.state == "starting"]
            if late and self._begun_wall_ns is None and now_ns - begun_ns > START_S * 1e9:
                raise NodeFailure(f"not ready after {START_S:.0f} s: {', '.join(late)}{self._hint(late)}")

    def _end_sources(self, control: ControlServer) -> None:
        """The source first: its end runs down the line, and each node finishes what it has."""
        for name in self.config.captures:
            node = self.nodes[name]
            if node.state == "down":
                node.state = "done"  # nothing more comes of it
            elif not node.over:
                control.request(name, "stop", deadline_s=DRAIN_S)

    def _linger(self, control: ControlServer, ending: str) -> None:
        """The page may outlive the line, until nobody has watched for a while or somebody stops it."""
        linger_s, viewer = self.config.viewer.linger_s, self.nodes.get("viewer")
        if not linger_s or viewer is None or viewer.state != "ready":
            return
        if any(node.state == "failed" for node in self._line()):
            return
        end_all(self._line(), TERMINATE_S)
        self._lingers(self._counters())
        self._say(
            f"the run is over; the page plays its end again until Ctrl-C, or until nobody has watched for "
            f"{linger_s:g} s"
        )
        control.request(viewer.name, "linger", {"reason": tidy(ending)})
        ended = False
        while not (viewer.over or ended or self._stop.is_set() or self._hangs(control, viewer)):
            ended = viewer.has_ended  # its last words may still be under way
            for event in control.poll(POLL_S):
                if isinstance(event, ClientRequest) and event.name.startswith("vocabulary."):
                    control.reply(event, error="the run is over")
                elif isinstance(event, ClientRequest) or event.node == viewer.name:
                    self._on_event(control, event)

    def _take_leave(self, control: ControlServer, ending: str) -> None:
        """Tell those who look on that it is over, and why; for a moment they are waited for."""
        looking = {
            name: node for name, node in self.nodes.items() if not in_line(node) and node.state == "ready"
        }
        for name in looking:
            control.request(name, "finish", {"reason": tidy(ending)})
        until_ns = self.clock.monotonic_ns() + round(FAREWELL_S * 1e9)
        while not all(node.over or node.has_ended for node in looking.values()):
            for event in control.poll(POLL_S):
                if isinstance(event, Done) and event.node in looking:  # what others say changes nothing now
                    self._on_report(control, looking[event.node], event)
            if self._hurry.is_set() or self.clock.monotonic_ns() > until_ns:
                return

    def _leave_behind(self) -> None:
        """Those beside the line write nothing: one that has not gone by now is not waited for."""
        for node in self.nodes.values():
            if not in_line(node) and node.process is not None and not node.over and not node.has_ended:
                node.process.kill()

    def _line(self) -> list[Node]:
        return [node for node in self.nodes.values() if in_line(node)]

    def _elsewhere(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.process is None and not node.over]

    def _hint(self, late: Sequence[str]) -> str:
        if any(self.nodes[name].process is None for name in late):
            return " (started on another machine? same configuration, addresses and keys there?)"
        return ""

    def _on_event(self, control: ControlServer, event: Event) -> None:
        match event:
            case ClientRequest():
                self._answer(control, event)
            case Answer(name="vocabulary.set", error=None):
                self._vocabulary = event.value
            case Answer():
                if event.error:
                    log.warning("%s: %s: %s", event.node, event.name, event.error)
            case Hello() | Ready() | Status() | Failed() | Done():
                node = self.nodes.get(event.node)
                if node is None:
                    log.warning("a node called %s reported, but none of that name belongs here", event.node)
                    return
                node.heard_ns = self.clock.monotonic_ns()
                self._on_report(control, node, event)

    def _on_report(
        self, control: ControlServer, node: Node, report: Hello | Ready | Status | Failed | Done
    ) -> None:
        if node.process is not None and node.state == "down":
            return  # said before it died
        match report:
            case Hello():
                self._on_hello(control, node, report.pid)
            case Ready():
                self._is_ready(control, node)
            case Status():
                # A node that was there before this supervisor has long said that it is ready.
                if node.state != "ready":
                    self._is_ready(control, node)
                node.tells(report.counters)
                if node.name == "feature":
                    self._note_reached(report.counters.get("reached", {}))
            case Done():
                node.state = "done"
                node.tells(report.stats)
            case Failed():
                if self._begun_wall_ns is None or (not self._live and in_line(node)):
                    raise UserError(report.error)  # to start it again would not mend it
                node.error = report.error

    def _on_hello(self, control: ControlServer, node: Node, pid: int) -> None:
        if node.process is not None:
            return
        # Somebody has started it by hand; again, if it is not the one that was there.
        if node.pid not in (None, pid):
            node.succeeds_itself()
            node.state = "starting"
        node.pid = pid
        control.request(node.name, "welcome", self._memory_of(node).model_dump())

    def _is_ready(self, control: ControlServer, node: Node) -> None:
        again = node.state != "ready" and (node.restarts > 0 or node.state == "down")
        node.state, node.ready_ns = "ready", self.clock.monotonic_ns()
        if again:
            self._say(f"the {node.name} node is back")
        if self._begun_wall_ns is not None and node.name in self.config.captures:
            control.request(node.name, "start")

    def _note_reached(self, reached: Mapping[str, list[int]]) -> None:
        """How far the features are, whichever of its processes made them."""
        for source, place in reached.items():
            self._reached[source] = max(Place(*place), self._reached.get(source, Place(*place)))

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
        return {name: node.status() for name, node in self.nodes.items()}

    # Dying and living on ---------------------------------------------------------------------------------

    def _look_after(self, control: ControlServer, node: Node) -> None:
        now_ns = self.clock.monotonic_ns()
        if node.over:
            return
        if self._is_unheeded(node):
            node.unheeded_ns = node.unheeded_ns or now_ns
            if node.state == "down" or now_ns - node.unheeded_ns > UNHEEDED_S * 1e9:
                node.kill()
                node.state = "done"
                self._say(f"the {node.name} node is needed no more: all that came of it has been taken")
                return
        if node.state == "ready" and not node.finishing and self._nothing_comes_to(node):
            node.finishing = True
            control.request(node.name, "finish")
        if node.process is None:
            if node.state == "ready" and now_ns - node.heard_ns > LOST_S * 1e9:
                self._is_lost(node, f"on another machine has been silent for {LOST_S:.0f} s")
        elif node.state == "down":
            if now_ns >= node.due_ns and self._knows_where_to_go_on(node):
                node.succeeds_itself()
                self._start_process(node)
        elif (code := node.process.poll()) is not None:
            # Its last words may still be under way.
            for event in control.poll(0.2):
                self._on_event(control, event)
            if not node.over:
                node.told_all()
                self._is_lost(node, f"{death(code)}{told(node.last_lines)}")
        elif self._hangs(control, node):
            node.kill()
            self._is_lost(node, f"said nothing for {self.config.supervision.hung_s:g} s and was killed")

    def _nothing_comes_to(self, node: Node) -> bool:
        """Whether all that it gets its messages from is over. Whoever has seen every end knows by itself; one
        that took the place of another, or whose source failed, does not."""
        before = [one for one in self._line() if kind_of_node(node.name) in TAKERS[kind_of_node(one.name)]]
        unaware = node.restarts > 0 or any(one.state == "failed" or one.restarts for one in before)
        return unaware and bool(before) and all(one.over for one in before)

    def _is_unheeded(self, node: Node) -> bool:
        """Whether all that it gives to have come to the end of their work, so that nothing of it is missing.

        Whoever was told so ends by itself. One that died before it could be told would say it all again, to
        nobody; and whoever gives to that one waits for it.
        """
        takers = TAKERS.get(kind_of_node(node.name), ())
        after = [one for one in self._line() if kind_of_node(one.name) in takers]
        return bool(after) and all(one.state == "done" for one in after)

    def _knows_where_to_go_on(self, node: Node) -> bool:
        """A source goes on behind what has become features: that is known once no more of it comes there."""
        feature = self.nodes.get("feature")
        if kind_of_node(node.name) != "capture" or feature is None or feature.state != "ready":
            return True
        return feature.heard_ns > node.died_ns

    def _hangs(self, control: ControlServer, node: Node) -> bool:
        """A node tells how it is every second, unless it is busy with what somebody has asked of it."""
        patience_s = self.config.supervision.hung_s if node.state == "ready" else START_S
        silent = self.clock.monotonic_ns() - node.heard_ns > patience_s * 1e9
        return self._begun_wall_ns is not None and silent and not control.awaits(node.name)

    def _is_lost(self, node: Node, how: str) -> None:
        """A node is dead: it is started again in a while, or it was the last time."""
        limits, now_ns = self.config.supervision, self.clock.monotonic_ns()
        node.reason = how = f"gave up: {node.error}" if node.error else how
        over = self._begun_wall_ns is None or self._stop.is_set() or (node.process is None and not self._live)
        if over and in_line(node):
            raise NodeFailure(f"the {node.name} node {how}")
        if self._stop.is_set():
            node.state = "failed"
            return
        if node.ready_ns is not None and now_ns - node.ready_ns > STEADY_S * 1e9:
            node.backoff.succeeded()
        node.state, node.died_ns = "down", now_ns
        if node.process is None:
            self._say(f"the {node.name} node {how}; waiting for it")
            return
        node.deaths_ns.append(now_ns)
        while now_ns - node.deaths_ns[0] > limits.within_s * 1e9:
            node.deaths_ns.popleft()
        wait_s = node.backoff.failed()
        if len(node.deaths_ns) < limits.deaths:
            self._say(f"the {node.name} node {how}; starting it again in {wait_s:.0f} s")
        elif self._live:
            node.backoff.failures = 30
            wait_s = node.backoff.most_s
            often = (
                f"died {len(node.deaths_ns)} times in {limits.within_s:g} s, is tried every {wait_s:.0f} s"
            )
            self._say(f"the {node.name} node {how}; it {often}, and the run goes on without it")
        else:
            times = "once" if len(node.deaths_ns) == 1 else f"{len(node.deaths_ns)} times"
            node.state, node.reason = "failed", f"died {times}; at last it {how}"
            alone = kind_of_node(node.name) == "capture" and len(self.config.captures) > 1
            if in_line(node) and not alone:
                raise NodeFailure(f"the {node.name} node {node.reason}")
            self._say(f"the {node.name} node {node.reason}; the run goes on without it")
        node.due_ns = now_ns + round(wait_s * 1e9)


def open_metrics(config: Config) -> Metrics | None:
    """Figures for Prometheus, where they are wanted. Raises `UserError` for a port that is taken."""
    if config.output.metrics is None:
        return None
    from streaming.outputs.metrics import Metrics

    ids = [source.id for source in config.all_sources]
    return Metrics(config.output.metrics, dict(zip(config.captures, ids, strict=True)))
