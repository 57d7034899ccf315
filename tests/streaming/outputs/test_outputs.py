"""Whoever is told may fail: the line goes on, and the others are told."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from streaming.clock import Clock
from streaming.config import Config, load, setting
from streaming.errors import UserError
from streaming.messages import Result
from streaming.outputs.outputs import Outputs, open_outputs
from streaming.security import make_keys
from tests.nodes.samples import result
from tests.pipeline import free_port


class Notes:
    """An output that counts what it is told, and fails when it is told to."""

    def __init__(self, fails_at: str = "") -> None:
        self.told: list[str] = []
        self._fails_at = fails_at

    @property
    def counters(self) -> dict[str, int | bool]:
        return {"sent": len(self.told)}

    def _note(self, what: str) -> None:
        self.told.append(what)
        if what == self._fails_at:
            raise ZeroDivisionError(what)

    def add(self, result: Result, wall_ns: int) -> None:
        self._note(f"add {result.seq}")

    def end(self, source: str, seq: int, wall_ns: int) -> None:
        self._note("end")

    def close(self) -> None:
        self._note("close")


def config_of(*texts: str) -> Config:
    return load(settings=[setting(text) for text in texts])


@pytest.mark.parametrize("fails_at", ["add 1", "end", "close"])
def test_one_that_fails_is_told_of_once_and_ends_nothing(
    fails_at: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = Notes(fails_at), Notes()
    outputs = Outputs({"bad": bad, "good": good})
    for seq in range(3):
        outputs.add(result(seq), 0)
    outputs.end("cam", 3, 0)
    outputs.close()
    everything = ["add 0", "add 1", "add 2", "end", "close"]
    assert good.told == everything
    kept = everything[: everything.index(fails_at) + 1]
    assert bad.told == [*kept, *(["close"] if fails_at != "close" else [])]
    assert caplog.messages == ["output.bad: has failed; the run goes on without it"]
    assert "ZeroDivisionError" in caplog.text
    assert outputs.counters == {"bad": {"sent": len(bad.told)}, "good": {"sent": 5}}


def test_nobody_is_told_unless_configured() -> None:
    outputs = Outputs(open_outputs(load(), Clock()))
    assert len(outputs) == 0
    outputs.add(result(0), 0)
    outputs.end("cam", 1, 0)
    outputs.close()
    assert outputs.counters == {}


def test_all_that_are_configured_are_told(tmp_path: Path) -> None:
    """Nobody is there; nobody waits for them."""
    outputs = Outputs(
        open_outputs(
            config_of(
                f"output.publish=ipc://{tmp_path}/results",
                f"output.mqtt.address=mqtt://127.0.0.1:{free_port()}",
                "viewer.enabled=true",
                f"links.broadcast=ipc://{tmp_path}/broadcast",
            ),
            Clock(),
        )
    )
    outputs.add(result(0, [1]), 0)
    outputs.close()
    assert outputs.counters["publish"]["sent"] == outputs.counters["broadcast"]["sent"] == 1
    assert outputs.counters["mqtt"]["connected"] is False


def test_keys_of_the_links_count_here_too(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys")
    outputs = open_outputs(config_of("output.publish=tcp://0.0.0.0:*", f"links.keys={keys}"), Clock())
    outputs["publish"].close()
    (keys / "server.key_secret").unlink()
    with pytest.raises(UserError, match=r"server\.key_secret: cannot read this key"):
        open_outputs(config_of("output.publish=tcp://0.0.0.0:*", f"links.keys={keys}"), Clock())


def test_when_one_cannot_be_had_none_is_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MQTT_PASSWORD", raising=False)
    path = tmp_path / "results"
    with pytest.raises(UserError, match="MQTT_PASSWORD"):
        open_outputs(
            config_of(f"output.publish=ipc://{path}", "output.mqtt.address=mqtt://me:${MQTT_PASSWORD}@host"),
            Clock(),
        )
    assert not path.exists()


def test_an_address_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match=f"{address}: cannot listen at this address"):
            open_outputs(config_of(f"output.publish={address}"), Clock())
