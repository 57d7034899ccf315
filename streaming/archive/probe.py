"""Whether a file is a recording: FFmpeg is asked, in a process that a bad file may kill or hold up."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, Self

from streaming.endings import death
from streaming.node_process import environment

PROGRAM = (sys.executable, "-P", "-m", "streaming.archive.probe")
PATIENCE_S = 60.0
PICTURES = {"gif", "apng"}  # demuxers of what FFmpeg takes for a video, and a person for a picture


class Prober:
    """Asks about one file after the other."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._end()

    def why_not(self, path: str) -> str | None:
        """None for a recording, else in one line why it is none. `path` is text that UTF-8 can hold."""
        process = self._begun()
        asked, answers = _pipes(process)
        try:
            asked.write(json.dumps(path).encode() + b"\n")
            asked.flush()
            with selectors.DefaultSelector() as selector:
                selector.register(answers, selectors.EVENT_READ)
                if not selector.select(self._patience_s):
                    self._end()
                    return f"FFmpeg did not come to an end with it in {self._patience_s:g} s"
            if line := answers.readline():
                return json.loads(line)
        except BrokenPipeError:
            pass
        how = death(process.wait())
        self._end()
        return f"FFmpeg cannot open it: the process that tried {how}"

    def _begun(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                PROGRAM,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **environment(1)},
            )
        return self._process

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in _pipes(self._process):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._process = None


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[Any], IO[Any]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def why_not(path: str) -> str | None:
    """None for what is a recording, else why it is none."""
    from streaming.errors import UserError
    from streaming.sources.recording import Recording
    from streaming.tape import is_tape

    if is_tape(Path(path)):
        return None
    try:
        recording = Recording(Path(path))
    except UserError as error:
        return str(error).removeprefix(f"{path}: ")
    except Exception as error:  # whatever a strange file does, it is told of that file alone
        return f"cannot be opened ({type(error).__name__}: {error})"
    name = recording.container.format.name
    recording.close()
    return f"found a picture ({name})" if name in PICTURES else None


def main() -> None:
    """For a process of its own: a path in JSON in each line it is given, an answer in each that it gives."""
    for line in sys.stdin:
        print(json.dumps(why_not(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
