"""What appears, changes and falls silent, told to an MQTT broker: one topic for the events of each source.

Results are turned into events where they come in, which are put into an outbox; a thread takes them out, one
by one, while a broker is there. Paho's own thread keeps the connection, and tries for ever to have one. Only
one message is under way at any time, so that none overtakes another, not even where one is sent again.

What lasts (the state of each source, and `status`) is said anew with every connection: a broker may have lost
its memory, and what was said while there was none is out of date.
"""

from __future__ import annotations

import hashlib
import json
import logging
import socket
import ssl
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from streaming.clock import Clock
from streaming.config import Config
from streaming.errors import UserError
from streaming.messages import Result
from streaming.outputs.broker import Broker, broker_at
from streaming.outputs.events import Event, Events
from streaming.outputs.outbox import Letter, Outbox

QUEUE = 1000  # events that wait for a broker
MAX_PAYLOAD_BYTES = 256 << 10  # a hundred objects with names of a hundred characters are some 60 KB
KEEPALIVE_S = 20  # a broker that says nothing for so long is lost
RETRY_S = (1, 30)  # the shortest and the longest wait before a broker is tried again
STALE_NS = 30_000_000_000  # of a source without results for so long, nothing is known to sound
TICK_S = 1.0
LAST_WORDS_S = 1.5  # what the end of a run gives a broker to hear the rest ...
GOODBYE_S = 0.5  # ... and that nothing more comes
TOLD_AGAIN_NS = 60_000_000_000  # the same trouble is told of once a minute at most

log = logging.getLogger(__name__)


def open_mqtt(config: Config, clock: Clock) -> MqttOutput:
    """The output as configured; it does not wait for the broker. Raises `UserError`."""
    m = config.output.mqtt
    broker = broker_at(m.address)
    return MqttOutput(
        broker, m.topic, clock=clock, sources=[source.id for source in config.all_sources],
        silent_s=m.silent_s, tls=tls_context(m.ca_file) if broker.tls else None,
        client_id=client_id(m.topic, config.output.dir),
    )  # fmt: skip


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Trusts the authorities in a file, or those that this machine trusts. Raises `UserError`."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        reason = "no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise UserError(f"output.mqtt.ca_file: {ca_file}: cannot be used: {reason}") from None


def client_id(prefix: str, folder: str) -> str:
    """Whom the broker takes this run for: the same after a restart, so that the old connection makes room."""
    about = "\n".join((socket.gethostname(), str(Path(folder).absolute()), prefix))
    return f"ov-avss-{hashlib.sha256(about.encode()).hexdigest()[:15]}"


