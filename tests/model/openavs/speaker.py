"""A chat completions server on loopback that says what a test wants, and how it wants it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def completion(text: Any) -> bytes:
    """A whole answer with these words in it."""
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


def named(**nouns: list[int]) -> str:
    """The words of a model that does as it is asked."""
    return json.dumps({"nouns": [{"noun": noun, "sounds": sounds} for noun, sounds in nouns.items()]})


class Speaker:
    """asked: the bodies of all requests; keys: their Authorization."""

    def __init__(self, says: Callable[[BaseHTTPRequestHandler, dict[str, Any]], bytes | None]) -> None:
        self.says, self.asked, self.keys = says, list[dict[str, Any]](), list[str | None]()
        self.paths: list[str] = []
        self.may_end = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                owner.asked.append(body)
                owner.keys.append(self.headers.get("Authorization"))
                owner.paths.append(self.path)
                with suppress(OSError):  # who asked has gone
                    answer = owner.says(self, body)
                    if answer is not None:
                        self.send_response(200)
                        self.send_header("Content-Length", str(len(answer)))
                        self.end_headers()
                        self.wfile.write(answer)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.may_end.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
