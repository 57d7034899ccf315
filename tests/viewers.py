"""A page's server for tests, and viewers that come to it as browsers do: over HTTP and a WebSocket."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Coroutine
from typing import Any

import aiohttp

from streaming.clock import Clock
from streaming.errors import UserError
from streaming.messages import Preview
from streaming.viewer.guard import Guard
from streaming.viewer.hub import About, Hub
from streaming.viewer.mel import MelSpectrogram
from streaming.viewer.place import Place
from streaming.viewer.server import Server

ENOUGH_S = 60.0  # for what comes at once on a machine with nothing else to do
TOLD: dict[str, dict[str, Any]] = {
    "capture": {"state": "ready", "connection": "live", "source": "cam", "fps": 25.0, "has_audio": True,
                "audio_dbfs": -30.0, "generation": 0, "dropped": 7, "memory_mib": 81.5, "queue": 1},
    "classification": {"state": "ready", "vocabulary_revision": 1, "restarts": 0},
    "recorder": {"state": "ready", "results": 40, "latency_p50_ms": 80.0, "latency_p95_ms": 110.0},
}  # fmt: skip


class Supervisor:
    """Stands in for the one that is asked."""

    def __init__(self) -> None:
        self.told = TOLD
        self.vocabulary = {"revision": 1, "words": ["dog", "cat"]}
        self.refuses = ""

    async def ask(self, name: str, args: dict[str, Any] | None = None, deadline_s: float = 5.0) -> Any:
        await asyncio.sleep(0)
        if self.refuses:
            raise UserError(self.refuses)
        if name == "vocabulary.set":
            assert args is not None
            self.vocabulary = {"revision": int(self.vocabulary["revision"]) + 1, "words": args["words"]}
        return self.told if name == "status" else self.vocabulary


class Served:
    """A server at a port of its own, of one source or several."""

    def __init__(
        self, *sources: str, hop_s: float = 1.0, place: Place | None = None, guard: Guard | None = None
    ) -> None:
        self.supervisor = Supervisor()
        about = About(sources or ("cam",), hop_s, "tiny", {"few": ["owl"]})
        self.hub = Hub(about, ["dog", "cat"], Clock())
        self.server = Server(
            place or Place("127.0.0.1", 0), guard or Guard("127.0.0.1"), self.hub,
            self.supervisor.ask, self.supervisor.ask,
        )  # fmt: skip
        self.server.start()
        self.base = self.server.address.partition("?")[0]
        self._mel = MelSpectrogram()

    def shows(self, preview: Preview) -> None:
        self.server.take(preview, self._mel.columns(preview))


class Page:
    """What a page hears, by kind: text frames as they were, binary ones taken apart."""

    def __init__(self, line: aiohttp.ClientWebSocketResponse) -> None:
        self.line = line
        self.heard: list[dict[str, Any]] = []

    async def hears(self, type_: str, **fields: Any) -> dict[str, Any]:
        """The next frame of this type, or one that has come already and was not asked for yet."""
        while True:
            for frame in self.heard:
                if frame["type"] == type_ and all(frame.get(key) == value for key, value in fields.items()):
                    self.heard.remove(frame)
                    return frame
            self.heard.append(read(await asyncio.wait_for(self.line.receive(), ENOUGH_S)))

    async def until_it_hangs_up(self) -> list[str]:
        """The types of all text frames that come until the server hangs up."""
        types = []
        async for message in self.line:
            if message.type is aiohttp.WSMsgType.TEXT:
                types.append(read(message)["type"])
        return types

    async def says(self, **fields: Any) -> None:
        await self.line.send_str(json.dumps(fields))


def read(message: aiohttp.WSMessage) -> dict[str, Any]:
    """A frame as the page would read it."""
    if message.type is aiohttp.WSMsgType.TEXT:
        return json.loads(message.data)
    if message.type is not aiohttp.WSMsgType.BINARY:
        raise ConnectionError(f"{message.type!r}: {message.data} {message.extra}")
    data: bytes = message.data
    match data[0]:
        case 1:
            _, source, zero, generation, seq, t_s = struct.unpack("<BBHIId", data[:20])
            assert zero == 0
            return {"type": "picture", "source": source, "generation": generation, "seq": seq, "t_s": t_s,
                    "data": data[20:]}  # fmt: skip
        case 2:
            _, source, channels, zero, generation, rate_hz, t_s = struct.unpack("<BBBBIId", data[:20])
            assert zero == 0
            return {"type": "sound", "source": source, "channels": channels, "generation": generation,
                    "rate_hz": rate_hz, "t_s": t_s, "data": data[20:]}  # fmt: skip
        case 3:
            _, source, bands, columns, generation, column_s, t_s = struct.unpack("<BBBBIfd", data[:20])
            return {"type": "mel", "source": source, "bands": bands, "columns": columns,
                    "generation": generation, "column_s": column_s, "t_s": t_s,
                    "data": data[20:]}  # fmt: skip
    raise AssertionError(f"a frame of kind {data[0]}")


def origin(base: str) -> dict[str, str]:
    """What a browser says of a page that was served at `base`."""
    return {"Origin": base.rstrip("/")}


async def joins(session: aiohttp.ClientSession, base: str, **options: Any) -> Page:
    """A page that has opened its socket."""
    options = {"headers": origin(base), "max_msg_size": 0, "compress": 0, **options}
    return Page(await session.ws_connect(f"{base}ws", **options))


def played(story: Coroutine[Any, Any, Any]) -> Any:
    """What happens in a browser, to its end."""
    return asyncio.run(asyncio.wait_for(story, 2 * ENOUGH_S))
