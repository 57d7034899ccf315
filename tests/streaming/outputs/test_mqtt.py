"""Events at a real broker: whatever becomes of it, the run goes on, and what is true is told in the end."""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streaming.clock import Clock
from streaming.config import load, setting
from streaming.errors import UserError
from streaming.outputs import mqtt
from streaming.outputs.broker import broker_at
from streaming.outputs.mqtt import MqttOutput, client_id, open_mqtt, tls_context
from tests.brokers import Listener, Mosquitto, needs_mosquitto
from tests.certificates import make_certificate, needs_openssl
from tests.nodes.samples import result
from tests.pipeline import ROOT, free_port, wait_for

WALL_NS = 1_700_000_000_000_000_000
SECRET = "hunter2"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture
def listening() -> Iterator[Callable[..., Listener]]:
    """Makes listeners."""
    made: list[Listener] = []

    def listen(*args: Any, **options: Any) -> Listener:
        made.append(Listener(*args, **options))
        return made[-1]

    yield listen
    for one in made:
        one.close()


@pytest.fixture
def output_to() -> Iterator[Callable[..., MqttOutput]]:
    """Makes outputs."""
    made: list[MqttOutput] = []

    def output_to(port: int, *, login: str = "", **options: Any) -> MqttOutput:
        address = f"mqtt://{login}127.0.0.1:{port}"
        made.append(MqttOutput(broker_at(address), "ov-avss", clock=Clock(), **options))
        return made[-1]

    yield output_to
    for one in made:
        one.close()


def give(output: MqttOutput, *results: Any) -> None:
    for one in results:
        output.add(one, WALL_NS)


def heard(seq: int, *labels: str, **changes: Any) -> Any:
    """A result in which tracks 1, 2, … of these names sound."""
    whole = result(seq, list(range(1, len(labels) + 1)), **changes)
    for track, label in zip(whole.tracks, labels, strict=True):
        track["label"], track["labels"] = label, [{"name": label, "p": 0.9}]
    return whole


# What is said ---------------------------------------------------------------------------------------------


@needs_mosquitto
def test_what_appears_changes_and_falls_silent_is_told_in_order(
    broker: Mosquitto, listening: Callable[..., Listener], output_to: Callable[..., MqttOutput]
) -> None:
    listener = listening(broker.port)
    output = output_to(broker.port)
    give(output, heard(0, "dog"), heard(1, "wolf"), heard(2), heard(3), heard(4, offscreen=True))
    listener.waits_for(lambda: len(listener.events("cam")) == 4)
    assert [(event["event"], event["track"], event["label"]) for event in listener.events("cam")] == [
        ("appeared", 1, "dog"), ("changed", 1, "wolf"), ("silent", 1, "wolf"), ("appeared", None, None),
    ]  # fmt: skip
    listener.waits_for(lambda: listener.state("cam").get("offscreen"))
    assert listener.state("cam")["seq"] == 4
    assert {topic for topic, _, _ in listener.heard} == {
        "ov-avss/cam/events", "ov-avss/cam/state", "ov-avss/status",
    }  # fmt: skip


@needs_mosquitto
def test_whoever_comes_late_knows_what_sounds(
    broker: Mosquitto, listening: Callable[..., Listener], output_to: Callable[..., MqttOutput]
) -> None:
    output = output_to(broker.port, sources=["front", "back"])
    give(output, heard(0, "dog", source="front"), heard(1, "dog", "cat", source="front"))
    assert wait_for(lambda: output.counters["connected"] and not output.counters["queue"])
    late = listening(broker.port)
    late.waits_for(lambda: len(late.heard) == 3)
    assert all(kept for _, _, kept in late.heard)
    assert late.newest("ov-avss/status") == b"online"
    assert [track["label"] for track in late.state("front")["tracks"]] == ["dog", "cat"]
    assert (late.state("back")["tracks"], late.state("back")["seq"]) == ([], None)


@needs_mosquitto
def test_a_name_may_be_any_text(
    broker: Mosquitto, listening: Callable[..., Listener], output_to: Callable[..., MqttOutput]
) -> None:
    name = 'a "dog"\\ +/# {}\N{DOG FACE}\N{RIGHT-TO-LEFT OVERRIDE}</script>\N{LINE SEPARATOR}'
    listener = listening(broker.port)
    give(output_to(broker.port), heard(0, name, source="A-z_0.9"))
    listener.waits_for(lambda: listener.events("A-z_0.9"))
    assert listener.events("A-z_0.9")[0]["label"] == name


