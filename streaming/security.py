"""Which addresses may be used, with which keys: the only place where sockets are opened.

`ipc` and loopback `tcp` need no keys. Everything else is reachable by others and needs CURVE keys: the
listening side proves itself by its server key and lets in only the clients on its guest list.

A directory of keys holds `server.key_secret` (for machines that listen), `server.key` and `client.key_secret`
(for machines that connect) and, in `clients/`, the public key of every client that is let in.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

from streaming.errors import UserError

SOCKET_DIR_PREFIX = "ovavss-"
MAX_IPC_BYTES = 107  # sun_path of a Unix socket, without its closing zero
SOCKET_NAME_BYTES = 40  # room that a run directory must leave for the names of its sockets
CURVE_BYTES = 1024  # room for its handshake, and for what it adds to each part
TCP = re.compile(r"tcp://(?P<host>\*|\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):(?P<port>\d{1,5}|\*)")


class Sockets:
    """The sockets of one owner, in a context of their own: closing leaves no thread and no file behind.

    Only `listen` and `connect` open a socket, so no address evades the rule. Both close everything and raise
    `UserError` when an address is malformed, not allowed, or already taken.
    """

    def __init__(self, security: Security | None = None) -> None:
        self._security = security
        self._context = zmq.Context()
        self._sockets: list[zmq.Socket] = []
        self._files: list[tuple[Path, int]] = []
        self._authenticator: ThreadAuthenticator | None = None

    def listen(self, kind: int, address: str, *, max_bytes: int, **options: int) -> zmq.Socket:
        """A bound socket that takes no part longer than `max_bytes`; `options` are ZeroMQ's, by name."""
        return self._open(kind, address, True, {"maxmsgsize": max_bytes + CURVE_BYTES, **options})

    def connect(self, kind: int, address: str, *, max_bytes: int, **options: int) -> zmq.Socket:
        """The same, connecting. It goes on trying for as long as it lives."""
        return self._open(kind, address, False, {"maxmsgsize": max_bytes + CURVE_BYTES, **options})

    def close(self) -> None:
        """Close all sockets; their files are gone on return. Waits at most the linger time."""
        for socket in self._sockets:
            socket.close()
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.term()
        for path, inode in self._files:
            with suppress(FileNotFoundError):
                if path.stat().st_ino == inode:  # a successor may have bound the same path already
                    path.unlink()

    def _open(self, kind: int, address: str, listening: bool, options: dict[str, int]) -> zmq.Socket:
        try:
            check_address(address, self._security)
            socket = self._context.socket(kind)
            self._sockets.append(socket)
            socket.linger = 0
            for name, value in options.items():
                socket.set(getattr(zmq, name.upper()), value)
            if address.startswith("tcp://"):
                self._prepare_tcp(socket, address, listening)
            if not listening:
                socket.connect(address)
                return socket
            socket.bind(address)
            if address.startswith("ipc://"):
                path = Path(address.removeprefix("ipc://"))
                path.chmod(0o700)
                self._files.append((path, path.stat().st_ino))
            return socket
        except zmq.ZMQError as error:
            self.close()
            action = "listen at" if listening else "connect to"
            raise UserError(f"{address}: cannot {action} this address: {error.strerror}") from None
        except UserError:
            self.close()
            raise

    def _prepare_tcp(self, socket: zmq.Socket, address: str, listening: bool) -> None:
        socket.ipv6 = "[" in address
        socket.heartbeat_ivl = 2000
        socket.heartbeat_timeout = 6000
        socket.reconnect_ivl_max = 5000
        if self._security is None:
            return
        if not listening:
            self._security.present(socket)
            return
        if self._authenticator is None:
            self._authenticator = ThreadAuthenticator(self._context)
            self._authenticator.start()
            self._authenticator.configure_curve(domain="*", location=self._security.guests)
        self._security.guard(socket)


