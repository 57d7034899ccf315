"""Nodes that are forked: real ones, from real nurseries."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from streaming.memory import Memory
from streaming.node_process import Process
from streaming.nursery import Nursery
from streaming.supervisor import resolved_links
from tests.pipeline import alive, descendants, settings, wait_for

pytestmark = pytest.mark.slow  # torch is imported


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as one:
        yield one


@pytest.fixture
def recorder(tmp_path: Path) -> list[str]:
    """What starts a recorder, which waits for ever: nobody talks to it."""
    config = settings(None, tmp_path / "out")
    config = config.model_copy(update={"links": resolved_links(config.links, tmp_path)})
    (tmp_path / "settings.json").write_text(config.model_dump_json())
    (tmp_path / "memory.json").write_text(Memory().model_dump_json())
    return ["recorder", str(tmp_path / "settings.json"), str(tmp_path / "memory.json")]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def said(process: Process) -> str:
    assert process.stderr is not None
    return process.stderr.read()


def test_a_node_is_a_process_that_is_watched_and_ended_like_any_other(
    nursery: Nursery, recorder: list[str]
) -> None:
    first, second = nursery.start(recorder, 1), nursery.start(recorder, 1)
    assert parent(first.pid) == parent(second.pid)
    assert os.getsid(first.pid) == first.pid  # Ctrl-C does not reach it
    with pytest.raises(subprocess.TimeoutExpired):
        first.wait(0.1)
    first.kill()
    assert first.wait(10.0) == first.poll() == -signal.SIGKILL
    assert second.poll() is None
    second.send_signal(signal.SIGSTOP)
    second.send_signal(signal.SIGCONT)
    assert second.poll() is None
    second.kill()
    second.wait(10.0)
    second.kill()  # of one that is no more, nothing comes
    for process in (first, second):
        said(process)


def test_libraries_are_loaded_for_the_number_of_threads_that_is_asked_for(
    nursery: Nursery, recorder: list[str]
) -> None:
    one, two = nursery.start(recorder, 1), nursery.start(recorder, 2)
    for process, threads in ((one, 1), (two, 2)):
        told = Path(f"/proc/{parent(process.pid)}/environ").read_text()
        assert f"\0OMP_NUM_THREADS={threads}\0" in f"\0{told}"
        process.kill()
        process.wait(10.0)


def test_what_a_node_says_and_how_it_ends_is_told(
    nursery: Nursery, recorder: list[str], tmp_path: Path
) -> None:
    (tmp_path / "settings.json").write_text("{")
    process = nursery.start(recorder, 1)
    assert process.wait(60.0) == 1
    assert "Invalid JSON" in said(process)


def test_a_nursery_that_died_is_replaced_and_its_nodes_end_with_it(recorder: list[str]) -> None:
    with Nursery() as nursery:
        node = nursery.start(recorder, 1)
        os.kill(parent(node.pid), signal.SIGKILL)
        assert node.wait(10.0) == -signal.SIGKILL
        assert wait_for(lambda: not alive(node.pid), 10.0)
        successor = nursery.start(recorder, 1)
        assert successor.poll() is None
    assert wait_for(lambda: not alive(successor.pid), 30.0)  # it ends with the nursery


def test_nothing_is_left_behind(recorder: list[str]) -> None:
    before = len(os.listdir("/proc/self/fd")), descendants(os.getpid())
    with Nursery() as nursery:
        process = nursery.start(recorder, 1)
        process.kill()
        process.wait()
        said(process)
        assert process.stderr is not None
        process.stderr.close()
    assert (len(os.listdir("/proc/self/fd")), descendants(os.getpid())) == before
