"""A run over a folder: each recording is a run of its own, several at once; what was done is not done again.

One bad file stops nothing: whatever becomes of it befalls processes of its own. They are forked from one that
has loaded their libraries (`streaming/nursery.py`), so that a short file costs a fraction of a run by itself.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from streaming.archive.folder import Folder, Found
from streaming.archive.ledger import Entry, Ledger
from streaming.archive.probe import Prober
from streaming.archive.table import damage, in_words, sounded
from streaming.clock import Clock
from streaming.config import Config
from streaming.errors import UserError
from streaming.nursery import Nursery
from streaming.run_record import RunRecord
from streaming.supervisor import NodeFailure, Supervisor

# A file that is called so and cannot be read is broken; any other is no recording.
ENDINGS = {
    *(
        ".3gp",
        ".asf",
        ".avi",
        ".divx",
        ".dv",
        ".f4v",
        ".flv",
        ".m2ts",
        ".m2v",
        ".m4v",
        ".mcap",
        ".mkv",
        ".mov",
    ),
    *(".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".qt", ".rm", ".rmvb", ".vob", ".webm", ".wmv"),
}
TELL_S = 10.0

log = logging.getLogger(__name__)


class Stopped(Exception):
    """Somebody wants an end."""


class Archive:
    """What there is to do in a folder, and who does it.

    config: what every run has in common; `source.uri` is the folder, `output.dir` where everything goes.
    more: what a run's record holds besides, such as `weights`.
    words: the vocabulary, which a file may hold that has changed.
    say: is given each line for a person.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        *,
        more: Mapping[str, Any],
        words: tuple[str, ...],
        retry_failed: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.config, self.out = config, Path(config.output.dir)
        self.counts: Counter[str] = Counter()
        self._ledger, self._more, self._retry_failed, self._say = ledger, more, retry_failed, say
        self._settings = settings_of(config, {**more, "words": words})
        self._folder = Folder(Path(config.source.uri), self.out, unlisted=self._unlisted)
        self._unlisted_entries: list[Entry] = []
        self._seen: list[str] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._running: dict[str, Supervisor] = {}
        self._broken: BaseException | None = None
        self._total = 0

    def summary(self, entries: Sequence[Entry]) -> list[str]:
        """In lines what was done, what had been done before, and what was left out."""
        seconds, failed = sum(one.seconds for one in entries), sum(one.state == "failed" for one in entries)
        lines = [
            f"{len(entries)} recordings, {seconds:.1f} s: {self.counts['done']} done, "
            f"{self.counts['before']} known from before, {failed} failed"
        ]
        left_out = {"not recordings": self.counts["other"], "hidden": self._folder.hidden}
        left_out["links to nothing new"] = self._folder.links
        if told := ", ".join(f"{count} {why}" for why, count in left_out.items() if count):
            lines.append(f"left out: {told}")
        if self._stopping.is_set():
            lines.append("stopped before the end; the same command goes on")
        return [*lines, f"written to {self.out}"]

    def stop(self) -> None:
        """An orderly end, from a signal handler or another thread; a second call hurries."""
        self._stopping.set()
        for supervisor in list(self._running.values()):
            supervisor.stop()

    def run(self, jobs: int) -> list[Entry]:
        """Run over every file that is left to do, `jobs` at once; what became of all, in the folder's order.

        Raises `UserError` where the folder cannot be listed, or nothing can be kept of what is done.
        """
        self._total = sum(1 for _ in self._folder)
        self._unlisted_entries.clear()
        found = iter(self._folder)
        with Nursery(keeps=(self._ledger.fd,)) as nursery:
            workers = [threading.Thread(target=self._work, args=(found, nursery)) for _ in range(jobs)]
            for worker in workers:
                worker.start()
            told = Clock()
            told_ns = told.monotonic_ns()
            for worker in workers:
                while worker.is_alive():
                    worker.join(0.2)
                    if told.monotonic_ns() - told_ns > TELL_S * 1e9:
                        told_ns = told.monotonic_ns()
                        self._tell_of_running()
        if self._broken is not None:
            raise self._broken
        entries = (self._ledger.entries.get(name) for name in self._seen)
        return [*(one for one in entries if one and one.state != "other"), *self._unlisted_entries]

    # One worker ------------------------------------------------------------------------------------------

    def _work(self, found: Iterator[Found], nursery: Nursery) -> None:
        try:
            with Prober() as prober:
                while (one := self._next(found)) is not None:
                    self._keep(self._entry_of(one, prober, nursery))
        except Stopped:
            pass
        except BaseException as error:  # of nothing that lies in the folder: the disk is full
            self._broken = self._broken or error
            self.stop()

    def _next(self, found: Iterator[Found]) -> Found | None:
        """The next file that is left to do."""
        with self._lock:
            for one in found:
                if self._stopping.is_set():
                    return None
                self._seen.append(one.name)
                if not self._is_done(one):
                    self._ledger.entries.pop(one.name, None)
                    return one
                entry = self._ledger.entries[one.name]
                self.counts["before" if entry.state != "other" else "other"] += 1
        return None

    def _is_done(self, found: Found) -> bool:
        entry = self._ledger.entries.get(found.name)
        if entry is None or not entry.is_of(found):
            return False
        if entry.state == "other":
            return True
        if entry.settings != self._settings:
            return False
        if entry.state == "failed":
            return not self._retry_failed
        return entry.results == results_size(self.out / found.name)

    def _entry_of(self, found: Found, prober: Prober, nursery: Nursery) -> Entry:
        """What becomes of a file."""
        about: dict[str, Any] = {"file": found.name, "size": found.size, "mtime_ns": found.mtime_ns}
        with in_utf8(found.path) as uri:
            try:
                why_not = prober.why_not(uri)
                if why_not is not None and found.path.suffix.lower() not in ENDINGS:
                    return Entry(**about, state="other")
                if why_not is not None:
                    raise UserError(why_not)
                counters = self._run(found, uri, nursery)
                recorder = counters.get("recorder", {})
                return Entry(
                    **about,
                    state="done",
                    settings=self._settings,
                    results=results_size(self.out / found.name),
                    seconds=recorder.get("seconds", 0.0),
                    sounded=sounded(recorder.get("story", {})),
                    error=damage(counters),
                )
            except (UserError, NodeFailure, OSError) as error:
                why = str(error)
            except Stopped:
                raise
            except Exception as error:  # a bug, which is told of one file, and of that in full
                log.exception("%s", found.name)
                why = f"{type(error).__name__}: {error}"
            if self._stopping.is_set():
                raise Stopped
            why = " ".join(why.removeprefix(f"{uri}: ").replace(uri, found.name).split())
            return Entry(**about, state="failed", settings=self._settings, error=why)

    def _run(self, found: Found, uri: str, nursery: Nursery) -> dict[str, dict[str, Any]]:
        """A run over one file, to its end; the counters of its nodes. Raises `Stopped` when broken off."""
        folder = self.out / found.name
        config = self.config.model_copy(
            update={
                "source": self.config.source.model_copy(update={"uri": uri}),
                "output": self.config.output.model_copy(update={"dir": str(folder)}),
            }
        )
        clock = Clock()
        supervisor = Supervisor(
            config,
            clock=clock,
            say=lambda line: self._say(f"{found.name}: {line}"),
            program=(),
            begin=nursery.start,
        )
        self._running[found.name] = supervisor
        try:
            with RunRecord(folder, config, clock, self._more) as record:
                if self._stopping.is_set():
                    raise Stopped
                counters = supervisor.run()
                record.end(counters, "it was stopped" if self._stopping.is_set() else "in order")
        finally:
            del self._running[found.name]
            with suppress(OSError):
                folder.rmdir()  # where nothing came of it
        if self._stopping.is_set():
            raise Stopped
        return counters

    def _keep(self, entry: Entry) -> None:
        self._ledger.add(entry)
        with self._lock:
            self.counts[entry.state] += 1
            place = f"{self.counts.total()} of {self._total}"
        if entry.state == "failed":
            self._say(f"{place}: {entry.file}: failed: {entry.error}")
        elif entry.state == "done":
            heard = f"{entry.seconds:.1f} s, {in_words(entry) or 'nothing sounded'}"
            self._say(f"{place}: {entry.file}: {heard}{entry.error and f' ({entry.error})'}")

    def _tell_of_running(self) -> None:
        self._say(f"{self.counts.total()} of {self._total} files are over")
        for name, supervisor in list(self._running.items()):
            recorder = supervisor.nodes.get("recorder")
            capture = supervisor.nodes.get("capture")
            if recorder is None or capture is None or not (reached_s := recorder.counters.get("reached_s")):
                continue
            of = f" of {whole_s:.0f}" if (whole_s := capture.counters.get("duration_s")) else ""
            self._say(f"{name}: at {reached_s:.0f}{of} s")

    def _unlisted(self, name: str, why: str) -> None:
        if name == ".":
            raise UserError(f"{self.config.source.uri}: {why}")
        self._unlisted_entries.append(Entry(name, 0, 0, "failed", error=why))