def check_address(address: str, security: Security | None = None) -> None:
    """Raises `UserError` for a malformed address, and for one beyond this machine when there are no keys."""
    if address.startswith("ipc://"):
        path = address.removeprefix("ipc://")
        if not path or path[0] in "@*":  # both would be sockets without a file, and so without permissions
            raise UserError(f"{address}: expected the path of a file after ipc://")
        if len(os.fsencode(path)) > MAX_IPC_BYTES:
            raise UserError(
                f"{address}: a path longer than {MAX_IPC_BYTES} bytes, the most a socket may have"
            )
        return
    match = TCP.fullmatch(address)
    if match is None:
        raise UserError(f"{address}: not an address, expected ipc://PATH or tcp://HOST:PORT")
    if security is None and not is_loopback(match["host"]):
        raise UserError(
            f"{address}: others can reach this address, so it needs keys: make them with "
            "`python run_pipeline.py keys DIR`, or use 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach a host, by address or as `localhost`."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Security:
    """The CURVE keys in a directory made by `make_keys`. Raises `UserError` when it is not there.

    Keys are read when a socket needs them, so a machine needs only those of the sides that it plays.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        self.guests = self.directory / "clients"
        if not self.directory.is_dir():
            raise UserError(
                f"{directory}: no such directory of keys: make one with `run_pipeline.py keys DIR`"
            )

    def guard(self, socket: zmq.Socket) -> None:
        """Make a listening socket demand keys."""
        socket.curve_publickey, socket.curve_secretkey = self._pair("server")
        socket.curve_server = True

    def present(self, socket: zmq.Socket) -> None:
        """Make a connecting socket show its key, and accept none but the listed server."""
        socket.curve_publickey, socket.curve_secretkey = self._pair("client")
        socket.curve_serverkey, _ = self._load("server.key")

    def _pair(self, side: str) -> tuple[bytes, bytes]:
        name = f"{side}.key_secret"
        public, secret = self._load(name)
        if secret is None:
            raise UserError(f"{self.directory / name}: holds no secret key: make keys again")
        if (self.directory / name).stat().st_mode & 0o077:
            raise UserError(f"{self.directory / name}: others can read this secret key: chmod 600 it")
        return public, secret

    def _load(self, name: str) -> tuple[bytes, bytes | None]:
        path = self.directory / name
        try:
            return zmq.auth.load_certificate(path)
        except (OSError, ValueError) as error:
            hint = "copy it from where the keys were made"
            raise UserError(f"{path}: cannot read this key: {error}: {hint}") from None


def make_keys(directory: Path | str) -> Path:
    """Write a key pair for each side: files of mode 0600 in a directory of mode 0700, which is returned.

    The one directory serves a whole installation; copy it to each machine over a channel you trust. Raises
    `UserError` if the directory already holds something.
    """
    directory = Path(directory)
    guests = directory / "clients"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise UserError(f"{directory}: not empty, and keys are never overwritten: name another directory")
        directory.chmod(0o700)
        guests.mkdir(mode=0o700)
        for side in ("server", "client"):
            zmq.auth.create_certificates(directory, side)
        shutil.copy(directory / "client.key", guests)
        for path in directory.rglob("*.key*"):
            path.chmod(0o600)
    except OSError as error:
        raise UserError(f"{directory}: cannot write keys there: {error.strerror}") from None
    return directory


def make_socket_dir() -> Path:
    """A new directory of mode 0700 for the sockets of one run, with a path short enough for them.

    The caller removes it. Raises `UserError` when every place for temporary files is too deep or closed.
    """
    parents = [os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp", "/var/tmp"]
    for parent in filter(None, parents):
        try:
            directory = Path(tempfile.mkdtemp(prefix=SOCKET_DIR_PREFIX, dir=parent))
        except OSError:
            continue
        if len(os.fsencode(directory)) + SOCKET_NAME_BYTES <= MAX_IPC_BYTES:
            return directory
        directory.rmdir()
    raise UserError("no place for sockets: set TMPDIR to a short path that you can write to")
