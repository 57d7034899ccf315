"""A zoo of tiny nodes: `python unruly.py NAME SETTINGS`, each doing what the variable ZOO says of its name.

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

from streaming.clock import Clock
from streaming.config import Config
from streaming.control import ControlClient


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
