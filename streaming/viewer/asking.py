"""Requests to the supervisor from an event loop, which must not wait: a thread asks, as a command line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from streaming.control import ControlClient


class Ask(Protocol):
    """Asks for something to be done. Raises `UserError` when the answer is an error, or none comes."""

    async def __call__(
        self, name: str, args: dict[str, Any] | None = None, deadline_s: float = 5.0
    ) -> Any: ...


class Asking:
    """A conversation with the supervisor, one request after the other.

    connect: makes the connection, in the thread that will use it.
    """

    def __init__(self, connect: Callable[[], ControlClient]) -> None:
        self._connect = connect
        self._client: ControlClient | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="asking")

    async def __call__(self, name: str, args: dict[str, Any] | None = None, deadline_s: float = 5.0) -> Any:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._call, name, args, deadline_s
        )

    def _call(self, name: str, args: dict[str, Any] | None, deadline_s: float) -> Any:
        if self._client is None:
            self._client = self._connect()
        return self._client.call(name, args, deadline_s)

    def close(self) -> None:
        """Hang up, as soon as what is being asked is answered; nobody waits for that."""
        self._thread.submit(lambda: self._client and self._client.close())
        self._thread.shutdown(wait=False)
