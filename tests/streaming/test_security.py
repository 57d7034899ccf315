"""Nothing is reachable from elsewhere without keys, and with keys only by those on the list."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
import zmq.auth

from streaming.clock import Clock
from streaming.errors import UserError
from streaming.link import Receiver, Sender
from streaming.messages import End
from streaming.security import (
    MAX_IPC_BYTES,
    SOCKET_NAME_BYTES,
    Security,
    Sockets,
    check_address,
    make_keys,
    make_socket_dir,
)

clock = Clock()

FREE = [
    "ipc:///run/user/1000/ovavss/link",
    "ipc://relative/link",
    "tcp://127.0.0.1:5555",
    "tcp://127.0.0.1:*",
    "tcp://127.4.5.6:5555",
    "tcp://localhost:5555",
    "tcp://[::1]:5555",
]
REACHABLE = [
    "tcp://*:5555",
    "tcp://0.0.0.0:5555",
    "tcp://[::]:5555",
    "tcp://192.168.1.4:5555",
    "tcp://camera.example.org:5555",
    "tcp://eth0:5555",
    "tcp://127.1:5555",
]
MALFORMED = [
    "",
    "5555",
    "tcp://127.0.0.1",
    "tcp://127.0.0.1:port",
    "tcp://127.0.0.1:0;192.168.1.4:5555",
    "tcp://127.0.0.1:5555/path",
    "tcp:// 127.0.0.1:5555",
    "udp://127.0.0.1:5555",
    "inproc://link",
    "ipc://",
    "ipc://@abstract",
    "ipc://*",
    f"ipc:///{'x' * MAX_IPC_BYTES}",
]


@pytest.mark.parametrize("address", FREE)
def test_ipc_and_loopback_need_no_keys(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize("address", REACHABLE)
def test_what_others_can_reach_needs_keys_to_listen_and_to_connect(address: str, tmp_path: Path) -> None:
    for way in (Sockets().listen, Sockets().connect):
        with pytest.raises(UserError, match=r"`python run_pipeline\.py keys DIR`") as caught:
            way(zmq.DEALER, address, max_bytes=100)
        assert address in str(caught.value)
    check_address(address, Security(make_keys(tmp_path / "keys")))


@pytest.mark.parametrize("address", MALFORMED)
def test_a_malformed_address_is_refused_even_with_keys(address: str, tmp_path: Path) -> None:
    security = Security(make_keys(tmp_path / "keys"))
    for keys in (None, security):
        with pytest.raises(UserError):
            check_address(address, keys)


def test_keys_are_private_and_never_overwritten(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "new" / "keys")
    names = {str(path.relative_to(keys)) for path in keys.rglob("*") if path.is_file()}
    assert names == {
        "server.key",
        "server.key_secret",
        "client.key",
        "client.key_secret",
        "clients/client.key",
    }
    for path in keys.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)
    assert keys.stat().st_mode & 0o777 == 0o700
    before = (keys / "server.key_secret").read_bytes()
    with pytest.raises(UserError, match="never overwritten"):
        make_keys(keys)
    assert (keys / "server.key_secret").read_bytes() == before


def test_two_sets_of_keys_differ(tmp_path: Path) -> None:
    pairs = [zmq.auth.load_certificate(make_keys(tmp_path / name) / "server.key_secret") for name in "ab"]
    assert pairs[0] != pairs[1]


def test_mistakes_with_keys_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such directory of keys"):
        Security(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write keys there"):
        make_keys(tmp_path / "file" / "keys")
    keys = make_keys(tmp_path / "keys")
    (keys / "server.key_secret").chmod(0o644)
    with pytest.raises(UserError, match="others can read this secret key"):
        Sender("tcp://127.0.0.1:*", overflow="block", clock=clock, security=Security(keys))
    (keys / "client.key_secret").write_text("not a key")
    with pytest.raises(UserError, match=r"client\.key_secret: cannot read this key"):
        Receiver("tcp://127.0.0.1:5555", clock=clock, security=Security(keys))
    (keys / "client.key_secret").unlink()
    with pytest.raises(UserError, match=r"client\.key_secret: cannot read this key"):
        Receiver("tcp://127.0.0.1:5555", clock=clock, security=Security(keys))


@pytest.fixture
def receiver_at() -> Iterator[Callable[[str, Security | None], Receiver]]:
    made: list[Receiver] = []

    def make(address: str, security: Security | None) -> Receiver:
        made.append(Receiver(address, clock=clock, security=security))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_listed_client_is_let_in_and_strangers_are_not(
    tmp_path: Path, receiver_at: Callable[[str, Security | None], Receiver]
) -> None:
    ours = make_keys(tmp_path / "ours")
    stranger = make_keys(tmp_path / "stranger")
    (stranger / "server.key").write_bytes((ours / "server.key").read_bytes())  # knows whom to talk to
    misled = make_keys(tmp_path / "misled")
    for name in ("client.key", "client.key_secret"):  # is listed, but expects another server
        (misled / name).write_bytes((ours / name).read_bytes())

    end = End(source="cam", generation=0, seq=0, t_ns=0, emitted_ns=0, reason="end of file")
    sender = Sender("tcp://127.0.0.1:*", overflow="block", clock=clock, security=Security(ours))
    try:
        assert sender.send(end, 0)
        for keys in (None, Security(stranger), Security(misled)):
            assert receiver_at(sender.address, keys).receive(0.3) is None
        assert sender.sent == 0
        receiver = receiver_at(sender.address, Security(ours))
        assert receiver.receive(20) == end
        receiver.acknowledge()
        assert sender.end(20)
    finally:
        sender.close()


def test_a_guest_is_added_by_its_public_key(
    tmp_path: Path, receiver_at: Callable[[str, Security | None], Receiver]
) -> None:
    ours, guest = make_keys(tmp_path / "ours"), make_keys(tmp_path / "guest")
    (ours / "clients" / "guest.key").write_bytes((guest / "client.key").read_bytes())
    (guest / "server.key").write_bytes((ours / "server.key").read_bytes())
    (guest / "server.key_secret").unlink()
    end = End(source="cam", generation=0, seq=0, t_ns=0, emitted_ns=0, reason="end of file")
    sender = Sender("tcp://127.0.0.1:*", overflow="block", clock=clock, security=Security(ours))
    try:
        assert sender.send(end, 0)
        assert receiver_at(sender.address, Security(guest)).receive(20) == end
    finally:
        sender.close()


def test_ipc_is_the_same_with_and_without_keys(
    tmp_path: Path, receiver_at: Callable[[str, Security | None], Receiver]
) -> None:
    security = Security(make_keys(tmp_path / "keys"))
    end = End(source="cam", generation=0, seq=0, t_ns=0, emitted_ns=0, reason="end of file")
    sender = Sender(f"ipc://{tmp_path}/link", overflow="block", clock=clock, security=security)
    try:
        assert (tmp_path / "link").stat().st_mode & 0o777 == 0o700
        assert sender.send(end, 0)
        assert receiver_at(sender.address, None).receive(20) == end
    finally:
        sender.close()


def test_the_run_directory_is_private_and_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    for runtime_dir in (tmp_path, deep, tmp_path / "absent"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime_dir))
        directory = make_socket_dir()
        try:
            assert directory.stat().st_mode & 0o777 == 0o700
            assert len(os.fsencode(directory)) + SOCKET_NAME_BYTES <= MAX_IPC_BYTES
        finally:
            directory.rmdir()
    assert list(deep.iterdir()) == []


def test_no_place_for_sockets_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: str) -> str:
        raise PermissionError

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(UserError, match="set TMPDIR"):
        make_socket_dir()