class MqttOutput:
    """Tells a broker below the topic `prefix` what sounds.

    sources: whose state is told from the beginning.
    silent_s: see `Events`.
    """

    def __init__(
        self,
        broker: Broker,
        prefix: str,
        *,
        clock: Clock,
        sources: Iterable[str] = (),
        silent_s: float = 1.0,
        tls: ssl.SSLContext | None = None,
        client_id: str = "",
    ) -> None:
        self.sent = 0
        self._broker, self._prefix, self._clock = broker, prefix, clock
        self._changed = threading.Condition()  # guards all that follows
        self._events = Events(silent_s)
        self._outbox = Outbox(QUEUE)
        self._too_long = 0
        self._heard_ns = dict.fromkeys(sources, clock.monotonic_ns())
        self._connected = self._under_way = self._closing = self._gone = False
        self._told_ns: dict[str, int] = {}

        self._client = self._new_client(tls, client_id)
        self._client.connect_async(broker.host, broker.port, KEEPALIVE_S)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._publish, name="mqtt", daemon=True)
        self._thread.start()

    @property
    def counters(self) -> dict[str, int | bool]:
        """`sent`: what the broker has; `queue`: what waits for it; `dropped`: what there was no room for."""
        with self._changed:
            return {
                "sent": self.sent,
                "dropped": self._outbox.dropped + self._too_long,
                "queue": len(self._outbox) + self._under_way,
                "connected": self._connected,
            }

    def add(self, result: Result, wall_ns: int) -> None:
        with self._changed:
            self._heard_ns[result.source] = self._clock.monotonic_ns()
            self._tell(result.source, self._events.add(result, wall_ns), wall_ns)

    def end(self, source: str, seq: int, wall_ns: int) -> None:
        with self._changed:
            self._tell(source, self._events.end(source, seq, wall_ns), wall_ns)

    def close(self) -> None:
        """Say that all is silent and that this is the end; a broker that is there is given a moment."""
        with self._changed:
            for source in self._heard_ns:
                self._silence(source)
            self._put("status", b"offline", lasting=True)
            self._closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not (self._connected and self._busy()), LAST_WORDS_S)
            self._gone = True
            self._changed.notify_all()
        self._thread.join()
        self._client.disconnect()
        with self._changed:
            self._changed.wait_for(lambda: not self._connected, GOODBYE_S)

    # What is to be said, with `_changed` held ------------------------------------------------------------

    def _tell(self, source: str, events: list[Event], wall_ns: int) -> None:
        for event in events:
            self._put(f"{source}/events", _json(event))
        if events:
            self._put(f"{source}/state", _json(self._events.state(source, wall_ns)), lasting=True)
            self._changed.notify_all()

    def _silence(self, source: str) -> None:
        wall_ns = self._clock.wall_ns()
        self._tell(source, self._events.silence(source, wall_ns), wall_ns)

    def _put(self, topic: str, payload: bytes, *, lasting: bool = False, first: bool = False) -> None:
        if len(payload) > MAX_PAYLOAD_BYTES:
            self._too_long += 1
            return
        full = self._outbox.dropped
        self._outbox.put(Letter(f"{self._prefix}/{topic}", payload, lasting), first=first)
        if self._outbox.dropped > full:
            self._warn(f"has more than {QUEUE} events waiting for it; the oldest are dropped")

    def _busy(self) -> bool:
        return self._under_way or len(self._outbox) > 0

    # The thread that publishes ---------------------------------------------------------------------------

    def _publish(self) -> None:
        while (letter := self._next()) is not None:
            # Not while `_changed` is held: Paho calls back with its own locks held.
            self._client.publish(letter.topic, letter.payload, qos=1, retain=letter.lasting)

    def _next(self) -> Letter | None:
        """The letter whose turn it is, when a broker is there to take it; None at the end."""
        with self._changed:
            while not self._gone:
                if self._connected and not self._under_way and (letter := self._outbox.take()) is not None:
                    self._under_way = True
                    return letter
                self._changed.wait(TICK_S)
                self._look_for_stale()
            return None

    def _look_for_stale(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for source, heard_ns in self._heard_ns.items():
            if now_ns - heard_ns > STALE_NS:
                self._silence(source)

    # Paho's thread ---------------------------------------------------------------------------------------

    def _new_client(self, tls: ssl.SSLContext | None, client_id: str) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        client.suppress_exceptions = (
            True  # a fault in what is called back must not end the connection for good
        )
        client.reconnect_delay_set(*RETRY_S)
        client.will_set(f"{self._prefix}/status", b"offline", qos=1, retain=True)
        if self._broker.user is not None:
            client.username_pw_set(self._broker.user, self._broker.password)
        if tls is not None:
            client.tls_set_context(tls)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        return client

    def _on_connect(self, client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._changed:
            if reason.is_failure:
                self._warn(f"turns this pipeline away ({reason}); it is tried again for ever")
                return
            if self._told_ns:
                self._warn("is there")
            self._connected = True
            if not self._closing:
                self._put("status", b"online", lasting=True, first=True)
                wall_ns = self._clock.wall_ns()
                for source in self._heard_ns:
                    self._put(f"{source}/state", _json(self._events.state(source, wall_ns)), lasting=True)
            self._changed.notify_all()

    def _on_connect_fail(self, client: Client, data: Any) -> None:
        error = sys.exc_info()[1]  # Paho calls this where it has caught it, and does not tell
        reason = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or error
        with self._changed:
            self._warn(f"cannot be reached ({reason}); it is tried again for ever, and the run goes on")

    def _on_disconnect(self, client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._changed:
            if self._connected and not self._gone:
                self._warn("is lost; it is tried again for ever, and the run goes on")
            self._connected = False
            self._changed.notify_all()

    def _on_publish(self, client: Client, data: Any, mid: int, reason: Any, properties: Any) -> None:
        with self._changed:
            self.sent += 1
            self._under_way = False
            self._changed.notify_all()

    def _warn(self, what: str) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._told_ns.get(what, -TOLD_AGAIN_NS) >= TOLD_AGAIN_NS:
            self._told_ns[what] = now_ns
            log.warning("output.mqtt: %s %s", self._broker, what)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
