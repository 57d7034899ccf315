"""What the recorder broadcasts, as it comes to the page."""

from __future__ import annotations

import logging
import math

import zmq

from streaming.messages import Message, decode
from streaming.schema import MAX_PART_BYTES, MessageError
from streaming.security import Security, Sockets

QUEUE = 64  # messages that wait here; the recorder drops what comes on top of them
RECONNECT_MS = 20  # the recorder's end may not be there yet, and the first second is wanted

log = logging.getLogger(__name__)


class Feed:
    """A SUB socket at a `Broadcast`, which may come and go. For use by one thread.

    Raises `UserError` for an address that is not allowed.
    """

    def __init__(self, address: str, security: Security | None = None) -> None:
        self.damaged = 0  # messages that broke their schema
        self._sockets = Sockets(security)
        self._socket = self._sockets.connect(
            zmq.SUB, address, max_bytes=MAX_PART_BYTES, rcvhwm=QUEUE, reconnect_ivl=RECONNECT_MS
        )
        self._socket.subscribe("")

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, or None when none came within `timeout_s`, or only a damaged one."""
        if not self._socket.poll(math.ceil(timeout_s * 1000)):
            return None
        try:
            return decode(self._socket.recv_multipart(zmq.NOBLOCK))
        except MessageError as error:
            self.damaged += 1
            if self.damaged <= 10 or self.damaged % 1000 == 0:
                log.warning("broadcast: %d damaged so far: %s", self.damaged, error)
            return None

    def close(self) -> None:
        self._sockets.close()
