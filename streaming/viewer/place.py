"""Where the page is served: host, port, and the certificate that makes it trusted."""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from streaming.errors import UserError

OPEN_HOSTS = ("0.0.0.0", "::")  # every address of this machine


@dataclass(frozen=True)
class Place:
    """Where the page is served, and how: `port` 0 is any that is free."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    def address(self, port: int) -> str:
        """What a person opens, when it is served at that port."""
        host = socket.gethostname() if self.host in OPEN_HOSTS else self.host
        return f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"

    def cannot_be_used(self, error: OSError) -> UserError:
        """Why it is not served there, in one line."""
        number = error.errno or 0  # below 0 where it is the name that means nothing
        reason = os.strerror(number) if number > 0 else f"{self.host} is no address or name that is known"
        return UserError(
            f"viewer.port: port {self.port} of {self.host} cannot be used: {reason}; choose another, or 0 "
            "for any that is free"
        )


def tls_of(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    """What makes a server trusted; None without a certificate. Raises `UserError` for files that do not."""
    if certificate is None:
        return None
    for name, path in {"certificate": certificate, "key": key}.items():
        try:
            if path is not None:
                Path(path).read_bytes()
        except OSError as error:
            raise UserError(f"viewer.{name}: {path}: cannot be read ({error.strerror})") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"viewer.certificate: {certificate}: not a certificate in PEM with the key that belongs to it, "
            f"without a password ({reason})"
        ) from None
    return context