@needs_mosquitto
def test_at_the_end_all_is_silent_and_offline(
    broker: Mosquitto, listening: Callable[..., Listener], output_to: Callable[..., MqttOutput]
) -> None:
    listener = listening(broker.port)
    output = output_to(broker.port, sources=["cam"])
    give(output, heard(0, "dog", "cat"))
    assert wait_for(lambda: output.counters["connected"])
    output.close()
    listener.waits_for(lambda: listener.newest("ov-avss/status") == b"offline")
    assert [event["event"] for event in listener.events("cam")] == ["appeared"] * 2 + ["silent"] * 2
    assert listener.state("cam")["tracks"] == []
    assert listener.heard[-1][0] == "ov-avss/status"
    late = listening(broker.port)
    late.waits_for(lambda: late.newest("ov-avss/status") == b"offline")


@needs_mosquitto
def test_a_stream_that_ends_is_silent_and_others_go_on(
    broker: Mosquitto, listening: Callable[..., Listener], output_to: Callable[..., MqttOutput]
) -> None:
    listener = listening(broker.port)
    output = output_to(broker.port)
    give(output, heard(0, "dog", source="front"), heard(0, "cat", source="back"))
    output.end("front", 1, WALL_NS)
    listener.waits_for(lambda: len(listener.events("front")) == 2)
    assert listener.events("front")[1]["event"] == "silent"
    listener.waits_for(lambda: listener.state("back"))
    assert len(listener.state("back")["tracks"]) == 1


@needs_mosquitto
def test_of_a_source_that_gives_no_results_nothing_is_known_to_sound(
    broker: Mosquitto,
    listening: Callable[..., Listener],
    output_to: Callable[..., MqttOutput],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mqtt, "STALE_NS", 300_000_000)
    monkeypatch.setattr(mqtt, "TICK_S", 0.05)
    listener = listening(broker.port)
    output = output_to(broker.port)
    give(output, heard(0, "dog"))
    listener.waits_for(lambda: len(listener.events("cam")) == 2)
    listener.waits_for(lambda: listener.state("cam")["tracks"] == [])
    give(output, heard(1, "dog"))
    listener.waits_for(lambda: len(listener.events("cam")) >= 3)
    assert [event["event"] for event in listener.events("cam")][:3] == ["appeared", "silent", "appeared"]


def test_a_payload_that_is_too_large_is_left_out_and_counted(
    output_to: Callable[..., MqttOutput], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "MAX_PAYLOAD_BYTES", 1000)
    output = output_to(free_port())
    give(output, heard(0, "dog"), heard(1, "dog", "x" * 1000))
    assert output.counters["dropped"] == 2  # the event, and the state with it
    assert output.counters["queue"] == 2


# Brokers that fail ----------------------------------------------------------------------------------------


