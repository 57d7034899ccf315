"""`run_pipeline.py weights` as it is typed, against a server that misbehaves."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import model.depot.download
from model.depot.shelf import folder
from run_pipeline import main
from tests.model.depot.conftest import CONTENT
from tests.model.depot.server import (
    Server,
    answers,
    cut,
    says_nothing_of_itself,
    stall,
    without_ranges,
)
from tests.pipeline import ROOT

pytestmark = pytest.mark.usefixtures("table")
HALF = len(CONTENT) // 2
FOREVER_S = 60


def ears() -> Path:
    return folder() / "ears" / "ears.bin"


def part() -> Path:
    return folder() / "ears" / "ears.bin.part"


def fails(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """The one line of complaint."""
    assert main(["weights", *args]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line.removeprefix("error: ")


def program(table: Path, *args: str, before: str = "pass") -> list[str]:
    """The command in a process of its own, with another table."""
    text = (
        "import sys; from pathlib import Path; import model.depot.table as t; "
        f"t.TABLE = Path(sys.argv[1]); {before}; import run_pipeline; "
        "sys.exit(run_pipeline.main(sys.argv[2:]))"
    )
    return [sys.executable, "-c", text, str(table), "weights", *args]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


# Well -----------------------------------------------------------------------------------------------------


def test_what_is_fetched_is_there_and_right(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "fetch", "ears"]) == 0
    assert ears().read_bytes() == CONTENT
    told = capsys.readouterr().err
    assert "ears.bin: 293.0 KiB of 293.0 KiB\n" in told
    assert told.count("of 293.0 KiB") == 2  # a small file is told of when it begins and when it is there
    assert told.endswith(f"ears: {ears()} fetched\n")
    assert sorted(path.name for path in ears().parent.iterdir()) == [".lock", "ears.bin"]
    assert main(["weights", "verify"]) == 0
    assert capsys.readouterr().out == f"ears: {ears()} is right\n"


def test_what_is_here_is_not_fetched_again(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    main(["weights", "fetch", "ears"])
    capsys.readouterr()
    assert main(["weights", "fetch", "ears"]) == 0
    assert capsys.readouterr().err == f"ears: {ears()} is here and right\n"
    assert len(server.requests) == 1


def test_a_preset_fetches_all_that_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "fetch", "small"]) == 0
    assert ears().is_file()
    assert (folder() / "eyes" / "eyes.bin").read_bytes() == CONTENT
    assert "eyes.bin fetched; it cannot be checked, no SHA-256 of it is known" in capsys.readouterr().err


def test_what_is_here_and_damaged_is_fetched_again(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["weights", "fetch", "ears"])
    ears().write_bytes(bytes(len(CONTENT)))
    assert main(["weights", "verify"]) == 1
    (told,) = capsys.readouterr().out.splitlines()
    wanted = hashlib.sha256(CONTENT).hexdigest()[:12]
    assert f"expected {wanted}; fetch it again: python run_pipeline.py weights fetch ears" in told
    assert main(["weights", "fetch", "ears"]) == 0
    assert ears().read_bytes() == CONTENT


@pytest.mark.parametrize("by", ["option", "variable"])
@pytest.mark.parametrize("below", ["", "/kept/"])
def test_a_mirror_takes_the_place_of_scheme_and_host(
    by: str, below: str, table: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.write_text(table.read_text().replace(server.url, "https://weights.invalid"))
    if by == "variable":
        monkeypatch.setenv("OV_AVSS_MIRROR", server.url + below)
    more = ["--mirror", server.url + below] if by == "option" else []
    assert main(["weights", "fetch", "ears", *more]) == 0
    assert [request.path for request in server.requests] == [below.rstrip("/") + "/models/ears.bin"]


# From a folder --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ears.bin", "below/ears.bin", "renamed.bin"])
def test_a_folder_takes_the_place_of_the_network(name: str, server: Server, tmp_path: Path) -> None:
    carried = tmp_path / "stick" / name
    carried.parent.mkdir(parents=True)
    carried.write_bytes(CONTENT)
    (tmp_path / "stick" / "another").write_bytes(bytes(len(CONTENT)))
    assert main(["weights", "fetch", "ears", "--from", str(tmp_path / "stick")]) == 0
    assert ears().samefile(carried)
    assert server.requests == []


def test_what_cannot_be_linked_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_disk(*args: object, **options: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_disk)
    (tmp_path / "ears.bin").write_bytes(CONTENT)
    assert main(["weights", "fetch", "ears", "--from", str(tmp_path)]) == 0
    assert ears().read_bytes() == CONTENT
    assert not ears().samefile(tmp_path / "ears.bin")


def test_a_folder_without_the_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stick = tmp_path / "stick"
    assert fails(capsys, "fetch", "ears", "--from", str(stick)) == f"--from {stick}: expected a folder"
    stick.mkdir()
    assert fails(capsys, "fetch", "ears", "--from", str(stick)).startswith(f"--from {stick}: has no ears.bin")
    (stick / "ears.bin").write_bytes(bytes(len(CONTENT)))
    assert "ears.bin: its SHA-256 begins with" in fails(capsys, "fetch", "ears", "--from", str(stick))
    assert not ears().exists()


def test_what_is_got_by_hand_comes_from_a_folder_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = (
        "hands cannot be fetched; ask for hands.bin, then: python run_pipeline.py weights fetch hands --from "
    )
    assert fails(capsys, "fetch", "hands").startswith(told)
    (tmp_path / "hands.bin").write_bytes(b"x")
    assert main(["weights", "fetch", "hands", "--from", str(tmp_path)]) == 0
    assert "it cannot be checked" in capsys.readouterr().err


# Interrupted ----------------------------------------------------------------------------------------------


def test_a_connection_that_ends_is_taken_up_where_it_was(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.manners = [cut(HALF), answers(503), cut(1)]
    assert main(["weights", "fetch", "ears"]) == 0
    assert ears().read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={HALF}-", f"bytes={HALF}-", f"bytes={HALF + 1}-"]
    assert "stopped at 146.5 KiB of 293.0 KiB; again in 0 s" in capsys.readouterr().err


def test_a_server_that_gives_no_parts_gives_the_whole(server: Server) -> None:
    server.manners = [cut(HALF), without_ranges]
    assert main(["weights", "fetch", "ears"]) == 0
    assert ears().read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_a_server_that_never_comes_to_the_end_is_given_up(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.manners = [cut(HALF), *[answers(503)] * 5]
    told = fails(capsys, "fetch", "ears")
    assert "answers 503 Service Unavailable; given up after 6 tries, try later" in told
    assert told.endswith("; 146.5 KiB are kept, the same command goes on from there")
    assert part().read_bytes() == CONTENT[:HALF]
    assert main(["weights", "fetch", "ears"]) == 0
    assert server.ranges[-1] == f"bytes={HALF}-"


def test_the_wait_that_a_server_asks_for_is_kept(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(model.depot.download.time, "sleep", waits.append)
    server.manners = [answers(429, Retry_After="7"), answers(503, Retry_After="9999")]
    assert main(["weights", "fetch", "ears"]) == 0
    assert waits == [7.0, 60.0]


def test_without_a_sum_only_the_same_version_is_gone_on_with(server: Server) -> None:
    server.manners = [cut(HALF)]
    assert main(["weights", "fetch", "eyes"]) == 0
    assert (server.requests[1].range, server.requests[1].if_range) == (f"bytes={HALF}-", server.etag)

    eyes = folder() / "eyes" / "eyes.bin"
    eyes.unlink()
    server.manners = [cut(HALF), answers(500)]
    server.manners += [answers(500)] * 4
    assert main(["weights", "fetch", "eyes"]) == 2
    server.content, server.etag = CONTENT[::-1], '"two"'
    assert main(["weights", "fetch", "eyes"]) == 0
    assert eyes.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("have", [CONTENT, CONTENT + b"x"], ids=["all", "more"])
@pytest.mark.parametrize("known", [True, False])
def test_a_part_with_nothing_left_to_come_is_dealt_with(
    have: bytes, known: bool, server: Server, table: Path
) -> None:
    """As a stop between the last byte and the name leaves it; the size may be unknown."""
    if not known:
        table.write_text(table.read_text().replace(f"bytes: {len(CONTENT)}", "bytes: null"))
    part().parent.mkdir(parents=True)
    part().write_bytes(have)
    assert main(["weights", "fetch", "ears"]) == 0
    assert ears().read_bytes() == CONTENT


def test_a_part_of_something_else_is_found_out(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    part().parent.mkdir(parents=True)
    part().write_bytes(bytes(HALF))
    assert main(["weights", "fetch", "ears"]) == 0
    assert ears().read_bytes() == CONTENT
    assert "what was here of it did not belong to it; from the beginning" in capsys.readouterr().err


def test_ctrl_c_keeps_what_came_and_says_how_to_go_on(table: Path, server: Server) -> None:
    server.manners = [stall(HALF)]
    process = subprocess.Popen(
        program(table, "fetch", "ears"),
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has Ctrl-C ignored, and so have its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert server.stalled.wait(FOREVER_S)
        until = time.monotonic() + FOREVER_S
        while not (part().is_file() and part().stat().st_size == HALF):
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=FOREVER_S)[1]
    finally:
        process.kill()
    assert process.returncode == 130
    assert told.endswith("ears: stopped; 146.5 KiB are kept, the same command goes on from there\n")
    assert "Traceback" not in told
    assert main(["weights", "fetch", "ears"]) == 0
    assert server.ranges == [None, f"bytes={HALF}-"]


# Wrong ----------------------------------------------------------------------------------------------------


def test_other_content_is_removed_and_told(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.content = bytes(len(CONTENT))
    found, wanted = (hashlib.sha256(one).hexdigest()[:12] for one in (server.content, CONTENT))
    told = f"ears: ears.bin: its SHA-256 begins with {found}, expected {wanted}"
    assert fails(capsys, "fetch", "ears") == told
    assert not part().exists()
    assert not ears().exists()


def test_another_length_is_told_before_anything_comes(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.content = b"<html>please log in</html>"
    assert "has 26 bytes under that name, expected 300000: another file, or a page to log in at" in fails(
        capsys, "fetch", "ears"
    )
    assert not part().exists()


def test_more_than_expected_is_cut_off(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.content = CONTENT + b"x"
    server.manners = [says_nothing_of_itself]
    assert "gives more than the 300000 bytes expected" in fails(capsys, "fetch", "ears")
    assert not part().exists()


def test_without_length_and_sum_an_end_cannot_be_told(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.manners = [says_nothing_of_itself]
    assert "does not say how long eyes.bin is" in fails(capsys, "fetch", "eyes")


def test_a_file_that_is_gone_is_told_at_once(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.manners = [answers(404)]
    host = server.url.removeprefix("http://")
    told = f"ears: {host} answers 404 Not Found; try another mirror, or get it by hand"
    assert fails(capsys, "fetch", "ears") == told
    assert len(server.requests) == 1


def test_a_way_to_elsewhere_without_https_is_not_gone(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.manners = [answers(302, Location="http://weights.invalid/ears.bin")]
    told = fails(capsys, "fetch", "ears")
    assert "leads on to http://weights.invalid/ears.bin, expected an address with https" in told


def test_a_way_inside_this_machine_is_gone(server: Server) -> None:
    server.manners = [answers(302, Location=f"{server.url}/there")]
    assert main(["weights", "fetch", "ears"]) == 0
    assert [request.path for request in server.requests] == ["/models/ears.bin", "/there"]


def test_what_cannot_be_checked_is_taken_over_https_alone(capsys: pytest.CaptureFixture[str]) -> None:
    told = fails(capsys, "fetch", "eyes", "--mirror", "http://weights.invalid")
    assert "http://weights.invalid/eyes.bin: expected an address with https" in told


def test_no_network_is_told_at_once_and_in_one_line(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{closed.getsockname()[1]}"
    told = fails(capsys, "fetch", "ears", "--mirror", f"http://{host}")
    assert told == (
        f"ears: {host}: Connection refused; is there a network? "
        "Without one: --from FOLDER; by another way: --mirror URL"
    )


@pytest.mark.parametrize(
    "mirror", ["weights.org", "ftp://weights.org", "https://me:word@weights.org", "https://"]
)
def test_a_mirror_that_is_no_address_is_told(mirror: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = fails(capsys, "fetch", "ears", "--mirror", mirror)
    assert told.startswith(f"ears: mirror: found '{mirror}', expected https://HOST")


# A disk that is full, a folder that is none ---------------------------------------------------------------


def test_what_has_no_room_is_not_begun(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(model.depot.download.shutil, "disk_usage", lambda path: Usage)
    told = fails(capsys, "fetch", "ears")
    assert told == f"ears: 293.0 KiB are to come, and 1000 bytes are free in {ears().parent}"
    assert not part().exists()


def test_a_disk_that_fills_up_keeps_what_came(table: Path, server: Server) -> None:
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({HALF}, {HALF}))"
    done = subprocess.run(
        program(table, "fetch", "ears", before=limit), env=environment(), check=False,
        capture_output=True, text=True, timeout=FOREVER_S,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"error: ears: no room is left in {ears().parent}; make some, or move the folder with OV_AVSS_CACHE; "
        "146.5 KiB are kept, the same command goes on from there"
    )
    assert main(["weights", "fetch", "ears"]) == 0
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_a_cache_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("OV_AVSS_CACHE", str(tmp_path / "file"))
    told = fails(capsys, "fetch", "ears")
    assert told.endswith("cannot be written (Not a directory); choose another folder with OV_AVSS_CACHE")


# Two at once ----------------------------------------------------------------------------------------------


def test_who_comes_second_waits_and_finds_it_here(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ears().parent.mkdir(parents=True)
    waiting = threading.Event()
    locking = fcntl.flock

    def watched(file: object, how: int) -> None:
        if not how & fcntl.LOCK_NB:
            waiting.set()
        locking(file, how)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", watched)
    with (ears().parent / ".lock").open("w") as lock:
        locking(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=main, args=[["weights", "fetch", "ears"]])
        second.start()
        assert waiting.wait(FOREVER_S)
        ears().write_bytes(CONTENT)
    second.join(FOREVER_S)
    assert capsys.readouterr().err.splitlines() == [
        "ears: another process fetches it; waiting for that",
        f"ears: {ears()} is here and right",
    ]
    assert server.requests == []


def test_two_processes_at_once_fetch_it_once(table: Path, server: Server) -> None:
    server.manners = [stall(HALF)]
    both = [
        subprocess.Popen(
            program(table, "fetch", "ears"), env=environment(), stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        told = []
        assert server.stalled.wait(FOREVER_S)
        server.released.set()
        told = [process.communicate(timeout=FOREVER_S)[1] for process in both]
    finally:
        for process in both:
            process.kill()
    assert [process.returncode for process in both] == [0, 0], told
    assert ears().read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={HALF}-"]


# list -----------------------------------------------------------------------------------------------------


def test_list_tells_of_all_and_what_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    main(["weights", "fetch", "ears"])
    capsys.readouterr()
    assert main(["weights", "list"]) == 0
    told = capsys.readouterr().out
    rows = {line.split()[0]: " ".join(line.split()) for line in told.splitlines() if line.split()}
    assert rows["ears"] == "ears here 293.0 KiB SHA-256 none small tests"
    assert rows["eyes"] == "eyes not here not checked none small tests"
    assert "hands: ask for hands.bin, then: python run_pipeline.py weights fetch hands --from FOLDER" in told
    assert told.endswith(f"they lie in {folder()}\n")


def test_list_for_programs_holds_what_the_table_holds(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    part().parent.mkdir(parents=True)
    part().touch()
    assert main(["weights", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == str(folder())
    first = told["weights"][0]
    assert (first["name"], first["state"], first["presets"]) == ("ears", "in part", ["small"])
    assert first["files"] == [
        {
            "name": "ears.bin",
            "address": f"{server.url}/models/ears.bin",
            "bytes": len(CONTENT),
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "state": "in part",
            "path": str(ears()),
        }
    ]


def test_verify_of_nothing_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "verify"]) == 0
    assert capsys.readouterr().out == f"no weights are in {folder()}\n"


def test_a_name_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "found 'eras', which is the name of no weights" in fails(capsys, "fetch", "eras")
