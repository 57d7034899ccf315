"""One viewer: what waits for it, and the task that sends it over its WebSocket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from aiohttp import WSCloseCode, web

from streaming.viewer import wire
from streaming.viewer.backlog import Backlog
from streaming.viewer.wire import Watch

# What the kernel holds for one viewer: more would only grow old there.
KERNEL_BYTES = 256 << 10


class Client:
    """A viewer at the other end of a WebSocket; made and used in the event loop.

    line: its WebSocket.
    transport: the connection beneath, to be cut where nobody reads any more.
    """

    def __init__(
        self, line: web.WebSocketResponse, transport: asyncio.Transport | None, wants: Watch, hop_s: float
    ) -> None:
        self.is_asking = False  # one request for a vocabulary at a time
        self._line, self._transport = line, transport
        self._backlog = Backlog(wants, hop_s)
        self._news = asyncio.Event()
        self._leaving = False
        _hold_little(transport)

    @property
    def wants(self) -> Watch:
        return self._backlog.wants

    def watch(self, wants: Watch) -> None:
        """It wants to see this from now on."""
        self._backlog.wants = wants

    def put(self, frame: str | bytes) -> None:
        self._backlog.put(frame)
        if self._backlog.is_too_slow and self._transport is not None:
            self._transport.abort()  # it would not read a goodbye either
        self._news.set()

    def put_sound(self, frame: bytes) -> None:
        self._backlog.put_sound(frame)
        self._news.set()

    def put_pictures(self, source: str, pictures: Sequence[tuple[int, bytes]], now_ns: int) -> None:
        self._backlog.put_pictures(source, pictures, now_ns)
        self._news.set()

    def answer(self, id: int | None, error: str | None) -> None:
        """What came of a request."""
        self.put(wire.text(type="answer", id=id, error=error))

    async def send(self) -> None:
        """Send what waits, for as long as the viewer is there, or until all is sent after `leave`."""
        try:
            while True:
                frame = self._backlog.take()
                if isinstance(frame, str):
                    await self._line.send_str(frame)
                elif frame is not None:
                    await self._line.send_bytes(frame)
                elif self._leaving:
                    return
                else:
                    self._news.clear()
                    await self._news.wait()
        except ConnectionError:
            return

    def leave(self) -> None:
        """Nothing more comes: `send` ends when all is sent."""
        self._leaving = True
        self._news.set()

    async def close(self) -> None:
        """Hang up."""
        await self._line.close(code=WSCloseCode.GOING_AWAY)


def _hold_little(transport: asyncio.Transport | None) -> None:
    connection = transport.get_extra_info("socket") if transport is not None else None
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
