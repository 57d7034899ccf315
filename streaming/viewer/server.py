"""Serves the page, what it asks for over HTTP, and the WebSocket over which it hears of the run."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from aiohttp import WSMsgType, web

from streaming.errors import UserError
from streaming.messages import Message
from streaming.viewer import wire
from streaming.viewer.asking import Ask
from streaming.viewer.client import Client
from streaming.viewer.clip import film, stand_back
from streaming.viewer.files import ASKING, PAGE, read_page
from streaming.viewer.guard import HEADERS, Guard, is_of_another_page
from streaming.viewer.hub import KEPT_S, Hub
from streaming.viewer.mel import Mel
from streaming.viewer.place import Place

MAX_VIEWERS = 200
MAX_FILMS = 2  # that are made or wait to be
PING_S = 20.0
STATUS_S = 1.0
STATUS_DEADLINE_S = 2.0
SEEN_S = 5.0
FAREWELL_S = 0.5  # what viewers are given to hear that it is over
START_S = 30.0
TAKE_S = 1.0
SET_S, SET_WORD_S = 30.0, 0.2  # what a new vocabulary may take, and each of its words
COOKIE_S = 30 * 86_400
WELCOME = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">'
    '<title>OV-AVSS Live</title><a href="/">Watch</a>'
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """The page, served by a thread of its own from `start` to `end`.

    `start`, `take` and `end` are for one other thread; everything else belongs to the event loop.

    Args:
        ask: asks the supervisor; `ask_status` does as well, and may be asked while `ask` waits.
    """

    def __init__(self, place: Place, guard: Guard, hub: Hub, ask: Ask, ask_status: Ask) -> None:
        self.port = place.port
        self.hub = hub
        self._place, self._guard = place, guard
        self._ask, self._ask_status = ask, ask_status
        self._page = read_page(PAGE)
        self._clients: dict[Client, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._films = ThreadPoolExecutor(1, thread_name_prefix="film", initializer=stand_back)
        self._filming: list[str | None] = []  # for whom
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Future[str | None] | None = None
        self._thread: threading.Thread | None = None

    # From another thread ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Be there on return. Raises `UserError` for an address that cannot be used."""
        bound: Future[int] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(bound)), name="viewer", daemon=True
        )
        self._thread.start()
        self.port = bound.result(START_S)

    @property
    def address(self) -> str:
        """What a person opens; of a token, only that there is one."""
        return self._place.address(self.port) + ("?token=…" if self._guard.token else "")

    @property
    def viewers(self) -> int:
        return len(self._clients)

    @property
    def alive(self) -> bool:
        """Whether the page is being served."""
        return self._thread is not None and self._thread.is_alive()

    def take(self, message: Message, mel: Mel | None = None) -> None:
        """A message that was broadcast. Waits until it is taken in: what comes too fast is the broadcast's
        to drop. Raises what went wrong with it."""
        taken: Future[None] = Future()

        def take() -> None:
            try:
                taken.set_result(self.hub.take(message, mel))
            except Exception as error:
                taken.set_exception(error)

        assert self._loop is not None, "start it first"
        self._loop.call_soon_threadsafe(take)
        with suppress(TimeoutError):
            taken.result(TAKE_S)

    def play_again(self, reason: str, seconds: float) -> None:
        """Tell all viewers that the run is over, and that its last seconds are what comes from now on."""
        assert self._loop is not None, "start it first"
        self._loop.call_soon_threadsafe(self.hub.play_again, reason, seconds)

    def end(self, reason: str | None) -> None:
        """Tell all viewers that it is over, and why, and serve no longer. Without a reason they are told
        nothing: they look for whoever serves next."""
        if self._loop is not None and self._thread is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._end_with, reason)
            self._thread.join()
        self._films.shutdown(wait=False, cancel_futures=True)

    # The event loop --------------------------------------------------------------------------------------

    async def _serve(self, bound: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ending = self._loop.create_future()
        runner = web.AppRunner(
            self._app(), access_log=None, shutdown_timeout=FAREWELL_S, handler_cancellation=True
        )
        try:
            await runner.setup()
            place = self._place
            site = web.TCPSite(runner, place.host, place.port, ssl_context=place.tls, backlog=MAX_VIEWERS)
            await site.start()
        except Exception as error:
            told = self._place.cannot_be_used(error) if isinstance(error, OSError) else error
            bound.set_exception(told)
            await runner.cleanup()
            return
        bound.set_result(runner.addresses[0][1])
        tasks = [asyncio.create_task(self._tell_status()), asyncio.create_task(self._tell_seen())]
        try:
            await asyncio.wait((self._ending, *tasks), return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():  # which it should never be
                    await task
            reason = self._ending.result()
            if reason is not None:
                self.hub.tell(wire.text(type="ended", reason=reason))
            for client in self._clients:
                client.leave()
            if self._clients:
                await asyncio.wait(self._clients.values(), timeout=FAREWELL_S)
            await asyncio.gather(*(client.close() for client in self._clients), return_exceptions=True)
        finally:
            for task in tasks:
                task.cancel()
            await runner.cleanup()

    def _end_with(self, reason: str | None) -> None:
        if self._ending is not None and not self._ending.done():
            self._ending.set_result(reason)

    async def _tell_status(self) -> None:
        """Once a second, so that a page that hears nothing knows that its connection is dead."""
        while True:
            with suppress(UserError):  # the supervisor is busy: what is known is told again
                told = await self._ask_status("status", deadline_s=STATUS_DEADLINE_S)
                self.hub.stand(told)
                revision = told.get("classification", {}).get("vocabulary_revision", self.hub.revision)
                if revision != self.hub.revision:  # somebody else has set another
                    answer = await self._ask_status("vocabulary.get", deadline_s=STATUS_DEADLINE_S)
                    self.hub.use_vocabulary(answer["revision"], answer["words"])
            self.hub.tell_status()
            await asyncio.sleep(STATUS_S)

    async def _tell_seen(self) -> None:
        while True:
            await asyncio.sleep(SEEN_S)
            self.hub.tell_seen()

    # HTTP ------------------------------------------------------------------------------------------------

    def _app(self) -> web.Application:
        @web.middleware
        async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._let_in(request, handler)

        app = web.Application(middlewares=[door], client_max_size=1024)
        app.on_response_prepare.append(_add_headers)
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/page/{name:.+}", self._file),
                web.get("/favicon.ico", self._no_icon),
                web.get("/status", self._status),
                web.get("/frame", self._frame),
                web.get("/clip", self._clip, allow_head=False),
                web.get("/ws", self._socket, allow_head=False),
            ]
        )
        return app

    async def _let_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who may come in."""
        if not self._guard.knows(request.headers.get("Host")):
            raise web.HTTPMisdirectedRequest(
                text="This page is not served under that name; viewer.names lists more names."
            )
        if request.path != "/" and is_of_another_page(request.headers.get("Sec-Fetch-Site")):
            raise web.HTTPForbidden(text="This is for the page alone.")
        given = request.query.get("token")
        if not self._guard.admits(given, request.cookies.get(self._cookie)):
            if request.path == "/" and ASKING in self._page:
                return self._of_page(ASKING, status=401)
            if not request.path.startswith("/page/"):  # which everybody has who has the program
                raise web.HTTPUnauthorized(text="A token is needed: open /?token=TOKEN once.")
        if given is not None and self._guard.token and request.path == "/":
            return self._welcome()
        return await handler(request)

    @property
    def _cookie(self) -> str:
        """One for each port: ports of a machine share their cookies."""
        return f"ov-avss-{self.port}"

    def _welcome(self) -> web.Response:
        """Keeps the token in a cookie, and takes it out of the address. The page goes there by itself: as a
        redirect from another site's link, it would leave the cookie behind."""
        response = web.Response(text=WELCOME, content_type="text/html")
        response.set_cookie(
            self._cookie, self._guard.token, max_age=COOKIE_S, httponly=True, samesite="Strict",
            secure=self._guard.tls,
        )  # fmt: skip
        return response

    async def _index(self, request: web.Request) -> web.Response:
        return self._of_page("index.html")

    async def _file(self, request: web.Request) -> web.Response:
        return self._of_page(request.match_info["name"])

    async def _no_icon(self, request: web.Request) -> web.Response:
        return web.Response(status=204)

    def _of_page(self, name: str, status: int = 200) -> web.Response:
        if name not in self._page:
            raise web.HTTPNotFound(text="There is no such file.")
        body, kind = self._page[name]
        charset = "utf-8" if kind.startswith("text/") else None
        return web.Response(body=body, status=status, content_type=kind, charset=charset)

    async def _status(self, request: web.Request) -> web.Response:
        return web.json_response(self.hub.status())

    async def _frame(self, request: web.Request) -> web.Response:
        kept = self.hub.kept[self._source(request)]
        generation = _number(request, "generation", 0, 2**32)
        t_s = _number(request, "t_s", -1e9, 1e9)
        jpeg = kept.still(int(generation), round(t_s * 1e9))
        if jpeg is None:
            raise web.HTTPNotFound(text="That picture is not kept any more.")
        return web.Response(body=jpeg, content_type="image/jpeg")

    async def _clip(self, request: web.Request) -> web.Response:
        source = self._source(request)
        previews, results = self.hub.kept[source].last(_number(request, "seconds", 1, KEPT_S, KEPT_S))
        who = request.remote
        if who in self._filming or len(self._filming) >= MAX_FILMS:
            raise web.HTTPTooManyRequests(text="A clip is being made; ask again when it is there.")
        self._filming.append(who)
        made = asyncio.get_running_loop().run_in_executor(
            self._films, lambda: film(previews, results, notice=self.hub.about.notice)
        )
        made.add_done_callback(lambda _: self._filming.remove(who))
        try:
            body = await asyncio.shield(made)  # whoever goes away meanwhile leaves no second one behind
        except UserError as error:
            raise web.HTTPInsufficientStorage(text=str(error)) from None
        if body is None:
            raise web.HTTPNotFound(text="There is no picture yet.")
        name = f"{source}-{previews[0].t_ns / 1e9:.0f}s.mp4"
        return web.Response(
            body=body,
            content_type="video/mp4",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def _source(self, request: web.Request) -> str:
        name = request.query.get("source", "")
        if name not in self.hub.kept:
            raise web.HTTPNotFound(text=f"source: expected one of {', '.join(self.hub.kept)}")
        return name

    # WebSocket -------------------------------------------------------------------------------------------

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        headers = request.headers
        if not self._guard.is_own_page(headers.get("Origin"), headers.get("Host")):
            raise web.HTTPForbidden(text="This is for the page alone.")
        if len(self._clients) >= MAX_VIEWERS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_VIEWERS} are watching already.")
        line = web.WebSocketResponse(
            timeout=FAREWELL_S, heartbeat=PING_S, max_msg_size=wire.MAX_CLIENT_BYTES, compress=False
        )
        await line.prepare(request)
        client = Client(line, request.transport, self.hub.first_wants(), self.hub.about.hop_s)
        sending = self._clients[client] = asyncio.create_task(client.send())
        self.hub.join(client)
        sending.add_done_callback(lambda _: self.hub.leave(client))
        try:
            async for frame in line:
                if frame.type is WSMsgType.TEXT:
                    self._hear(client, frame.data)
                elif frame.type is WSMsgType.BINARY:
                    client.answer(None, "found a binary frame, expected text")
        finally:
            sending.cancel()
            self.hub.leave(client)
            del self._clients[client]
        return line

    def _hear(self, client: Client, frame: str) -> None:
        """What a viewer asks for; a frame that is no request is answered with what is wrong with it."""
        try:
            match wire.request(frame, self.hub.about.sources):
                case wire.Watch() as wants:
                    client.watch(wants)
                case wire.NewWords() as asked if client.is_asking:
                    client.answer(asked.id, "the words before these are still being set; ask again then")
                case wire.NewWords() as asked:
                    client.is_asking = True
                    task = asyncio.create_task(self._set_vocabulary(client, asked))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        except wire.BadRequest as error:
            client.answer(error.id, str(error))

    async def _set_vocabulary(self, client: Client, asked: wire.NewWords) -> None:
        words = list(asked.words)
        try:
            answer = await self._ask(
                "vocabulary.set", {"words": words}, deadline_s=SET_S + SET_WORD_S * len(words)
            )
        except Exception as error:  # whatever it is, whoever asked is told
            client.answer(asked.id, str(error) or type(error).__name__)
        else:
            client.answer(asked.id, None)
            self.hub.use_vocabulary(answer["revision"], answer["words"])
        finally:
            client.is_asking = False


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers["Server"] = "OV-AVSS Live"


def _number(
    request: web.Request, name: str, least: float, most: float, default: float | None = None
) -> float:
    """A number of the query. Raises the answer to one that is none, or out of bounds."""
    text = request.query.get(name)
    try:
        value = default if text is None and default is not None else float(text or "")
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise web.HTTPBadRequest(text=f"{name}: expected a number from {least:g} to {most:g}")
    return value
