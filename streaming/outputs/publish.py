"""Results as a ZeroMQ stream: each line of results.jsonl, as it is written, to whoever subscribes.

A message is [source id, line], so a subscription to an id gives the results of that source. It is sent to
those who are there, and never waited for: what a subscriber is too slow for, it does not get, and the gap in
`seq` tells. ZeroMQ does not say how many those were, so they are not counted here.
"""

from __future__ import annotations

import zmq

from streaming.messages import Result
from streaming.results import result_line
from streaming.security import Security, Sockets

MAX_LINE_BYTES = 8 << 20  # a mask of many ragged pieces is some 100 KB; whoever subscribes can rely on this
MAX_SUBSCRIPTION_BYTES = 256  # a source id has 64 at most
QUEUE = 100  # lines that wait for one slow subscriber
LINGER_MS = 500  # what the last lines may take to leave


class Publisher:
    """A PUB socket that results go out of, with their silent objects where `candidates` is set.

    Raises `UserError` for an address that is taken, malformed, or beyond this machine without keys.
    """

    def __init__(self, address: str, security: Security | None = None, *, candidates: bool = False) -> None:
        self.sent = self.dropped = 0
        self._candidates = candidates
        self._sockets = Sockets(security)
        self._socket = self._sockets.listen(
            zmq.PUB, address, max_bytes=MAX_SUBSCRIPTION_BYTES, sndhwm=QUEUE, linger=LINGER_MS
        )
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    @property
    def counters(self) -> dict[str, int]:
        """`dropped` counts lines too long to be sent, not those that somebody was too slow for."""
        return {"sent": self.sent, "dropped": self.dropped}

    def add(self, result: Result, wall_ns: int) -> None:
        line = result_line(result, wall_ns=wall_ns, candidates=self._candidates).encode()
        if len(line) > MAX_LINE_BYTES:
            self.dropped += 1
            return
        self._socket.send_multipart([result.source.encode(), line], zmq.NOBLOCK)
        self.sent += 1

    def end(self, source: str, seq: int, wall_ns: int) -> None:
        """Nothing is said of it: other sources may go on, and a subscriber sees that no more comes."""

    def close(self) -> None:
        self._sockets.close()
