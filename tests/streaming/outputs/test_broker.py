"""One address tells where a broker is; what it tells of a login is not shown."""

from __future__ import annotations

import pytest

from streaming.errors import UserError
from streaming.outputs.broker import Broker, broker_at, check_broker


@pytest.mark.parametrize(
    ("address", "broker"),
    [
        ("mqtt://localhost", Broker("localhost", 1883, False)),
        ("MQTT://localhost/", Broker("localhost", 1883, False)),
        ("mqtts://broker.lan", Broker("broker.lan", 8883, True)),
        ("mqtt://10.0.0.7:1884", Broker("10.0.0.7", 1884, False)),
        ("mqtt://[::1]:1884", Broker("::1", 1884, False)),
        ("mqtt://me@host", Broker("host", 1883, False, "me")),
        ("mqtt://me:hunter2@host", Broker("host", 1883, False, "me", "hunter2")),
        ("mqtt://me:@host", Broker("host", 1883, False, "me", "")),
        ("mqtt://m%3Ae:a%40b%2Fc@host:1", Broker("host", 1, False, "m:e", "a@b/c")),
        ("mqtt://me:a@b/c d@host", Broker("host", 1883, False, "me", "a@b/c d")),
    ],
)
def test_an_address_names_broker_and_login(address: str, broker: Broker) -> None:
    check_broker(address)
    assert broker_at(address) == broker
    assert broker_at(str(broker)) == Broker(broker.host, broker.port, broker.tls)


def test_a_password_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "p@ss:/w\N{LATIN SMALL LETTER O WITH DIAERESIS}rd")
    monkeypatch.setenv("MQTT_HOST", "broker")
    address = "mqtt://me:${MQTT_PASSWORD}@${MQTT_HOST}:1884"
    check_broker(address)
    assert broker_at(address) == Broker(
        "broker", 1884, False, "me", "p@ss:/w\N{LATIN SMALL LETTER O WITH DIAERESIS}rd"
    )
    monkeypatch.delenv("MQTT_PASSWORD")
    check_broker(address)
    with pytest.raises(UserError, match=r"^output\.mqtt\.address: \$\{MQTT_PASSWORD\} is not set in the env"):
        broker_at(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("localhost", "an address without a scheme"),
        ("me:hunter2@host", "an address without a scheme"),
        ("mqtt:me:hunter2@host", "an address without a scheme"),
        ("me hunter2://x@host", "an address without a scheme"),
        ("http://me:hunter2@host", "http://***@host"),
        ("mqtt:/me:hunter2@host", "mqtt:/***@host"),
        ("mqtt://me:hunter2@host:0", "mqtt://***@host:0"),
        ("mqtt://me:hunter2@host:65536", "mqtt://***@host:65536"),
        ("mqtt://me:hun ter2@ho st", "mqtt://***@ho st"),
        ("mqtt://me:hunter2@host/topic", "mqtt://***@host/topic"),
        ("mqtt://me:hunter2@host\n", "mqtt://***@host?"),
        (f"mqtt://{'a' * 64}{'b' * 1000}", f"mqtt://{'a' * 64}{'b' * 9}"),
        ("mqtt://", "mqtt://"),
        ("mqtt://a..b", "mqtt://a..b"),
        (f"mqtt://{'a' * 64}", f"mqtt://{'a' * 64}"),
    ],
)
def test_an_address_that_is_written_wrongly_is_told_without_its_password(address: str, shown: str) -> None:
    with pytest.raises(UserError) as caught:
        check_broker(address)
    assert str(caught.value) == (
        f"found {shown}, expected mqtt://HOST, mqtt://NAME:PASSWORD@HOST:PORT, or mqtts:// for TLS"
    )
    assert "hunter2" not in str(caught.value)
    assert "ter2" not in str(caught.value)


def test_who_one_is_is_not_told_with_where_the_broker_is() -> None:
    broker = broker_at("mqtts://somebody:hunter2@[::1]")
    assert str(broker) == "mqtts://[::1]:8883"
    assert not any(secret in f"{broker!r} {broker}" for secret in ("somebody", "hunter2"))
