"""Cameras that tests start, stop, freeze and bring back: see `rtsp_server.py`."""

from __future__ import annotations

import signal
import subprocess
from functools import cache
from pathlib import Path

import pytest

SERVER = Path(__file__).with_name("rtsp_server.py")
PYTHON = "/usr/bin/python3"  # Debian's, which has GStreamer


@cache
def missing() -> str | None:
    """Why there can be no camera here; `.ci/run` installs what it needs."""
    try:
        asked = subprocess.run([PYTHON, str(SERVER), "--help"], capture_output=True, text=True)
    except OSError as error:
        return str(error)
    return asked.stderr.strip().splitlines()[-1] if asked.returncode else None


needs_rtsp = pytest.mark.skipif(missing() is not None, reason=f"no RTSP server: {missing()}")


class RtspCamera:
    """A real RTSP server on loopback that plays a clip, from its beginning, to everyone who connects."""

    def __init__(self, clip: Path, *options: str) -> None:
        self._clip, self._options = clip, options
        self.port = 0
        self.start()

    def start(self) -> None:
        """Be there, at the same address as before."""
        self._process = subprocess.Popen(
            [PYTHON, str(SERVER), str(self._clip), "--port", str(self.port), *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    @property
    def uri(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/camera"

    def kill(self) -> None:
        """Be gone without a word."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def freeze(self) -> None:
        """Send nothing more, and close nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def tell(self, what: str) -> None:
        """`mute` or `unmute`."""
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
