"""Makes a node: its object, its links, its conversation with the supervisor."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.errors import ModelError
from nodes.families import stages_of
from nodes.runtime import PARENT, Lifeline, Orphaned, Stage, run_stage
from streaming.clock import Clock
from streaming.config import Config, kind_of_node
from streaming.control import ControlClient
from streaming.errors import UserError
from streaming.legible import LegibleLog
from streaming.link import Receiver, Sender
from streaming.memory import Memory
from streaming.messages import Message, MessageError
from streaming.security import SOCKET_DIR_PREFIX, Security

log = logging.getLogger(__name__)

Counters = dict[str, Any]
BESIDE_THE_LINE = 10  # niceness: who looks on takes from the line no processor that it could use
WELCOME_S = 3.0  # how long a node started by hand waits for a supervisor to answer its greeting


@dataclass(frozen=True)
class Tools:
    """What every node is made with."""

    config: Config
    clock: Clock
    security: Security | None
    control: ControlClient
    parent: int | None  # the supervisor's process, where it has started this one
    memory: Memory = field(default_factory=Memory)

    def receiver(self, *links: str, holds: bool = False) -> Receiver:
        """For all that comes over these links, from however many sources."""
        addresses = [address for link in links for address in self.config.addresses(link)]
        return Receiver(
            addresses, clock=self.clock, security=self.security, name="+".join(links), holds=holds
        )

    def sender(
        self, link: str, overflow: str = "block", on_drop: Callable[[Message], None] | None = None
    ) -> Sender:
        return Sender(
            getattr(self.config.links, link),
            overflow="latest" if overflow == "latest" else "block",
            clock=self.clock,
            security=self.security,
            name=link,
            on_drop=on_drop,
        )

    def lifeline(self, stage: Stage) -> Lifeline:
        return Lifeline(self.control, stage, self.clock, self.parent)


def capture(tools: Tools) -> Counters:
    from nodes.capture import CaptureStage, open_source, open_tape, run_capture

    source = open_source(tools.config, tools.clock, tools.memory)
    stage = CaptureStage(source)
    overflow = tools.config.source.overflow or source.overflow
    tape = open_tape(tools.config, source, tools.memory)
    snippets = tools.sender("snippets", overflow, tape.dropped if tape else None)
    previews = tools.sender("previews", overflow) if tools.config.shows_pictures else None
    tools.control.ready()
    counters = run_capture(stage, snippets, previews, tools.lifeline(stage), tape)
    for sender in (snippets, previews):
        if sender is not None:
            sender.close()
    return counters


def feature(tools: Tools) -> Counters:
    return _in_line(
        tools, stages_of(tools.config).feature(tools.config, tools.memory), ("snippets",), "features"
    )


def model(tools: Tools) -> Counters:
    return _in_line(tools, stages_of(tools.config).model(tools.config, tools.memory), ("features",), "masks")


def classification(tools: Tools) -> Counters:
    stage = stages_of(tools.config).classification(tools.config, tools.memory)
    return _in_line(tools, stage, ("masks",), "results")


def recorder(tools: Tools) -> Counters:
    from nodes.recorder import open_recorder

    stage = open_recorder(tools.config, tools.clock, tools.memory)
    links = ("results", "previews") if tools.config.shows_pictures else ("results",)
    try:
        return _in_line(tools, stage, links, None)
    finally:
        stage.close()


def viewer(tools: Tools) -> Counters:
    from nodes.viewer import open_viewer, run_viewer
    from streaming.viewer.feed import Feed

    feed = Feed(str(tools.config.links.broadcast), tools.security)
    os.nice(BESIDE_THE_LINE)
    stage = open_viewer(tools.config, tools.clock, tools.memory, tools.security)
    try:
        tools.control.ready()
        counters = run_viewer(stage, feed, tools.lifeline(stage))
        feed.close()
        return counters
    finally:
        stage.close()


NODES: dict[str, Callable[[Tools], Counters]] = {
    "capture": capture,
    "feature": feature,
    "model": model,
    "classification": classification,
    "recorder": recorder,
    "viewer": viewer,
}


def _in_line(tools: Tools, stage: Stage, links: tuple[str, ...], out: str | None) -> Counters:
    receiver = tools.receiver(*links, holds=out is not None)
    sender = tools.sender(out) if out else None
    tools.control.ready()
    # Every source has an end of its own, on every link.
    ends = len(links) * len(tools.config.all_sources)
    counters = run_stage(stage, receiver, sender, tools.lifeline(stage), ends=ends)
    receiver.close()
    if sender is not None:
        sender.close()
    return counters


def start(name: str, config: Config, parent: int | None = None, memory: Memory | None = None) -> int:
    """Run a node to its end, or until process `parent` is its parent no more; its exit status.

    memory: what it has to know of its life so far; None: the supervisor is asked, if it is there.

    Raises `UserError` when it cannot so much as talk to the supervisor.
    """
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(LegibleLog())
    logging.basicConfig(level=logging.WARNING, handlers=[lines])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    clock, config = Clock(), config.of_node(name)
    security = Security(config.links.keys) if config.links.keys else None
    control = ControlClient(str(config.links.control), clock=clock, node=name, security=security)
    control.hello()
    try:
        memory = memory or welcomed(control, clock)
        control.done(NODES[kind_of_node(name)](Tools(config, clock, security, control, parent, memory)))
    except (UserError, ModelError) as error:
        control.failed(str(error))
        if parent is None:  # the supervisor tells it on another machine's screen only
            log.error("error: %s", error)
        return 2
    except Orphaned:
        log.error("the supervisor is gone, so this node ends too")
        _tidy_up_after_supervisor(config)
        return 1
    except MessageError as error:
        log.error("a message that breaks its own schema: %s", error)
        return 1
    except Exception:
        # A bug: the whole story for the log, the last line of it for the user.
        traceback.print_exc()
        return 1
    finally:
        control.close()
    return 0


def welcomed(control: ControlClient, clock: Clock) -> Memory:
    """What the supervisor tells a node that somebody has started by hand: nothing, if none is there yet."""
    until_ns = clock.monotonic_ns() + round(WELCOME_S * 1e9)
    while (remaining_ns := until_ns - clock.monotonic_ns()) > 0:
        for request in control.poll(remaining_ns / 1e9):
            control.reply(request, error=None if request.name in ("welcome", "ping") else "not ready yet")
            if request.name == "welcome":
                return Memory.model_validate(request.args)
    return Memory()


def _tidy_up_after_supervisor(config: Config) -> None:
    """Remove the private directory of sockets that only its owner would have removed."""
    address = str(config.links.control)
    directory = Path(address.removeprefix("ipc://")).parent
    if address.startswith("ipc://") and directory.name.startswith(SOCKET_DIR_PREFIX):
        shutil.rmtree(directory, ignore_errors=True)


def main(parent: int = PARENT) -> None:
    """For a process of its own: `python -m nodes.start NAME SETTINGS.json MEMORY.json`. Does not return."""
    name, settings, remembered = sys.argv[1:4]
    config = Config.model_validate_json(Path(settings).read_bytes())
    memory = Memory.model_validate_json(Path(remembered).read_bytes())
    # Skip the interpreter's slow goodbye: everything that matters has been closed.
    code = 1
    try:
        code = start(name, config, parent, memory)
    except UserError as error:
        print(error, file=sys.stderr)
    finally:  # even when nobody reads standard error any more
        os._exit(code)


if __name__ == "__main__":
    main()
