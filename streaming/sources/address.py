"""What a source's URI asks for, and how it may be shown: without the password."""

from __future__ import annotations

import os
import re
from typing import Literal
from urllib.parse import quote

from streaming.errors import UserError

Kind = Literal["webcam", "network", "file"]

# What FFmpeg reads live, and the protocols that it may use underway: never a file of this machine.
NETWORK = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt", "udp", "rtp", "tcp")
PROTOCOLS = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,hls,crypto,rtmp,rtmps,srt"

# Two letters at least: a drive of Windows has one.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/+)")
_LOGIN_ALONE = re.compile(r"[^/\s]+:[^/\s]*@")
# Up to the last @: a password may hold one, or a slash, that should have been escaped.
_LOGIN = re.compile(r"(:/+)\S*@")
_SECRET = re.compile(r"(?i)([?&;](?:[^=&;]*(?:pass|pwd|token|secret|key|auth|sig)[^=&;]*)=)[^&;#\s]*")
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def kind_of(uri: str) -> Kind:
    """What kind of source a URI names; whatever looks like no address is a file.

    Raises `UserError` for an address that is written wrongly: taken for a file, it would be shown with the
    password in it.
    """
    if uri.startswith("webcam:"):
        return "webcam"
    scheme = _SCHEME.match(uri)
    if scheme and scheme[1].lower() in NETWORK and scheme[2] == "//":
        return "network"
    if scheme or (_LOGIN_ALONE.match(uri) and not os.path.exists(uri)):
        expected = f"expected one that begins with {', '.join(f'{name}://' for name in NETWORK)}, or a file"
        raise UserError(f"found {redacted(uri) if scheme else 'an address without a scheme'}, {expected}")
    return "file"


def redacted(uri: str) -> str:
    """The URI as it may be shown: without name and password, and without what looks like a key.

    Also of a whole text in which one stands.
    """
    return _SECRET.sub(r"\1***", _LOGIN.sub(r"\1***@", uri))


def filled_in(uri: str, key: str = "source.uri") -> str:
    """The URI with each `${NAME}` replaced by that variable of the environment, in the form a URI needs.

    So a password need not stand in a file or on a command line, where others could read it. Raises
    `UserError` for a variable that is not set; `key` is where it would have been used.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise UserError(f"{key}: ${{{match[1]}}} is not set in the environment; export it first")
        return quote(os.environ[match[1]], safe="")

    return VARIABLE.sub(value, uri)
