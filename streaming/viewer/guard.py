"""Who may see the page: names, origins, the token, and what browsers are told to refuse.

A page on loopback is open to every page that the same browser shows, unless it looks who asks: by name, so
that no other name can be made to mean this machine (DNS rebinding), and by origin, so that no other page can
open the socket or have a film made.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from streaming.errors import UserError
from streaming.security import is_loopback
from streaming.sources.address import VARIABLE

TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "form-action 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def check_token(token: str) -> None:
    """Raises `ValueError`, without what it is, for a token that is written wrongly, whatever its variables
    will be."""
    if token and not TOKEN.fullmatch(VARIABLE.sub("0" * 16, token)):
        raise ValueError("found another text, expected 16 to 200 of the characters A-Z a-z 0-9 . _ ~ -")


def token_of(setting: str) -> str:
    """The token that a setting means, its variables taken from the environment; "" for none.

    Raises `UserError`, without what it is, for a variable that is not set or holds no token.
    """
    for name in VARIABLE.findall(setting):
        if name not in os.environ:
            raise UserError(f"viewer.token: ${{{name}}} is not set in the environment; export it first")
    token = VARIABLE.sub(lambda match: os.environ[match[1]], setting)
    if token and not TOKEN.fullmatch(token):
        raise UserError(
            "viewer.token: what the environment holds is no token, expected 16 to 200 of the characters "
            "A-Z a-z 0-9 . _ ~ -; `openssl rand -hex 16` makes one"
        )
    return token


class Guard:
    """What is asked of whoever comes.

    Args:
        host: the address at which the page is served.
        tls: whether it is served over TLS.
        token: what whoever comes has to know; "" for nothing.
        names: by which names the machine may be asked for, besides its addresses.
    """

    def __init__(self, host: str, *, tls: bool = False, token: str = "", names: Iterable[str] = ()) -> None:
        self.tls, self.token = tls, token
        self._loopback = is_loopback(host)
        own = () if self._loopback else (socket.gethostname(), host)
        self._names = {"localhost"} | {name.casefold() for name in (*own, *names)}

    def knows(self, host: str | None) -> bool:
        """Whether a `Host` header names this machine: nobody else can make an address mean another one."""
        name = _host_of(f"//{host}")
        if name is None:
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return address.is_loopback or not self._loopback

    def is_own_page(self, origin: str | None, host: str | None) -> bool:
        """Whether an `Origin` header is the page that this server has served under that `Host`."""
        return origin is not None and origin.casefold() == f"{self.scheme}://{host}".casefold()

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    def admits(self, *given: str | None) -> bool:
        """Whether one of those is the token, or none is needed; how long it takes does not tell."""
        if not self.token:
            return True
        token = self.token.encode()
        return any([hmac.compare_digest((one or "").encode(errors="replace"), token) for one in given])


def is_of_another_page(fetch_site: str | None) -> bool:
    """Whether a `Sec-Fetch-Site` header says that a page of another origin asks."""
    return fetch_site not in (None, "same-origin", "none")


def _host_of(authority: str) -> str | None:
    """The host of `//HOST:PORT`, without the brackets of an IPv6 address; None where it is none."""
    try:
        parts = urlsplit(authority)
        plain = parts.port != 0 and not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    except ValueError:  # its port is no number
        return None
    return parts.hostname if plain else None