def require_archive(config: Config, log_status_s: float | None) -> None:
    """Raises `UserError` for what a run over a folder cannot do."""
    folder, out, output = Path(config.source.uri), Path(config.output.dir), config.output
    if out.resolve() == folder.resolve():
        raise UserError(f"--out: found the folder {folder} itself, expected another one")
    nodes, links = config.nodes.model_dump(), config.links.model_dump()
    wanted = {
        "--viewer": config.viewer.enabled,
        "--record (output.tape)": output.tape,
        "--log-status": log_status_s,
        "output.publish": output.publish,
        "output.mqtt": output.mqtt.address,
        "output.metrics": output.metrics,
        **{f"links.{name}": value for name, value in links.items()},
        **{f"nodes.{name}.here=false": not node["here"] for name, node in nodes.items()},
    }
    if told := [name for name, value in wanted.items() if value]:
        raise UserError(
            f"{folder} is a folder, whose files are runs of their own: leave out {', '.join(told)}, "
            "or run over one file"
        )


def jobs_of(config: Config) -> int:
    """How many files at once the cores carry that this process may use."""
    return max(1, len(os.sched_getaffinity(0)) // config.nodes.model.threads)


def settings_of(config: Config, more: Mapping[str, Any]) -> str:
    """All that results depend on, save the recording, as one hash."""
    settings = config.model_dump(mode="json", exclude={"links": True, "supervision": True})
    del settings["source"]["uri"], settings["output"]["dir"]
    text = json.dumps([settings, more], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def results_size(folder: Path) -> int | None:
    """Bytes of a run's results; None where there are none."""
    try:
        return (folder / "results.jsonl").stat().st_size
    except OSError:
        return None


@contextmanager
def in_utf8(path: Path) -> Iterator[str]:
    """A path to the same file that UTF-8 can hold, as settings and messages have to: a link, if need be."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory(prefix="ov-avss-name-") as folder:
            link = Path(folder) / "recording"
            link.symlink_to(path)
            yield str(link)
    else:
        yield str(path)
