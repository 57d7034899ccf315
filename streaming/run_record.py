"""What a run was: its settings without secrets, versions, weights, and how it ended, kept as `run.json`.

The file is written when a run begins and again when it ends, each time whole or not at all. A run into the
same folder adds an entry; docs/results.md lists the keys.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from streaming.clock import Clock
from streaming.config import Config
from streaming.errors import UserError
from streaming.results import iso_utc
from streaming.sources.address import redacted

NAME = "run.json"
RECORD_VERSION = 1
RUNS_KEPT = 50
MOST_BYTES = 32 << 20
SECRET = re.compile(r"(?i)pass|pwd|secret|token|credential|^key$")
PACKAGES = ("ov-avss-live", "torch", "av", "opencv-python", "numpy", "pyzmq")


class RunRecord:
    """The entry of one run in the `run.json` of its folder, as a context around the run.

    It is written on entering. `end`, or leaving, completes it by how the run ended, or takes it back, where
    the run has left no results.

    Args:
        more: what else there is to be known when it begins, such as `weights`.

    Raises:
        UserError: when the file cannot be written.
    """

    def __init__(self, folder: Path, config: Config, clock: Clock, more: Mapping[str, Any]) -> None:
        self._path, self._clock = folder / NAME, clock
        self._over = False
        self._earlier = runs_of(folder)[-(RUNS_KEPT - 1) :]
        self._results = _states(folder)
        self._entry = {
            "begun": iso_utc(clock.wall_ns()),
            "ended": None,
            "ending": None,
            "versions": versions(),
            "machine": {
                "system": platform.system(),
                "processor": platform.machine(),
                "cores": os.cpu_count(),
            },
            **more,
            "settings": without_secrets(config.model_dump(mode="json")),
            "tapes": _tapes(config),
            "counters": None,
        }

    def __enter__(self) -> Self:
        self._save([*self._earlier, self._entry])
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        ending = "in order" if error is None else redacted(str(error) or type(error).__name__)
        self.end(None, ending)

    def end(self, counters: Mapping[str, Any] | None, ending: str = "in order") -> None:
        """The run is over, with these counters of its nodes; what is told later is left unheard."""
        if self._over:
            return
        self._over = True
        if _states(self._path.parent) == self._results:
            self._save(self._earlier)
            return
        self._entry |= {
            "ended": iso_utc(self._clock.wall_ns()),
            "ending": ending,
            "counters": without_secrets(counters),
        }
        self._save([*self._earlier, self._entry])

    def _save(self, runs: list[dict[str, Any]]) -> None:
        beside = self._path.with_suffix(".json.new")
        try:
            if not runs:
                self._path.unlink(missing_ok=True)
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            whole = {"v": RECORD_VERSION, "runs": runs}
            beside.write_text(json.dumps(whole, ensure_ascii=False, indent=1, default=str), "utf-8")
            os.replace(beside, self._path)
        except OSError as error:
            raise UserError(
                f"{self._path}: cannot be written ({error.strerror or error}); choose another --out"
            ) from error


def runs_of(folder: Path) -> list[dict[str, Any]]:
    """The entries of a folder's `run.json`, oldest first; none where the file is missing or broken."""
    path = folder / NAME
    try:
        if path.stat().st_size > MOST_BYTES:
            return []
        runs = json.loads(path.read_text("utf-8"))["runs"]
        return [run for run in runs if isinstance(run, dict) and isinstance(run.get("begun"), str)]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []


def without_secrets(value: Any, key: str = "") -> Any:
    """Settings as they may be shown: no password, token or key, neither in a field nor in an address."""
    if isinstance(value, Mapping):
        return {name: without_secrets(entry, str(name)) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(entry, key) for entry in value]
    if isinstance(value, str):
        return "***" if value and SECRET.search(key) else redacted(value)
    return value


def sha256_of(path: Path) -> str | None:
    """The SHA-256 of a file, in hexadecimal; None for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def versions() -> dict[str, str]:
    """Of Python and of what a run depends on most."""
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _states(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of the results in a folder and those beneath it; they change when results are written."""
    states = {}
    for path in (folder / "results.jsonl", *folder.glob("*/results.jsonl")):
        with suppress(OSError):
            states[str(path)] = path.stat().st_size, path.stat().st_mtime_ns
    return states


def _tapes(config: Config) -> list[str]:
    """Where the frames of this run are kept, if they are: the tape it writes, or the one it plays."""
    written = [config.of_node(name).output.tape for name in config.captures]
    played = [source.uri for source in config.all_sources if source.uri.endswith(".mcap")]
    return [str(Path(path).absolute()) for path in (*written, *played) if path]
