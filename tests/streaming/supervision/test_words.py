"""What is said of nodes, and what they are given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streaming import node_process, supervisor
from streaming.config import Config, load, setting
from streaming.endings import death
from streaming.node_process import environment, told
from streaming.security import SOCKET_DIR_PREFIX
from streaming.supervisor import NODES, Supervisor
from tests.streaming.supervision.runs import clock


def test_the_line_has_five_nodes(tmp_path: Path) -> None:
    config: Config = load()
    assert tuple(supervisor.used_nodes(config)) == NODES
    watched = load(settings=[setting("viewer.enabled=true")])
    assert tuple(supervisor.used_nodes(watched)) == (*NODES, "viewer")
    assert all(getattr(config.nodes, name).here for name in NODES)
    made = Supervisor(config, clock=clock)
    assert made._directory.name.startswith(SOCKET_DIR_PREFIX)


@pytest.mark.parametrize(
    ("returncode", "words"),
    [
        (0, "ended early with exit code 0"),
        (2, "ended early with exit code 2"),
        (-9, "was killed by SIGKILL"),
        (-64, "was killed by SIGRTMAX"),
        (-63, "was killed by signal 63"),
    ],
)
def test_how_a_process_ended_is_told_in_words(returncode: int, words: str) -> None:
    assert death(returncode) == words


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ""),
        (["", "  "], ""),
        (["Traceback", "KeyError: 1", ""], "; its last words: KeyError: 1"),
    ],
)
def test_the_last_words_are_the_last_line_that_is_not_empty(lines: list[str], words: str) -> None:
    assert told(lines) == words


def test_a_node_finds_the_code_and_gets_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "mine")
    found = environment(3)
    root = str(Path(node_process.__file__).resolve().parent.parent)
    assert found["PYTHONPATH"] == os.pathsep.join([root, "mine"])
    assert {found[f"{library}_NUM_THREADS"] for library in ("OMP", "MKL", "OPENBLAS")} == {"3"}
    monkeypatch.delenv("PYTHONPATH")
    assert environment(1)["PYTHONPATH"] == root
