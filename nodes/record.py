"""Recording without looking: a source straight onto a tape, with no other node beside it."""

from __future__ import annotations

import signal
from contextlib import closing

from nodes.capture import open_source, open_tape
from streaming.clock import Clock
from streaming.config import Config
from streaming.errors import UserError
from streaming.messages import Snippet


def record(config: Config, seconds: float | None = None) -> str:
    """Keep a source until its end, for so many seconds, or until it is told to stop; the outcome, in a line.

    Raises `UserError`: what was written before stays and can be played.
    """
    if config.sources:
        raise UserError("sources: `record` keeps one source; give it with --source")
    source = open_source(config, Clock())
    tape = open_tape(config, source)
    assert tape is not None, "the command asks for it"
    for signal_ in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_, lambda *_: source.close())
    snippets = 0
    with closing(source), closing(tape):
        for message in source:
            if message is None:
                continue
            tape.write(message)
            snippets += isinstance(message, Snippet)
            if seconds is not None and snippets * config.source.hop_s >= seconds:
                break
    return f"{tape.path}: {snippets} snippets of {source.source_id}, {tape.path.stat().st_size / 1e6:.1f} MB"
