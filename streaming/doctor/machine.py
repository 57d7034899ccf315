"""Folders, sockets, ports and limits: what a run needs of the machine itself."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from streaming.config import ViewerConfig
from streaming.doctor.findings import Finding
from streaming.errors import UserError
from streaming.security import make_socket_dir

ROOM_MIB = 500  # an hour of film takes several hundred
LEAST_MIB = 20
FILES = 256  # a run of many sources opens some dozens in each process
LOOPBACK = "127.0.0.1"


def folders(out: str) -> Iterator[Finding]:
    """Where results go, and where sockets do."""
    yield _output(Path(out))
    try:
        directory = make_socket_dir()
    except UserError as error:
        yield Finding("problem", str(error), "export TMPDIR=/tmp")
        return
    try:
        # A short name that is no socket of a run's, in the place of one.
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(directory / "broadcast"))
        yield Finding("ok", f"sockets can be made in {directory.parent}")
    except OSError as error:
        yield Finding(
            "problem", f"no socket can be made in {directory.parent}: {error.strerror}",
            "export TMPDIR to a folder on a local disk",
        )  # fmt: skip
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _output(out: Path) -> Finding:
    """The folder, or the nearest above that exists, has to be writable, and have room."""
    there = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    try:
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with tempfile.TemporaryFile(dir=there):
            pass
        free_mib = shutil.disk_usage(there).free >> 20
    except OSError as error:
        return Finding(
            "problem", f"{out}: cannot be written to ({error.strerror})",
            "choose another folder with --out, or make it yours: chown",
        )  # fmt: skip
    fact = f"{out}: can be written to, {free_mib / 1024:.1f} GiB are free"
    if free_mib >= ROOM_MIB:
        return Finding("ok", fact)
    mend = "make room, or choose a folder on another disk with --out"
    return Finding("note" if free_mib >= LEAST_MIB else "problem", fact, mend)


def ports() -> Iterator[Finding]:
    """This machine's own addresses, and the port of the page."""
    if error := _taken(0):
        yield Finding(
            "problem", f"no port of {LOOPBACK} can be listened at: {error}", "ip link set lo up (as root)"
        )
        return
    yield Finding("ok", f"{LOOPBACK} can be listened at")
    port = ViewerConfig().port
    if error := _taken(port):
        yield Finding(
            "note", f"port {port}, of the page to watch a run on, cannot be had: {error}",
            "another run has it; or give --set viewer.port=0 to take any that is free",
        )  # fmt: skip
    else:
        yield Finding("ok", f"port {port}, of the page to watch a run on, is free")


def _taken(port: int) -> str:
    """Why a port cannot be listened at; empty where it can."""
    try:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as those do who will
            one.bind((LOOPBACK, port))
            one.listen()
    except OSError as error:
        return str(error.strerror)
    return ""


def limits() -> Iterator[Finding]:
    """What a process may have."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    fact = f"a process may open {'any number of' if files == resource.RLIM_INFINITY else files} files"
    if files == resource.RLIM_INFINITY or files >= FILES:
        yield Finding("ok", fact)
    else:
        yield Finding("note", f"{fact}; several sources may need more", f"ulimit -n {max(FILES, most)}")
