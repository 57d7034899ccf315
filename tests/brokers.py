"""A real MQTT broker for tests, Mosquitto, and somebody who listens to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.pipeline import free_port, wait_for

SEARCHED = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
MOSQUITTO = shutil.which("mosquitto", path=SEARCHED)
ENOUGH_S = 60.0  # for what comes within a second or two on a machine with nothing else to do

needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="no MQTT broker: no mosquitto")


class Mosquitto:
    """A broker on loopback, without memory of an earlier life; lets in everybody unless told otherwise."""

    def __init__(self, folder: Path, *settings: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", "user root", *settings]
        if not any(line.startswith("allow_anonymous") for line in lines):
            lines.append("allow_anonymous true")
        self._config.write_text("\n".join(lines) + "\n")
        self.start()

    def start(self) -> None:
        """Be there, at the same port as before."""
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert wait_for(self._answers, ENOUGH_S), "the broker does not answer"

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the broker has ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """Be gone without a word."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Take what fits into the sockets, and answer nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)


class Listener:
    """Hears everything that is said below a topic, in order."""

    def __init__(self, port: int, topic: str = "#", login: tuple[str, str] | None = None) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []  # topic, payload, whether the broker had kept it
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        if login:
            self._client.username_pw_set(*login)
        self._client.on_connect = lambda *_: self._client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda client, data, message: self.heard.append(
            (message.topic, message.payload, message.retain)
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(ENOUGH_S)

    def events(self, source: str, prefix: str = "ov-avss") -> list[dict[str, Any]]:
        return [
            json.loads(payload) for topic, payload, _ in self.heard if topic == f"{prefix}/{source}/events"
        ]

    def newest(self, topic: str) -> bytes | None:
        return next((payload for told, payload, _ in reversed(self.heard) if told == topic), None)

    def state(self, source: str, prefix: str = "ov-avss") -> dict[str, Any]:
        return json.loads(self.newest(f"{prefix}/{source}/state") or b"{}")

    def waits_for(self, true: Callable[[], Any]) -> None:
        deadline = time.monotonic() + ENOUGH_S
        while not true():
            assert time.monotonic() < deadline, self.heard[-5:]
            time.sleep(0.02)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
