"""Those who are told of results while a run goes on. None of them slows the line, and none ends it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from streaming.clock import Clock
from streaming.config import Config
from streaming.messages import Preview, Result
from streaming.security import Security

Counters = Mapping[str, int | bool]

log = logging.getLogger(__name__)


class Output(Protocol):
    """Somebody who is told. Nothing waits for whoever is at the other end but `close`, for a moment."""

    @property
    def counters(self) -> Counters:
        """`sent`, `dropped`, and what else there is to count."""
        ...

    def add(self, result: Result, wall_ns: int) -> None:
        """A result, and when it was written to results.jsonl (`Clock.wall_ns()`)."""
        ...

    def end(self, source: str, seq: int, wall_ns: int) -> None:
        """A stream ends. Its last result has the number before `seq`, and may still be on its way."""
        ...

    def close(self) -> None:
        """The end of the run."""
        ...


@runtime_checkable
class Onlooker(Protocol):
    """An output that is shown the moving picture, too."""

    def show(self, preview: Preview) -> None:
        """Picture and sound of a hop; its result comes later."""
        ...


class Outputs:
    """All outputs of a run, by name. One that fails is told of in the log and left out from then on."""

    def __init__(self, of: Mapping[str, Output] | None = None) -> None:
        self._of = dict(of or {})
        self._failed: set[str] = set()

    def __len__(self) -> int:
        return len(self._of)

    @property
    def counters(self) -> dict[str, Counters]:
        """Of each output, those that failed included."""
        return {name: output.counters for name, output in self._of.items()}

    def add(self, result: Result, wall_ns: int) -> None:
        self._each(lambda output: output.add(result, wall_ns))

    def show(self, preview: Preview) -> None:
        self._each(lambda output: output.show(preview) if isinstance(output, Onlooker) else None)

    def end(self, source: str, seq: int, wall_ns: int) -> None:
        self._each(lambda output: output.end(source, seq, wall_ns))

    def close(self) -> None:
        self._failed.clear()  # whatever happened before
        self._each(lambda output: output.close())

    def _each(self, act: Callable[[Output], None]) -> None:
        for name, output in self._of.items():
            if name in self._failed:
                continue
            try:
                act(output)
            except Exception:  # a fault of this program's: whole in the log, and the line goes on
                log.exception("output.%s: has failed; the run goes on without it", name)
                self._failed.add(name)


def open_outputs(config: Config, clock: Clock) -> dict[str, Output]:
    """The outputs that are configured, by name. Raises `UserError` where one cannot be had."""
    outputs: dict[str, Output] = {}
    security = Security(config.links.keys) if config.links.keys else None
    try:
        if config.viewer.enabled:
            from streaming.outputs.broadcast import Broadcast

            outputs["broadcast"] = Broadcast(str(config.links.broadcast), security)
        if config.output.publish is not None:
            from streaming.outputs.publish import Publisher

            outputs["publish"] = Publisher(
                config.output.publish, security, candidates=bool(config.output.candidates)
            )
        if config.output.mqtt.address:
            from streaming.outputs.mqtt import open_mqtt

            outputs["mqtt"] = open_mqtt(config, clock)
    except BaseException:
        for output in outputs.values():
            output.close()
        raise
    return outputs