@needs_mosquitto
def test_a_broker_that_was_killed_is_found_again_and_knows_what_is_true(
    broker: Mosquitto,
    listening: Callable[..., Listener],
    output_to: Callable[..., MqttOutput],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It has forgotten all; what happened meanwhile arrives, and the state is the newest."""
    output = output_to(broker.port, sources=["cam"])
    give(output, heard(0, "dog"))
    assert wait_for(lambda: output.counters["connected"] and not output.counters["queue"])
    broker.kill()
    assert wait_for(lambda: not output.counters["connected"])
    give(output, heard(1, "dog", "cat"), heard(2, "cat"), heard(3, "cat", "lion"))
    broker.start()
    listener = listening(broker.port)
    listener.waits_for(lambda: listener.newest("ov-avss/status") == b"online")
    listener.waits_for(
        lambda: [track["label"] for track in listener.state("cam").get("tracks", [])] == ["cat", "lion"]
    )
    listener.waits_for(lambda: output.counters["queue"] == 0)
    assert output.counters["dropped"] == 0
    told = [message for message in caplog.messages if message.startswith("output.mqtt: ")]
    assert told[0].endswith("is lost; it is tried again for ever, and the run goes on")
    assert told[-1].endswith("is there")


@needs_mosquitto
def test_a_broker_may_come_after_the_run_has_begun(
    tmp_path: Path,
    listening: Callable[..., Listener],
    output_to: Callable[..., MqttOutput],
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    output = output_to(port)
    give(output, heard(0, "dog"), heard(1, "wolf"))
    assert wait_for(lambda: bool(caplog.messages))
    assert caplog.messages == [
        f"output.mqtt: mqtt://127.0.0.1:{port} cannot be reached (Connection refused); it is tried again "
        "for ever, and the run goes on"
    ]
    assert output.counters == {"sent": 0, "dropped": 0, "queue": 3, "connected": False}
    broker = Mosquitto(tmp_path, port=port)
    try:
        listener = listening(port)
        listener.waits_for(lambda: [e["event"] for e in listener.events("cam")] == ["appeared", "changed"])
        assert wait_for(lambda: output.counters["queue"] == 0)
        assert output.counters["sent"] == 4
        output.close()
    finally:
        broker.kill()


@needs_mosquitto
def test_while_a_broker_is_frozen_the_newest_events_wait_and_nobody_else(
    broker: Mosquitto,
    listening: Callable[..., Listener],
    output_to: Callable[..., MqttOutput],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(mqtt, "QUEUE", 100)
    listener = listening(broker.port)
    output = output_to(broker.port)
    give(output, heard(0, "dog"))
    assert wait_for(lambda: output.counters["connected"] and not output.counters["queue"])
    sent = output.counters["sent"]
    broker.freeze()
    for seq in range(1, 1001):  # would never come to its end if it waited for the broker
        give(output, heard(seq, f"dog {seq}"))
    counters = output.counters
    assert counters["sent"] == sent
    assert counters["dropped"] in (1000 - 100, 1000 - 100 - 1)  # one may be under way
    assert counters["queue"] in (100 + 1, 100 + 2)  # and there is the state
    broker.thaw()
    listener.waits_for(lambda: listener.state("cam")["seq"] == 1000)
    labels = [event["label"] for event in listener.events("cam")]
    assert labels[-100:] == [f"dog {seq}" for seq in range(901, 1001)]
    assert caplog.messages == [
        f"output.mqtt: mqtt://127.0.0.1:{broker.port} has more than 100 events waiting for it; "
        "the oldest are dropped"
    ]


@needs_mosquitto
def test_a_run_ends_although_its_broker_is_frozen(
    broker: Mosquitto, listening: Callable[..., Listener], output_to: Callable[..., MqttOutput]
) -> None:
    listener = listening(broker.port)
    output = output_to(broker.port)
    listener.waits_for(lambda: listener.newest("ov-avss/status") == b"online")
    broker.freeze()
    give(output, heard(0, "dog"))
    output.close()
    broker.thaw()
    assert output.counters["queue"]


@needs_mosquitto
def test_a_wrong_password_is_told_and_not_shown(
    tmp_path: Path, output_to: Callable[..., MqttOutput], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    passwords = tmp_path / "passwords"
    made = subprocess.run(
        [shutil.which("mosquitto_passwd") or "mosquitto_passwd", "-c", "-b", str(passwords), "me", "right"],
        check=False,
    )
    assert made.returncode == 0
    broker = Mosquitto(tmp_path, f"password_file {passwords}", "allow_anonymous false")
    try:
        output = output_to(broker.port, login=f"me:{SECRET}@")
        assert wait_for(lambda: bool(caplog.messages))
        assert caplog.messages[0] == (
            f"output.mqtt: mqtt://127.0.0.1:{broker.port} turns this pipeline away (Not authorized); it is "
            "tried again for ever"
        )
        assert not output.counters["connected"]
        assert not any(SECRET in record.getMessage() for record in caplog.records)
        assert SECRET not in repr(vars(output))
        welcome = output_to(broker.port, login="me:right@")
        assert wait_for(lambda: bool(welcome.counters["connected"]))
    finally:
        broker.kill()


def test_a_server_that_says_nothing_holds_up_nobody(output_to: Callable[..., MqttOutput]) -> None:
    """It takes the connection, and is no broker."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        output = output_to(silent.getsockname()[1])
        give(output, *(heard(seq, "dog") for seq in range(100)))
        connection, _ = silent.accept()
        give(output, heard(100, "cat"))
        output.close()
        assert output.counters["sent"] == 0
        connection.close()


@needs_mosquitto
def test_a_run_that_is_killed_leaves_its_last_will(
    broker: Mosquitto, listening: Callable[..., Listener]
) -> None:
    program = (
        "import sys, time\n"
        "from streaming.clock import Clock\n"
        "from streaming.outputs.broker import broker_at\n"
        "from streaming.outputs.mqtt import MqttOutput\n"
        "from tests.nodes.samples import result\n"
        "output = MqttOutput(broker_at(sys.argv[1]), 'ov-avss', clock=Clock())\n"
        "output.add(result(0, [1]), 0)\n"
        "time.sleep(1000)\n"
    )
    listener = listening(broker.port)
    process = subprocess.Popen([sys.executable, "-c", program, f"mqtt://127.0.0.1:{broker.port}"], cwd=ROOT)
    try:
        listener.waits_for(lambda: listener.state("cam").get("tracks"))
        assert listener.newest("ov-avss/status") == b"online"
    finally:
        process.kill()
        process.wait()
    listener.waits_for(lambda: listener.newest("ov-avss/status") == b"offline")
    assert len(listener.state("cam")["tracks"]) == 1, "which is why a state counts only while online"


@needs_mosquitto
def test_a_run_that_is_started_again_takes_the_place_of_its_old_connection(
    broker: Mosquitto, listening: Callable[..., Listener], output_to: Callable[..., MqttOutput]
) -> None:
    """As where the old one hangs: its last will comes before the new one's first word, not after it."""
    listener = listening(broker.port)
    old = output_to(broker.port, client_id="ov-avss-1")
    listener.waits_for(lambda: listener.newest("ov-avss/status") == b"online")
    old._client.reconnect_delay_set(1000, 1000)
    output_to(broker.port, client_id="ov-avss-1")
    status = lambda: [payload for topic, payload, _ in listener.heard if topic == "ov-avss/status"]  # noqa: E731
    listener.waits_for(lambda: len(status()) == 3)
    assert status() == [b"online", b"offline", b"online"]


# Configuration --------------------------------------------------------------------------------------------


def test_a_run_keeps_its_name_at_the_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = client_id("ov-avss", "runs/latest")
    assert here == client_id("ov-avss", str(tmp_path / "runs/latest"))
    assert len({here, client_id("ov-avss", "runs/other"), client_id("other", "runs/latest")}) == 3
    assert len(here) == 23, "as many characters as every broker takes"


def test_certificates_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no certificate")
    for name, why in (("missing.pem", "No such file or directory"), ("text", "no certificates in PEM")):
        with pytest.raises(UserError) as caught:
            tls_context(str(tmp_path / name))
        assert str(caught.value) == f"output.mqtt.ca_file: {tmp_path / name}: cannot be used: {why}"


def test_a_password_that_is_not_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MQTT_PASSWORD", raising=False)
    config = load(settings=[setting("output.mqtt.address=mqtt://me:${MQTT_PASSWORD}@127.0.0.1")])
    with pytest.raises(UserError, match=r"^output\.mqtt\.address: \$\{MQTT_PASSWORD\} is not set"):
        open_mqtt(config, Clock())


# TLS ------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


@needs_mosquitto
@needs_openssl
def test_a_broker_with_tls_is_trusted_for_its_certificate_only(
    tmp_path: Path, certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Mosquitto(tmp_path, f"certfile {certificate}", f"keyfile {certificate}.key")
    settings = [f"output.mqtt.address=mqtts://127.0.0.1:{broker.port}"]
    outputs = []
    try:
        for more in ([], [f"output.mqtt.ca_file={certificate}"]):
            outputs.append(open_mqtt(load(settings=map(setting, settings + more)), Clock()))
        assert wait_for(lambda: bool(outputs[1].counters["connected"]))
        assert wait_for(lambda: bool(caplog.messages))
        assert "cannot be reached (self-signed certificate" in caplog.messages[0]
        assert not outputs[0].counters["connected"]
    finally:
        for output in outputs:
            output.close()
        broker.kill()
