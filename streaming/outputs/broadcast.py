"""All that comes to the recorder, as it came, for the page: whole messages over a ZeroMQ PUB socket.

Nobody is waited for. A page that is slow, or not there, loses messages, and the line does not notice.
"""

from __future__ import annotations

import zmq

from streaming.messages import Message, Preview, Result, encode
from streaming.security import Security, Sockets

MAX_SUBSCRIPTION_BYTES = 256
QUEUE = 64  # messages that wait for one who is slow; a hop of pictures may have 2 MB


class Broadcast:
    """A PUB socket that previews and results go out of, for `streaming.messages.decode`.

    Raises `UserError` for an address that is taken, malformed, or beyond this machine without keys.
    """

    def __init__(self, address: str, security: Security | None = None) -> None:
        self.sent = 0
        self._sockets = Sockets(security)
        self._socket = self._sockets.listen(
            zmq.PUB, address, max_bytes=MAX_SUBSCRIPTION_BYTES, sndhwm=QUEUE, linger=500
        )
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    @property
    def counters(self) -> dict[str, int]:
        """What somebody was too slow for is not known."""
        return {"sent": self.sent, "dropped": 0}

    def add(self, result: Result, wall_ns: int) -> None:
        self._send(result)

    def show(self, preview: Preview) -> None:
        self._send(preview)

    def end(self, source: str, seq: int, wall_ns: int) -> None:
        """Nothing is said of it: the supervisor tells the page."""

    def close(self) -> None:
        self._sockets.close()

    def _send(self, message: Message) -> None:
        self._socket.send_multipart(encode(message), zmq.NOBLOCK)
        self.sent += 1
