"""A server of files on loopback that does as badly as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ETAG = '"one"'


@dataclass(frozen=True)
class Request:
    path: str
    range: str | None
    if_range: str | None


class Server:
    """Serves one content under every path.

    manners: how the next requests are answered, one after the other; when none is left, well.
    """

    def __init__(self, content: bytes) -> None:
        self.content, self.etag = content, ETAG
        self.manners: list[Manner] = []
        self.requests: list[Request] = []
        self.stalled, self.released = threading.Event(), threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = Request(self.path, self.headers["Range"], self.headers["If-Range"])
                server.requests.append(asked)
                manner = server.manners.pop(0) if server.manners else well
                self.close_connection = True
                manner(server, self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self.released.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def ranges(self) -> list[str | None]:
        """What parts were asked for."""
        return [request.range for request in self.requests]


Manner = Callable[[Server, BaseHTTPRequestHandler], None]


def well(server: Server, to: BaseHTTPRequestHandler) -> None:
    to.wfile.write(_head(server, to))


def cut(count: int) -> Manner:
    """The connection ends after so many bytes."""

    def manner(server: Server, to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(_head(server, to)[:count])

    return manner


def stall(count: int) -> Manner:
    """Nothing more comes after so many bytes, until the server is released."""

    def manner(server: Server, to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(_head(server, to)[:count])
        server.stalled.set()
        server.released.wait(60)

    return manner


def without_ranges(server: Server, to: BaseHTTPRequestHandler) -> None:
    """The whole, whatever part is asked for."""
    del to.headers["Range"]
    well(server, to)


def says_nothing_of_itself(server: Server, to: BaseHTTPRequestHandler) -> None:
    """No length, no version: the end of the connection is the end of the file."""
    to.send_response(200)
    to.end_headers()
    to.wfile.write(server.content)


def answers(status: int, **headers: str) -> Manner:
    def manner(server: Server, to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        for name, value in headers.items():
            to.send_header(name.replace("_", "-"), value)
        to.end_headers()

    return manner


def _head(server: Server, to: BaseHTTPRequestHandler) -> bytes:
    """Send the head of an answer; what belongs into its body."""
    content = server.content
    wanted, version = to.headers["Range"], to.headers["If-Range"]
    if wanted and version in (None, server.etag):
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            to.send_response(416)
            to.send_header("Content-Range", f"bytes */{len(content)}")
            to.end_headers()
            return b""
        to.send_response(206)
        to.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        content = content[start:]
    else:
        to.send_response(200)
    to.send_header("Content-Length", str(len(content)))
    to.send_header("ETag", server.etag)
    to.end_headers()
    return content
