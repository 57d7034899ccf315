"""A zoo of tiny nodes, each doing what the variable ZOO says of its name.

Each is started as a node is: `python unruly.py NAME SETTINGS MEMORY`.

They talk to the supervisor as nodes do, and to nobody else.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from streaming.clock import Clock
from streaming.config import Config
from streaming.control import ControlClient
from streaming.memory import Memory


def waits(control: ControlClient) -> None:
    """Until it is told to stop; answers whatever it is asked with what it was asked."""
    control.hello()
    control.ready()
    while True:
        for request in control.poll(1.0):
            control.reply(request, {"asked": request.name, **request.args})
            if request.name == "stop":
                return control.done({"told": "to stop"})


def finishes(control: ControlClient) -> None:
    control.hello()
    control.ready()
    control.status({"results": 1})
    control.done({"results": 2})


def begins(control: ControlClient) -> None:
    """Finishes when it is told to start."""
    control.hello()
    control.ready()
    while not any(request.name == "start" for request in control.poll(1.0)):
        pass
    control.done({"told": "to start"})


def crashes(control: ControlClient) -> None:
    control.hello()
    sys.stderr.write("Traceback (most recent call last):\nKeyError: 'cheese'\n\n")
    sys.exit(3)


def segfaults(control: ControlClient) -> None:
    control.hello()
    control.ready()
    os.kill(os.getpid(), signal.SIGSEGV)


def leaves(control: ControlClient) -> None:
    """Without a word, as if all were well."""
    control.hello()
    control.ready()


def gives_up(control: ControlClient) -> None:
    control.hello()
    control.failed("clip.mp4: no such file")
    control.close()
    os._exit(2)


def hangs(control: ControlClient) -> None:
    """Before it is ready."""
    control.hello()
    time.sleep(3600)


def ignores(control: ControlClient) -> None:
    """Every request, and SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    control.hello()
    control.ready()
    time.sleep(3600)


def floods(control: ControlClient) -> None:
    """Its standard error, with more than a pipe holds; some of it is no text."""
    control.hello()
    control.ready()
    for number in range(5000):
        sys.stderr.buffer.write(b"line %d \xff of many, and no short one either\n" % number)
    sys.stderr.buffer.flush()
    control.done({})


def dies_once(control: ControlClient) -> None:
    """When it was told to start; its successor tells what it remembers, and its newest counters."""
    control.hello()
    control.ready()
    until(control, "start")
    if memory().incarnation == 1:
        control.status({"snippets": 3, "results": 3})
        time.sleep(0.5)  # so long, that it has left
        os.kill(os.getpid(), signal.SIGKILL)
    control.done({"snippets": 4, "results": 4, "memory": memory().model_dump()})


def dies_always(control: ControlClient) -> None:
    """A while after it became ready, with a reason."""
    control.hello()
    control.ready()
    time.sleep(3.0 if memory().incarnation == 1 else 0.2)  # so long, that the run has begun
    sys.stderr.write("KeyError: 'cheese'\n")
    sys.exit(3)


def fills_the_disk(control: ControlClient) -> None:
    """Gives up a while after it became ready, the first time long enough for the run to have begun."""
    control.hello()
    control.ready()
    time.sleep(3.0 if memory().incarnation == 1 else 0.2)
    control.failed("results.jsonl: No space left on device")
    control.close()
    os._exit(2)


def hangs_once(control: ControlClient) -> None:
    """Says no more once it was ready; its successor finishes when nothing more comes to it."""
    control.hello()
    control.ready()
    control.status({"snippets": 1})
    if memory().incarnation == 1:
        time.sleep(3600)
    until(control, "finish")
    control.done({"snippets": 2})


def names(control: ControlClient) -> None:
    """Dies when it is asked what it is called; says what it remembers when it is told to stop."""
    control.hello()
    control.ready()
    while True:
        for request in control.poll(1.0):
            if request.name == "vocabulary.get":
                os.kill(os.getpid(), signal.SIGKILL)
            control.reply(request, {"revision": 2, "words": request.args.get("words", [])})
        control.status({"vocabulary": memory().vocabulary})


def extracts(control: ControlClient) -> None:
    """Tells how far it is; ends when nothing more comes."""
    control.hello()
    control.ready()
    while not any(request.name == "finish" for request in control.poll(0.2)):
        control.status({"reached": {"source": [0, 6, 6_000_000_000], "other": [1, 2, 3]}})
    control.done({})


def looks_on(control: ControlClient) -> None:
    """Until it is told to finish; is at a port one above that of the one before it."""
    port = 8000 if memory().port is None else memory().port + 1  # type: ignore[operator]
    control.hello()
    control.ready()
    while True:
        for request in control.poll(0.1):
            control.reply(request)
            if request.name == "finish":
                return control.done({"told": "to finish", "why": request.args["reason"], "port": port})
        control.status({"port": port})


def lingers(control: ControlClient) -> None:
    """Looks on, and ends by itself a moment after it was told to linger."""
    control.hello()
    control.ready()
    until(control, "linger")
    control.status({"lingered": True})
    control.done({"told": "to linger"})


def stays(control: ControlClient) -> None:
    """Looks on, and stays until it is told to finish; what it hears before, it tells."""
    control.hello()
    control.ready()
    heard = []
    while "finish" not in heard:
        for request in control.poll(0.1):
            control.reply(request)
            heard.append(request.name)
        control.status({"heard": heard})
    control.done({"heard": heard})


def freezes(control: ControlClient) -> None:
    """Looks on, and stops as if somebody had pressed Ctrl-Z."""
    control.hello()
    control.ready()
    until(control, "finish")
    os.kill(os.getpid(), signal.SIGSTOP)


def until(control: ControlClient, name: str) -> None:
    """Waits until it is asked for this."""
    while True:
        for request in control.poll(0.2):
            control.reply(request)
            if request.name == name:
                return
        control.status({})


def memory() -> Memory:
    return Memory.model_validate_json(Path(sys.argv[3]).read_bytes())


def orphans(control: ControlClient) -> None:
    """Leaves a child behind that keeps its standard error open, and crashes."""
    control.hello()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
    sys.stderr.write(f"{child.pid}\n")
    sys.exit(3)


ZOO: dict[str, Callable[[ControlClient], None]] = {
    kind.__name__: kind
    for kind in (
        waits,
        finishes,
        begins,
        crashes,
        segfaults,
        leaves,
        gives_up,
        hangs,
        ignores,
        floods,
        orphans,
        dies_once,
        dies_always,
        fills_the_disk,
        hangs_once,
        names,
        extracts,
        looks_on,
        lingers,
        stays,
        freezes,
    )
}


def main() -> None:
    name, settings = sys.argv[1:3]
    with open(settings, encoding="utf-8") as file:
        config = Config.model_validate_json(file.read())
    control = ControlClient(str(config.links.control), clock=Clock(), node=name)
    try:
        ZOO[json.loads(os.environ["ZOO"]).get(name, "waits")](control)
    finally:
        control.close()


if __name__ == "__main__":
    main()
