"""Where an MQTT broker is, and who one is to it, from one address."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from streaming.errors import UserError
from streaming.legible import legible
from streaming.sources.address import VARIABLE, filled_in

KEY = "output.mqtt.address"
SHOWN_CHARS = 80
PORTS = {"mqtt": 1883, "mqtts": 8883}

# Up to the last @: a password may hold one that should have been escaped.
_ADDRESS = re.compile(
    r"(?i)(?P<scheme>mqtts?)://((?P<login>.*)@)?"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*)(:(?P<port>\d{1,5}))?/?"
)


@dataclass(frozen=True)
class Broker:
    """A broker; `repr` and `str` do not tell who one is."""

    host: str
    port: int
    tls: bool
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def broker_at(address: str) -> Broker:
    """The broker at `mqtt://[NAME:PASSWORD@]HOST[:PORT]`, or at `mqtts://…` with TLS.

    `${NAME}` stands for a variable of the environment. Raises `UserError` for anything else, without what may
    be a password.
    """
    return _parsed(filled_in(address, KEY), address)


def check_broker(address: str) -> None:
    """Raises `UserError` for an address that is written wrongly, whatever its variables will be."""
    _parsed(VARIABLE.sub("0", address), address)


def _parsed(filled: str, address: str) -> Broker:
    match = _ADDRESS.fullmatch(filled)
    scheme = match["scheme"].lower() if match else ""
    port = int((match and match["port"]) or PORTS.get(scheme, 0))
    if match is None or not 0 < port < 65_536:
        raise UserError(
            f"found {_shown(address)}, expected mqtt://HOST, mqtt://NAME:PASSWORD@HOST:PORT, "
            "or mqtts:// for TLS"
        )
    user, colon, password = (match["login"] or "").partition(":")
    return Broker(
        match["host"].strip("[]"), port, scheme == "mqtts",
        unquote(user) if match["login"] is not None else None, unquote(password) if colon else None,
    )  # fmt: skip


def _shown(address: str) -> str:
    """An address as it may be shown: nothing before the last @, which may be a password."""
    scheme = re.match(r"[A-Za-z0-9+.-]+:/+", address)
    if scheme is None:
        return "an address without a scheme"
    before, _, place = address.rpartition("@")
    shown = f"{scheme[0]}***@{place}" if before else address
    return legible(shown[:SHOWN_CHARS])
