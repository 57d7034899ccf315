"""A node as its supervisor knows it: a process, started as often as it takes, or one that runs elsewhere."""

from __future__ import annotations

import collections
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from streaming.backoff import Backoff
from streaming.clock import Clock
from streaming.memory import Memory
from streaming.status import LOST

LAST_LINES = 20
RETRY_S = (1.0, 30.0)  # the shortest and the longest wait before a node is started again
# Without -P, a `model` or `nodes` in the folder the command is given in would be taken for ours.
PROGRAM = (sys.executable, "-P", "-m", "nodes.start")
# Counted by each process anew; those of the ones that died are added. (A recorder finds its own in its file.)
ADD_UP = (
    *LOST, "snippets", "sent", "frames", "read_errors", "repeated", "left_out",
    "clip_calls", "clip_calls_saved",
)  # fmt: skip

State = Literal["starting", "ready", "down", "done", "failed"]


class Process(Protocol):
    """A node's process, as far as a supervisor has to do with it; `subprocess.Popen` is one."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    @property
    def stderr(self) -> IO[str] | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


Begin = Callable[[Sequence[str], int], Process]  # what starts a command line, given so many threads


def begin(args: Sequence[str], threads: int) -> Process:
    """Start a process the usual way."""
    return subprocess.Popen(
        args,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C is for the supervisor, which ends the nodes in order
        env={**os.environ, **environment(threads)},
    )


@dataclass
class Node:
    """A node, over all the processes that it takes.

    state: `starting`; `ready`; `down`, it died and will be started again; `done`, it has come to the end of
        its work; `failed`, it died too often and was given up.
    incarnation: which of its processes this is, counted from 1.
    reason: how it died last.
    error: what it said when it gave up.
    counters: what it has told last, counts of the processes before it included.
    """

    name: str
    process: Process | None = None  # None: it runs elsewhere
    state: State = "starting"
    incarnation: int = 1
    reason: str = ""
    error: str = ""
    counters: dict[str, Any] = field(default_factory=dict)
    pid: int | None = None
    last_lines: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=LAST_LINES))
    reader: threading.Thread | None = None
    backoff: Backoff = field(default_factory=lambda: Backoff(*RETRY_S))
    heard_ns: int = 0  # when it reported last
    ready_ns: int | None = None  # when this process became ready; None before
    died_ns: int = 0
    due_ns: int = 0  # when it is to be started again
    deaths_ns: collections.deque[int] = field(default_factory=collections.deque)
    finishing: bool = False  # it was told that nothing more comes
    unheeded_ns: int = 0  # since when there is nobody any more who takes what comes of it
    _before: dict[str, int] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Nothing more comes of it."""
        return self.state in ("done", "failed")

    @property
    def has_ended(self) -> bool:
        """Whether its process, if it has one here, is no more."""
        return self.process is not None and self.process.poll() is not None

    @property
    def restarts(self) -> int:
        return self.incarnation - 1

    def start(
        self,
        program: Sequence[str],
        settings: Path,
        memory: Memory,
        *,
        threads: int,
        say: Callable[[str], None],
        begin: Begin = begin,
    ) -> None:
        """Start its process. What it has to know of its life so far lies in a file beside its settings: it
        may be more than a command line holds."""
        self.state, self.ready_ns, self.finishing, self.error = "starting", None, False, ""
        self.last_lines.clear()
        remembered = settings.with_name(f"memory-{self.name}.json")
        remembered.write_text(memory.model_dump_json())
        remembered.chmod(0o600)
        self.process = begin([*program, self.name, str(settings), str(remembered)], threads)
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self._read, args=(self.process, say), daemon=True)
        self.reader.start()

    def tells(self, counters: Mapping[str, Any]) -> None:
        """Take in how it says it gets on."""
        added = {key: counters[key] + count for key, count in self._before.items() if key in counters}
        self.counters = {**counters, **added}

    def succeeds_itself(self) -> None:
        """Another process of it begins."""
        self.incarnation += 1
        counts = {key: value for key, value in self.counters.items() if key in ADD_UP}
        self._before |= {key: value for key, value in counts.items() if isinstance(value, int)}

    def kill(self) -> None:
        """End its process, if it has one here, whatever that is doing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def told_all(self) -> None:
        """Wait until what it has written on its standard error has been read."""
        if self.reader is not None:  # not for ever: a child of the node's may hold the other end open
            self.reader.join(timeout=1.0)

    def status(self) -> dict[str, Any]:
        """What is told of it."""
        about: dict[str, Any] = {"state": self.state, **self.counters, "restarts": self.restarts}
        if self.reason:
            about["died"] = self.reason
        if self.process is not None:
            about |= {"pid": self.process.pid, "memory_mib": memory_mib(self.process.pid)}
        return about

    def _read(self, process: Process, say: Callable[[str], None]) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self.last_lines.append(line.rstrip())
                say(f"{self.name}: {line.rstrip()}")


def end_all(nodes: Sequence[Node], grace_s: float) -> None:
    """See every process to its end: those that are done by themselves, the others at a signal."""
    _wait([node.process for node in nodes if node.process is not None and node.state == "done"], grace_s)
    living = [node.process for node in nodes if node.process is not None]
    for signal_, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, None)):
        living = [process for process in living if process.poll() is None]
        for process in living:
            process.send_signal(signal_)
        _wait(living, patience_s)
    for node in nodes:
        node.told_all()


def _wait(processes: list[Process], timeout_s: float | None) -> None:
    """Wait for all of them, together no longer than `timeout_s`."""
    deadline = None if timeout_s is None else Clock().monotonic_ns() + int(timeout_s * 1e9)
    for process in processes:
        remaining_s = None if deadline is None else max(0.0, (deadline - Clock().monotonic_ns()) / 1e9)
        try:
            process.wait(remaining_s)
        except subprocess.TimeoutExpired:
            continue


def environment(threads: int) -> dict[str, str]:
    """What a node's process is told: where the code is, and how to share the cores.

    Libraries get their number of threads, and those that wait for each other soon stop spinning: the cores
    belong to all nodes. (Never spinning is worse: a layer of the model is over before a sleeping thread has
    woken.)
    """
    count = str(threads)
    paths = [str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")]
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "GOMP_SPINCOUNT": "1000",
    }


def memory_mib(pid: int) -> float:
    """What a process holds in memory; 0 for one that has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, LookupError, ValueError):
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def told(last_lines: Sequence[str]) -> str:
    """The last line a process wrote, as the likeliest reason."""
    lines = [line for line in last_lines if line.strip()]
    return f"; its last words: {lines[-1]}" if lines else ""
