from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from streaming.archive.folder import LEDGER
from streaming.archive.ledger import Entry, Ledger
from streaming.errors import UserError

DONE = Entry("a b\n.mp4", 5, 7, "done", "s", 12, 2.0, (("dog", 1.0), ("violin", 0.5)))
FAILED = Entry("b.mp4", 6, 8, "failed", "s", error="why")


def test_what_was_added_is_there_again_and_the_newest_counts(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        for entry in (DONE, FAILED, Entry("b.mp4", 6, 9, "done")):
            ledger.add(entry)
    with Ledger(tmp_path) as ledger:
        assert ledger.entries == {DONE.file: DONE, "b.mp4": Entry("b.mp4", 6, 9, "done")}


@pytest.mark.parametrize("kept", range(1, 40, 13))
def test_a_line_torn_by_a_kill_is_cut_off_and_written_over(tmp_path: Path, kept: int) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.add(DONE)
        whole = (tmp_path / LEDGER).read_bytes()
        ledger.add(FAILED)
    torn = (tmp_path / LEDGER).read_bytes()[: len(whole) + kept]
    (tmp_path / LEDGER).write_bytes(torn)
    with Ledger(tmp_path) as ledger:
        assert ledger.entries == {DONE.file: DONE}
        ledger.add(FAILED)
    with Ledger(tmp_path) as ledger:
        assert list(ledger.entries.values()) == [DONE, FAILED]


def test_a_broken_line_is_told_where_it_is(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_text('{"file": 3}\n')
    with pytest.raises(UserError, match=rf"{LEDGER}:1: no entry of an archive"):
        Ledger(tmp_path)


def test_a_folder_belongs_to_one_until_it_and_its_processes_have_ended(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[ledger.fd]
        )
        with pytest.raises(UserError, match="another run over a folder writes there"):
            Ledger(tmp_path, wait_s=0.0)
    with pytest.raises(UserError, match="another run over a folder writes there"):
        Ledger(tmp_path, wait_s=0.0)
    child.communicate(b"\n")
    with Ledger(tmp_path, wait_s=0.0):
        pass


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Ledger(tmp_path / "file" / "out")
