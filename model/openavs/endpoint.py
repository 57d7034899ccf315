"""Asking a language model at an address: chat completions, as OpenAI, llama.cpp, Ollama and vLLM have them.

Whatever answers is not trusted: it has a time for all of its answer and a number of bytes, may not send the
request elsewhere, and its words are for the caller to check. None of them is in what is told of a failure.
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from model.errors import ModelError

MOST_BYTES = 256 << 10
CHUNK_BYTES = 16 << 10
MOST_TOKENS = 400


class NoAnswer(Exception):
    """Why there is none, in a line."""


class _StaysThere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **more: Any) -> None:
        return None  # the key, and what is heard, are for this address alone


@dataclass(frozen=True)
class Endpoint:
    """An address of chat completions.

    url: what `/chat/completions` is put behind.
    key_variable: the variable of the environment that holds the key; None: none is needed. The key itself is
        read for each request and kept nowhere.
    timeout_s: for a whole answer.
    """

    url: str
    key_variable: str | None = None
    timeout_s: float = 20.0

    def check(self) -> None:
        """Raises `ModelError` for what cannot be asked, or should not be."""
        try:
            parts = urlsplit(self.url)
            port_is_one = parts.port is None or parts.port > 0
        except ValueError:
            raise ModelError("openavs.llm.url: found no address, expected http://HOST:PORT/v1") from None
        if "@" in parts.netloc:
            raise ModelError("openavs.llm.url: holds a name or password; name a variable in key_variable")
        if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_one:
            raise ModelError(f"openavs.llm.url: found {self.url!r}, expected http://HOST:PORT/v1 or https://")
        if parts.query or parts.fragment:
            raise ModelError("openavs.llm.url: holds a ? or #, expected an address that a path can follow")
        if self.key_variable is None:
            return
        if not os.environ.get(self.key_variable):
            raise ModelError(f"openavs.llm.key_variable: the variable {self.key_variable} is not set")
        if parts.scheme == "http" and not _is_this_machine(parts.hostname):
            raise ModelError("openavs.llm.url: a key is sent over https only, or within this machine")

    def ask(self, model: str, messages: Sequence[Mapping[str, str]]) -> str:
        """The model's words. Raises `NoAnswer`."""
        body = {
            "model": model,
            "messages": list(messages),
            "temperature": 0,
            "max_tokens": MOST_TOKENS,
            "response_format": {"type": "json_object"},
        }
        answer = self._posted(json.dumps(body).encode())
        try:
            text = json.loads(answer)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            raise NoAnswer("it answers with something else than a chat completion") from None
        if not isinstance(text, str):
            raise NoAnswer("its answer holds no text")
        return text

    def _posted(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key_variable is not None:
            headers["Authorization"] = f"Bearer {os.environ.get(self.key_variable, '')}"
        try:
            request = urllib.request.Request(
                f"{self.url.rstrip('/')}/chat/completions", data=body, headers=headers
            )
            until_s = time.monotonic() + self.timeout_s
            with urllib.request.build_opener(_StaysThere).open(request, timeout=self.timeout_s) as response:
                return _read(response, until_s)
        except urllib.error.HTTPError as error:
            error.close()
            raise NoAnswer(f"it answers with status {error.code}") from None
        except TimeoutError:
            raise NoAnswer(f"it takes longer than {self.timeout_s:g} s") from None
        except urllib.error.URLError as error:
            late = isinstance(error.reason, TimeoutError)
            why = f"it takes longer than {self.timeout_s:g} s" if late else "it cannot be reached"
            raise NoAnswer(why) from None
        except (OSError, ValueError, http.client.HTTPException):
            raise NoAnswer("the connection to it broke") from None


def _read(response: Any, until_s: float) -> bytes:
    """All of an answer, within its time and size: what comes drop by drop passes a socket's timeout."""
    parts, size = [], 0
    while part := response.read1(CHUNK_BYTES):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise NoAnswer(f"its answer has more than {MOST_BYTES >> 10} KiB")
        if time.monotonic() > until_s:
            raise TimeoutError
    return b"".join(parts)


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
