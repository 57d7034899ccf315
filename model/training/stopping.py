"""Ctrl-C and SIGTERM as requests, which are granted where it suits."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_requests(*, patient: bool = False) -> Iterator[list[int]]:
    """The signals that came since; what held before holds again afterwards.

    Whoever presses Ctrl-C a second time means at once, unless `patient`: torchrun passes on to its processes
    what the terminal has told them already.
    """
    requests: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and requests and not patient:
            raise KeyboardInterrupt
        requests.append(number)

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's business
        yield requests
        return
    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
