"""Stands in for the server of the live page: serves the page, speaks its protocol with generated material.

A bright disc moves over a background at known positions, and a square stands still; both sound in turns. Or a
film is shown with the results of a run over it. Faults happen on demand: attributes of `StandIn` say what is
wrong from now on. By hand:

    python -m tests.viewer.stand_in --port 8700 --sources 2
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import random
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from aiohttp import WSCloseCode, WSMsgType, web
from numpy.typing import NDArray

from model.avsbench_ov import BASE, NOVEL
from model.rle import encode_mask

PAGE = Path(__file__).resolve().parents[2] / "streaming" / "viewer" / "page"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
FPS = 25
HOP_S = 0.5
WINDOW_S = 1.0
RATE_HZ = 16_000
HISTORY_S = 120
KEPT_S = 30
BANDS = 64
COLUMN_S = 0.02
HOSTILE = "<img src=x onerror=alert(1)>"
WORDS = ["drum", "dog", "violin", "church bell", "ball"]
PRESETS = [
    {"name": "avsbench-ov", "words": [*BASE, *NOVEL]},
    {"name": "audioset", "words": [f"noun {number}" for number in range(201)]},
]


@dataclass(frozen=True)
class Thing:
    """Something that is heard or seen at a moment; `mask` is (H, W) bool."""

    id: int
    mask: NDArray[np.bool_]
    sounding: float
    label: str | None = None
    p: float = 0.94


class Scene(Protocol):
    """What a source shows and plays; everything follows from stream time."""

    size: tuple[int, int]

    def jpeg(self, frame: int) -> bytes: ...
    def things(self, t_s: float) -> list[Thing]: ...
    def offscreen(self, t_s: float) -> bool: ...
    def sound(self, t_s: float, samples: int) -> NDArray[np.int16]: ...


def smooth(t_s: float) -> tuple[float, float]:
    """A smooth path with changes of direction; shares of width and height, again after 20 s."""
    return (
        0.5 + 0.30 * math.sin(2 * math.pi * t_s / 5),
        0.5 + 0.20 * math.sin(2 * math.pi * t_s / 4 + 0.6),
    )


def bounce(t_s: float) -> tuple[float, float]:
    """A path that turns at walls from one moment to the next; again after 20 s."""

    def wave(cycles: float) -> float:
        return abs((t_s * cycles / 20) % 1 * 2 - 1)

    return 0.2 + 0.6 * wave(4), 0.3 + 0.4 * wave(3)


@dataclass
class Discs:
    """A disc that moves and a square that stands, on a patterned ground."""

    path: Callable[[float], tuple[float, float]] = smooth
    size: tuple[int, int] = (360, 640)
    seed: int = 1
    _pictures: dict[int, bytes] = field(default_factory=dict)
    _ground: NDArray[np.uint8] | None = None

    def centre(self, t_s: float) -> tuple[float, float]:
        """Of the disc, in pixels."""
        height, width = self.size
        x, y = self.path(t_s)
        return x * width, y * height

    @property
    def radius(self) -> float:
        return 0.11 * self.size[0] * 1.4

    def disc_sounds(self, t_s: float) -> bool:
        return t_s % 10 < 7

    def square_sounds(self, t_s: float) -> bool:
        return 4 <= t_s % 10 < 8.5

    def offscreen(self, t_s: float) -> bool:
        return t_s % 10 >= 9

    def _square(self) -> tuple[int, int, int, int]:
        height, width = self.size
        return int(0.06 * width), int(0.62 * height), int(0.14 * width), int(0.22 * height)

    def ground(self) -> NDArray[np.uint8]:
        if self._ground is None:
            height, width = self.size
            rng = np.random.default_rng(self.seed)
            coarse = cv2.resize(rng.normal(0, 1, (9, 16)), (width, height), interpolation=cv2.INTER_CUBIC)
            fine = cv2.resize(rng.normal(0, 1, (45, 80)), (width, height), interpolation=cv2.INTER_CUBIC)
            down = np.linspace(0, 1, height)[:, None]
            light = 74 + 14 * coarse + 7 * fine + 20 * down
            tint = np.array([0.82, 0.92, 1.0] if self.seed % 2 else [1.0, 0.86, 0.8])
            picture = np.clip(light[..., None] * tint, 0, 255).astype(np.uint8)
            x, y, w, h = self._square()
            cv2.rectangle(picture, (x, y), (x + w, y + h), (168, 120, 84), -1)
            cv2.rectangle(picture, (x + 6, y + 6), (x + w - 6, y + h - 6), (206, 160, 120), 3)
            cv2.line(picture, (x, y + h // 2), (x + w, y + h // 2), (120, 80, 56), 3)
            self._ground = picture
        return self._ground

    def picture(self, t_s: float) -> NDArray[np.uint8]:
        """RGB."""
        picture = self.ground().copy()
        x, y = self.centre(t_s)
        shift = 4
        at = (round(x * 2**shift), round(y * 2**shift))
        for share, colour in ((1.0, (244, 236, 214)), (0.72, (236, 204, 130)), (0.4, (250, 244, 230))):
            cv2.circle(picture, at, round(self.radius * share * 2**shift), colour, -1, cv2.LINE_AA, shift)
        return picture

    def jpeg(self, frame: int) -> bytes:
        frame %= 20 * FPS
        if frame not in self._pictures:
            picture = cv2.cvtColor(self.picture(frame / FPS), cv2.COLOR_RGB2BGR)
            self._pictures[frame] = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 86])[1].tobytes()
        return self._pictures[frame]

    def things(self, t_s: float) -> list[Thing]:
        height, width = self.size
        found = []
        if self.disc_sounds(t_s):
            x, y = self.centre(t_s)
            rows, columns = np.mgrid[:height, :width]
            mask = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 < self.radius**2
            found.append(Thing(1, mask, 0.92))
        if self.square_sounds(t_s):
            x, y, w, h = self._square()
            mask = np.zeros((height, width), np.bool_)
            mask[y : y + h, x : x + w] = True
            found.append(Thing(4, mask, 0.55 + 0.3 * math.sin(t_s), p=0.81))
        return found

    def sound(self, t_s: float, samples: int) -> NDArray[np.int16]:
        t = t_s + np.arange(samples) / RATE_HZ
        noise = np.random.default_rng(int(t_s * 1000) % 2**31).normal(0, 0.003, samples)
        middle = t_s + samples / RATE_HZ / 2
        if self.disc_sounds(middle):
            phase = 2 * np.pi * 440 * t - 60 * np.cos(2 * np.pi * t / 2.5)  # a tone that sways a little
            noise += sum(0.16 * np.sin(n * phase) / n for n in (1, 2, 3, 5))
        if self.square_sounds(middle):
            beat = np.exp(-9 * (t % 0.5))
            noise += beat * (0.3 * np.sin(2 * np.pi * 150 * t) + 0.06 * np.sin(2 * np.pi * 2300 * t))
        if self.offscreen(middle):
            noise += 0.1 * np.sin(2 * np.pi * 1400 * t) * (np.sin(2 * np.pi * 20 * t) > 0)
        return (np.clip(noise, -1, 1) * 32767).astype(np.int16)


class Film:
    """A film with the results of a run over it, again and again, from a moment of it on."""

    def __init__(self, film: Path, results: Path, from_s: float = 0) -> None:
        import av

        from model.rle import decode_mask
        from streaming.results import read_results

        with av.open(str(film)) as container:
            frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
            rate = float(container.streams.video[0].average_rate or FPS)
        self.length_s, self.from_s = len(frames) / rate, from_s
        self.size = frames[0].shape[:2]
        wanted = [
            frames[min(len(frames) - 1, round(n / FPS * rate))] for n in range(int(self.length_s * FPS))
        ]
        self._jpegs = [
            cv2.imencode(".jpg", one, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes() for one in wanted
        ]
        resampler = av.AudioResampler("s16", "mono", RATE_HZ)
        with av.open(str(film)) as container:
            parts = [
                part.to_ndarray()[0] for one in container.decode(audio=0) for part in resampler.resample(one)
            ]
        self._sound = np.concatenate(parts).astype(np.int16)
        lines = list(read_results(results))
        self._hop_s = lines[1]["t_s"] - lines[0]["t_s"]
        self._results = {}
        for line in lines:
            things = [
                Thing(
                    one["id"], decode_mask(one["mask"]), one["sounding"], one["label"], one["labels"][0]["p"]
                )
                for one in line["tracks"]
            ]
            self._results[round((line["t_s"] + WINDOW_S) / self._hop_s)] = (things, line["offscreen"])

    def _at(self, t_s: float) -> tuple[list[Thing], bool]:
        """What the result says that covers a moment."""
        return self._results.get(
            math.ceil(((t_s + self.from_s) % self.length_s) / self._hop_s - 1e-6), ([], False)
        )

    def jpeg(self, frame: int) -> bytes:
        return self._jpegs[(frame + round(self.from_s * FPS)) % len(self._jpegs)]

    def things(self, t_s: float) -> list[Thing]:
        return self._at(t_s)[0]

    def offscreen(self, t_s: float) -> bool:
        return self._at(t_s)[1]

    def sound(self, t_s: float, samples: int) -> NDArray[np.int16]:
        first = round(((t_s + self.from_s) % self.length_s) * RATE_HZ)
        return np.take(self._sound, range(first, first + samples), mode="wrap")


def mel_levels(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Columns of 64 log-mel levels, shape (columns, 64): 0 is -90 dBFS, 255 full scale."""
    step, length = round(COLUMN_S * RATE_HZ), 1024
    padded = np.concatenate([np.zeros(length // 2), samples / 32768, np.zeros(length)])
    starts = range(0, len(samples), step)
    windows = np.stack([padded[start : start + length] for start in starts]) * np.hanning(length)
    power = np.abs(np.fft.rfft(windows) / (length / 4)) ** 2
    edges = 700 * (10 ** (np.linspace(0, 2595 * math.log10(1 + 7800 / 700), BANDS + 1) / 2595) - 1)
    bins = np.clip((edges / (RATE_HZ / length)).astype(int), 0, length // 2)
    bands = np.stack([power[:, a : max(a + 1, b)].max(axis=1) for a, b in itertools.pairwise(bins)], 1)
    return (255 * (1 + 10 * np.log10(np.maximum(bands, 1e-9)) / 90)).clip(0, 255).astype(np.uint8)


@dataclass(eq=False)
class Client:
    """A page that is connected."""

    socket: web.WebSocketResponse
    sources: set[str]
    max_fps: float = 12
    sound: str | None = None
    due_s: dict[str, float] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class StandIn:
    """The server. Attributes may be set from any thread, and say what goes on from then on.

    Args:
        began_s: how much of the stream is over when the stand-in starts, so that there is a history.
        latency_s: from the end of a hop to its result, shortest and longest.

    Attributes:
        down: the node that is down, with what it died of.
        lost: sources that are lost.
        hostile: labels are HTML.
        silent_results: no results come, as when the model is away.
        refuse_words: what the answer to other words is, if it is an error.
        asked: what pages have sent.
    """

    def __init__(
        self,
        scenes: dict[str, Scene] | None = None,
        *,
        began_s: float = 40,
        latency_s: tuple[float, float] = (0.1, 0.3),
        token: str = "",
        port: int = 0,
        past_sound: bool = True,
    ) -> None:
        self.scenes: dict[str, Scene] = scenes or {"front": Discs()}
        self.latency_s, self.token, self.port, self.past_sound = latency_s, token, port, past_sound
        self.down: dict[str, str] = {}
        self.restarts: dict[str, int] = {}
        self.lost: set[str] = set()
        self.hostile = self.silent_results = self.refuse_connections = False
        self.refuse_words = self.notice = ""
        self.asked: list[dict[str, Any]] = []
        self.words, self.revision = list(WORDS), 1
        self.seen: dict[str, int] = {}
        self.clients: set[Client] = set()
        self.generation = dict.fromkeys(self.scenes, 0)
        self._began_s = began_s
        self._zero = 0.0
        self._history: dict[str, deque[dict]] = {
            name: deque(maxlen=int(HISTORY_S / HOP_S)) for name in self.scenes
        }
        self._mels: dict[str, deque[bytes]] = {
            name: deque(maxlen=int(HISTORY_S / HOP_S)) for name in self.scenes
        }
        self._random = random.Random(5)
        self._lost_before: set[str] = set()
        self._again: dict[str, bool] = {}
        self._tasks: set[asyncio.Task] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    # What goes on ------------------------------------------------------------------------------------------

    def stream_s(self) -> float:
        """Stream time now."""
        return time.monotonic() - self._zero

    def begin_again(self) -> None:
        """Another run begins, whose stream time begins anew and of which there is no history yet."""
        self._zero = time.monotonic() - WINDOW_S
        self._again = dict.fromkeys(self.scenes, True)
        for name in self.scenes:
            self._history[name].clear()
            self._mels[name].clear()

    async def _run_source(self, name: str) -> None:
        number = list(self.scenes).index(name)
        scene = self.scenes[name]
        seq = max(0, round((self._began_s - WINDOW_S) / HOP_S))
        for past in range(max(0, seq - int(HISTORY_S / HOP_S)), seq):
            end_s = past * HOP_S + WINDOW_S
            self._remember(name, self._result(name, past, end_s))
            if self.past_sound:
                self._mels[name].append(self._mel(number, name, end_s - HOP_S))
        while True:
            if self._again.pop(name, False):
                seq = math.ceil((self.stream_s() - WINDOW_S) / HOP_S)
            end_s = seq * HOP_S + WINDOW_S
            await asyncio.sleep(max(0, end_s - self.stream_s() + self._random.uniform(0, 0.02)))
            if name in self.lost:
                self.generation[name] += int(not self._was_lost(name))
                seq = max(seq, math.ceil((self.stream_s() - WINDOW_S) / HOP_S))
                await asyncio.sleep(0.1)
                continue
            self._lost_before.discard(name)
            await self._send_hop(number, name, scene, seq, end_s)
            if not self.silent_results:
                self._later(self._send_result(name, seq, end_s))
            seq += 1

    def _was_lost(self, name: str) -> bool:
        before = name in self._lost_before
        self._lost_before.add(name)
        return before

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_hop(self, number: int, name: str, scene: Scene, seq: int, end_s: float) -> None:
        generation = self.generation[name]
        start_s = end_s - HOP_S
        first, last = math.ceil(start_s * FPS - 1e-6), math.ceil(end_s * FPS - 1e-6)
        mel = self._mel(number, name, start_s)
        self._mels[name].append(mel)
        samples = scene.sound(start_s, round(HOP_S * RATE_HZ))
        sound = struct.pack("<BBBBIId", 2, number, 1, 0, generation, RATE_HZ, start_s) + samples.tobytes()
        for client in list(self.clients):
            await self._send(client, mel)
            if client.sound == name:
                await self._send(client, sound)
            if name not in client.sources:
                continue
            for frame in range(first, last):
                t_s = frame / FPS
                if t_s + 1e-6 < client.due_s.get(name, -1.0) <= t_s + 5:
                    continue
                client.due_s[name] = t_s + 1 / client.max_fps - 0.5 / FPS
                header = struct.pack("<BBHIId", 1, number, 0, generation, seq, t_s)
                await self._send(client, header + scene.jpeg(frame))

    def _mel(self, number: int, name: str, start_s: float) -> bytes:
        levels = mel_levels(self.scenes[name].sound(start_s, round(HOP_S * RATE_HZ)))
        header = struct.pack(
            "<BBBBIfd", 3, number, BANDS, len(levels), self.generation[name], COLUMN_S, start_s
        )
        return header + levels.tobytes()

    def _result(self, name: str, seq: int, end_s: float) -> dict[str, Any]:
        scene = self.scenes[name]
        frame_t_s = (math.ceil(end_s * FPS - 1e-6) - 1) / FPS
        tracks = []
        for thing in scene.things(frame_t_s):
            label = thing.label or (self.words[-1] if thing.id == 1 else self.words[0])
            if self.hostile:
                label = HOSTILE
            self.seen[label] = self.seen.get(label, 0) + 1
            rows, columns = np.flatnonzero(thing.mask.any(1)), np.flatnonzero(thing.mask.any(0))
            box = [0, 0, 0, 0]
            if len(rows):
                box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
            tracks.append(
                {
                    "id": thing.id,
                    "label": label,
                    "p": thing.p,
                    "labels": [{"name": label, "p": thing.p}],
                    "sounding": round(thing.sounding, 4),
                    "box": [int(side) for side in box],
                    "mask": encode_mask(thing.mask)["counts"],
                }
            )
        samples = scene.sound(end_s - HOP_S, round(HOP_S * RATE_HZ)) / 32768
        return {
            "type": "result",
            "source": name,
            "generation": self.generation[name],
            "seq": seq,
            "t_s": round(end_s - WINDOW_S, 6),
            "dur_s": WINDOW_S,
            "frame_t_s": round(frame_t_s, 6),
            "size": list(scene.size),
            "tracks": tracks,
            "offscreen": scene.offscreen(frame_t_s),
            "offscreen_text": "telephone" if scene.offscreen(frame_t_s) else None,
            "has_audio": True,
            "audio_dbfs": round(10 * math.log10(max(1e-12, float(np.mean(samples**2)))), 2),
            "gap": False,
            "latency_ms": 120.0,
            "vocabulary_revision": self.revision,
        }

    def _remember(self, name: str, result: dict[str, Any]) -> None:
        keys = ("generation", "seq", "t_s", "dur_s", "offscreen", "offscreen_text", "audio_dbfs", "gap")
        tracks = [{key: track[key] for key in ("id", "label", "sounding")} for track in result["tracks"]]
        self._history[name].append({**{key: result[key] for key in keys}, "tracks": tracks})

    async def _send_result(self, name: str, seq: int, end_s: float) -> None:
        result = self._result(name, seq, end_s)
        await asyncio.sleep(self._random.uniform(*self.latency_s))
        self._remember(name, result)
        result.pop("dur_s")
        await self._tell(result)

    def status(self) -> dict[str, Any]:
        """As `GET /status` and the page's once a second have it."""
        nodes = {}
        for name in ("capture", "feature", "model", "classification", "recorder", "viewer"):
            died = self.down.get(name)
            nodes[name] = {
                "state": "ready" if died is None else "down",
                "restarts": self.restarts.get(name, 0),
                "died": died or "",
                "memory_mib": 120.5 if name != "model" else 701.2,
                "queue": 0,
            }
        sources = {
            name: {
                "state": "lost" if name in self.lost else "live",
                "reason": "the camera does not answer" if name in self.lost else "",
                "fps": 0.0 if name in self.lost else 25.0,
                "audio_dbfs": -30.1,
                "has_audio": True,
                "latency_p50_ms": 182,
                "latency_p95_ms": 291,
                "generation": self.generation[name],
                "lost": "7 dropped (the model was busy)" if name == "back" else "",
                "results": 123,
            }
            for name in self.scenes
        }
        return {"type": "status", "sources": sources, "nodes": nodes, "viewers": len(self.clients)}

    async def _tell_status(self) -> None:
        for second in range(10**9):
            await self._tell(self.status())
            if second % 5 == 4:
                await self._tell(self._vocabulary() | {"seen": self.seen})
            await asyncio.sleep(1)

    def _vocabulary(self) -> dict[str, Any]:
        return {"type": "vocabulary", "revision": self.revision, "words": self.words}

    # Pages -------------------------------------------------------------------------------------------------

    async def _send(self, client: Client, *messages: bytes | dict[str, Any]) -> None:
        """One after the other, and nothing else in between."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            async with client.turn:
                for message in messages:
                    if isinstance(message, bytes):
                        await client.socket.send_bytes(message)
                    else:
                        await client.socket.send_str(json.dumps(message))

    async def _tell(self, message: dict[str, Any]) -> None:
        for client in list(self.clients):
            await self._send(client, message)

    async def _converse(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_connections:
            return web.Response(status=503)
        if not self._allowed(request):
            return web.Response(status=401)
        socket = web.WebSocketResponse(heartbeat=10, max_msg_size=512 << 10)
        await socket.prepare(request)
        client = Client(socket, set(self.scenes))
        self.clients.add(client)
        await self._send(client, self._hello(), *list(self._past()))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._answer(client, json.loads(message.data))
        finally:
            self.clients.discard(client)
        return socket

    def _hello(self) -> dict[str, Any]:
        return {
            "type": "hello",
            "v": 1,
            "sources": [{"id": name, "number": number} for number, name in enumerate(self.scenes)],
            "hop_s": HOP_S,
            "window_s": WINDOW_S,
            "vocabulary": {"revision": self.revision, "words": self.words},
            "presets": PRESETS,
            "model": "tiny",
            "notice": self.notice,
        }

    def _past(self) -> Iterator[bytes | dict[str, Any]]:
        for name, hops in self._history.items():
            yield {"type": "history", "source": name, "hops": list(hops)}
            if self.past_sound:
                yield from list(self._mels[name])

    async def _answer(self, client: Client, asked: dict[str, Any]) -> None:
        self.asked.append(asked)
        if asked["type"] == "watch":
            client.sources, client.max_fps = set(asked["sources"]), asked["max_fps"]
            client.sound = asked["sound"]
        elif asked["type"] == "vocabulary.set":
            await self._send(
                client, {"type": "answer", "id": asked["id"], "error": self.refuse_words or None}
            )
            if not self.refuse_words:
                self.words, self.revision = asked["words"], self.revision + 1
                await self._tell(self._vocabulary())

    def _allowed(self, request: web.Request) -> bool:
        return not self.token or request.cookies.get("token") == self.token

    async def _page(self, request: web.Request) -> web.StreamResponse:
        if self.token and request.query.get("token") == self.token:
            answer = web.Response(status=303, headers={"Location": "/", **HEADERS})
            answer.set_cookie("token", self.token, httponly=True, samesite="Strict")
            return answer
        if not self._allowed(request):
            return self._file("token.html", status=401)
        return self._file("index.html")

    def _file(self, name: str, status: int = 200) -> web.Response:
        path = PAGE / name
        if path.parent != PAGE or path.suffix not in KINDS or not path.is_file():
            return web.Response(status=404)
        body = path.read_bytes()
        return web.Response(
            body=body, status=status, content_type=KINDS[path.suffix], charset="utf-8", headers=HEADERS
        )

    async def _frame(self, request: web.Request) -> web.Response:
        scene, t_s = self.scenes.get(request.query["source"]), float(request.query["t_s"])
        if scene is None or not self.stream_s() - KEPT_S < t_s <= self.stream_s():
            return web.Response(status=404, headers=HEADERS)
        return web.Response(body=scene.jpeg(int(t_s * FPS)), content_type="image/jpeg", headers=HEADERS)

    async def _clip(self, request: web.Request) -> web.Response:
        return web.Response(body=b"a film of " + request.query["source"].encode(), content_type="video/mp4")

    async def _status(self, request: web.Request) -> web.Response:
        if not self._allowed(request):
            return web.Response(status=401, headers=HEADERS)
        return web.json_response(self.status(), headers=HEADERS)

    async def close_sockets(self) -> None:
        """Every page loses its connection."""
        for client in list(self.clients):
            await client.socket.close(code=WSCloseCode.GOING_AWAY)

    async def tell_ended(self, reason: str) -> None:
        """The run is over."""
        await self._tell({"type": "ended", "reason": reason})

    async def play_again(self, reason: str, seconds: float) -> None:
        """The run is over, and what comes is its end again."""
        await self._tell({"type": "again", "reason": reason, "seconds": seconds})

    # Its own life ------------------------------------------------------------------------------------------

    async def serve(self, started: threading.Event | None = None, stop: asyncio.Event | None = None) -> None:
        """Serves until `stop`, or for ever."""
        self._zero = time.monotonic() - self._began_s
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_get("/page/{name}", self._named)
        app.router.add_get("/ws", self._converse)
        app.router.add_get("/frame", self._frame)
        app.router.add_get("/clip", self._clip)
        app.router.add_get("/status", self._status)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        for name in self.scenes:
            self._later(self._run_source(name))
        self._later(self._tell_status())
        if started is not None:
            started.set()
        await (stop or asyncio.Event()).wait()
        for task in list(self._tasks):
            task.cancel()
        await self.close_sockets()
        await runner.cleanup()

    async def _named(self, request: web.Request) -> web.Response:
        return self._file(request.match_info["name"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def call(self, coroutine: Any) -> Any:
        """Has something done in the server's own thread; returns what came of it."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    @contextlib.contextmanager
    def running(self) -> Iterator[StandIn]:
        """Serves from a thread of its own for as long as the block lasts."""
        started, stop = threading.Event(), asyncio.Event()

        async def life() -> None:
            self._loop = asyncio.get_running_loop()
            await self.serve(started, stop)

        thread = threading.Thread(target=lambda: asyncio.run(life()), name="stand-in")
        thread.start()
        try:
            assert started.wait(20), "the stand-in did not start"
            yield self
        finally:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(stop.set)
            thread.join(10)


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for the server of the live page.")
    parser.add_argument("--port", type=int, default=8700)
    parser.add_argument("--sources", type=int, default=1)
    parser.add_argument("--began", type=float, default=130, help="seconds of stream that are over")
    parser.add_argument("--film", type=Path)
    parser.add_argument("--results", type=Path, help="results.jsonl of a run over the film")
    given = parser.parse_args()
    names = ["front", "back", "door", "yard", "hall", "roof"][: given.sources]
    scenes: dict[str, Scene] = {
        name: Discs(bounce if n % 2 else smooth, seed=n + 1) for n, name in enumerate(names)
    }
    if given.film:
        scenes = {"demo": Film(given.film, given.results), **dict(list(scenes.items())[1:])}
    stand_in = StandIn(scenes, began_s=given.began, port=given.port)
    print(f"http://127.0.0.1:{given.port}/", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(stand_in.serve())


if __name__ == "__main__":
    main()
