"""One question to a server: this file, from that byte on. Which answers count, and what went wrong."""

from __future__ import annotations

import http.client
import ipaddress
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from model.errors import ModelError

SILENT_S = 30.0  # a server that says nothing for so long is lost
CHUNK = 1 << 18
PASSING = {408, 425, 429, 500, 502, 503, 504}  # answers that may be another in a while
LONGEST_WAIT_S = 60.0


class Lost(Exception):
    """No answer, or half of one: worth another try.

    wait_s: how long the server asks to be left alone.
    """

    def __init__(self, told: str, wait_s: float = 0.0) -> None:
        super().__init__(told)
        self.wait_s = wait_s


class Unreachable(Lost):
    """Nobody was there to be asked."""


class BeyondEnd(Exception):
    """The server's file ends before the byte that was asked for; at `total`, where it says so."""

    def __init__(self, total: int | None) -> None:
        super().__init__()
        self.total = total


@dataclass(frozen=True)
class Answer:
    """A file from byte `start` on; `total` bytes in all, None where the server does not say.

    version: what tells this file from a later one at the same address; empty where nothing does.
    """

    host: str
    start: int
    total: int | None
    version: str
    _body: Any

    def chunks(self) -> Iterator[bytes]:
        """What comes, as it comes. Raises `Lost`."""
        try:
            while chunk := self._body.read1(CHUNK):
                yield chunk
        except (OSError, http.client.HTTPException) as error:
            raise Lost(_told(self.host, error)) from error


def mirrored(address: str, mirror: str) -> str:
    """The address with scheme, host and port of the mirror, its path put before the address' own.

    >>> mirrored("https://a.org/models/x.bin", "http://10.0.0.7:8080/kept")
    'http://10.0.0.7:8080/kept/models/x.bin'

    Raises:
        ModelError: the mirror is no such address.
    """
    parts, own = _split(mirror), urlsplit(address)
    if parts is None or parts.query or parts.fragment or "@" in parts.netloc:
        raise ModelError(f"mirror: found {mirror!r}, expected https://HOST or http://HOST:PORT/PATH")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + own.path, own.query, ""))


def is_trusted(address: str) -> bool:
    """Whether what comes cannot be changed on its way: by https, or inside this machine."""
    parts = _split(address)
    return parts is not None and (parts.scheme == "https" or _is_loopback(parts.hostname or ""))


@contextmanager
def ask(address: str, start: int = 0, version: str = "") -> Iterator[Answer]:
    """The file at an address from byte `start` on, or from 0 where the server gives no parts.

    version: where given, a part of any other version is not wanted, but then the whole.

    Raises:
        Lost, BeyondEnd: see there.
        ModelError: an answer that stays the same however often it is asked for.
    """
    host = urlsplit(address).netloc
    headers = {"User-Agent": "ov-avss-live", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if version:
            headers["If-Range"] = version
    request = urllib.request.Request(address, headers=headers)
    try:
        response = urllib.request.build_opener(_Redirects).open(request, timeout=SILENT_S)
    except urllib.error.HTTPError as error:
        with error:
            raise _meaning(host, error) from error
    except urllib.error.URLError as error:
        raise _cause(host, error.reason) from error
    except (OSError, http.client.HTTPException) as error:
        raise Lost(_told(host, error)) from error
    with response:
        yield _answer(host, response)


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not is_trusted(newurl):
            fp.close()
            raise ModelError(
                f"{urlsplit(req.full_url).netloc} leads on to {newurl}, expected an address with https; "
                "try another mirror, or another network"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _answer(host: str, response: Any) -> Answer:
    headers = response.headers
    length = headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() else None
    start = 0
    if response.status == http.client.PARTIAL_CONTENT:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", "").strip())
        if not found:
            raise ModelError(f"{host} answers with a part and does not say which; try another mirror")
        start = int(found[1])
        total = int(found[2]) if found[2] != "*" else None if total is None else start + total
    tag = headers.get("ETag", "")
    version = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
    return Answer(host, start, total, version, response)


def _meaning(host: str, error: urllib.error.HTTPError) -> Exception:
    """What is raised for an answer that is no file."""
    if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
        found = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", "").strip())
        return BeyondEnd(int(found[1]) if found else None)
    told = f"{host} answers {error.code} {error.reason}"
    if error.code in PASSING:
        asked = error.headers.get("Retry-After", "")
        return Lost(told, min(LONGEST_WAIT_S, float(asked)) if asked.isdecimal() else 0.0)
    return ModelError(f"{told}; try another mirror, or get it by hand")


def _cause(host: str, reason: Any) -> Exception:
    """What is raised where no connection came about."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        told = f"{host}: its certificate is not accepted ({reason.verify_message})"
        return ModelError(f"{told}; is there a proxy between? SSL_CERT_FILE names other authorities")
    return Unreachable(_told(host, reason))


def _told(host: str, error: Any) -> str:
    if isinstance(error, TimeoutError):
        return f"{host} says nothing for {SILENT_S:.0f} s"
    if isinstance(error, http.client.IncompleteRead):
        return f"{host} stopped in the middle"
    return f"{host}: {getattr(error, 'strerror', None) or str(error) or type(error).__name__}"


def _split(address: str) -> SplitResult | None:
    """The parts of an address for HTTP; None for anything else."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises for one that is none
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
