"""What is told of folders, sockets, ports and limits."""

from __future__ import annotations

import resource
import shutil
import socket
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streaming.config import ViewerConfig
from streaming.doctor import machine
from streaming.doctor.findings import Finding
from streaming.doctor.machine import folders, limits, ports


def only(found: Any) -> Finding:
    (one,) = found
    return one


def test_a_folder_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    out, sockets = folders(str(tmp_path / "a" / "b"))
    assert out.mark == sockets.mark == "ok"
    assert out.fact.startswith(f"{tmp_path}/a/b: can be written to, ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", ["notes.txt", "notes.txt/out", "/proc/out"])
def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path, out: str) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    one = next(folders(str(tmp_path / out)))
    assert one.mark == "problem"
    assert "cannot be written to (" in one.fact
    assert "--out" in one.mend


@pytest.mark.parametrize(("mib", "mark"), [(1, "problem"), (100, "note"), (10_000, "ok")])
def test_a_disk_has_to_have_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mib: int, mark: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=mib << 20))
    one = next(folders(str(tmp_path)))
    assert one.mark == mark
    assert bool(one.mend) == (mark != "ok")


def test_a_machine_without_a_place_for_sockets_cannot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**options: Any) -> str:
        raise OSError

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    _, one = folders(str(tmp_path))
    assert one == Finding(
        "problem", "no place for sockets: set TMPDIR to a short path that you can write to",
        "export TMPDIR=/tmp",
    )  # fmt: skip


def test_a_folder_on_a_disk_that_knows_no_sockets_is_a_problem_and_is_left_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused:
        def __init__(self, *args: Any) -> None:
            raise OSError(1, "Operation not permitted")

    (tmp_path / "run").mkdir()
    monkeypatch.setattr(machine, "make_socket_dir", lambda: tmp_path / "run")
    monkeypatch.setattr(machine.socket, "socket", Refused)
    *_, one = folders(str(tmp_path))
    assert one.mark == "problem"
    assert one.fact == f"no socket can be made in {tmp_path}: Operation not permitted"
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(machine, "ViewerConfig", lambda: ViewerConfig(port=port))
        loopback, page = ports()
    assert loopback.mark == "ok"
    assert page.mark == "note"
    assert page.fact == f"port {port}, of the page to watch a run on, cannot be had: Address already in use"
    assert "viewer.port=0" in page.mend
    assert [one.mark for one in ports()] == ["ok", "ok"]


def test_without_loopback_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LOOPBACK", "192.0.2.1")  # no address of any machine
    assert only(ports()).mark == "problem"


@pytest.mark.parametrize(("files", "mark"), [(64, "note"), (1024, "ok"), (resource.RLIM_INFINITY, "ok")])
def test_few_open_files_are_a_note(monkeypatch: pytest.MonkeyPatch, files: int, mark: str) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (files, 4096))
    one = only(limits())
    assert one.mark == mark
    assert one.mend == ("ulimit -n 4096" if mark == "note" else "")
