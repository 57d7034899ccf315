"""A real microphone for tests: a PulseAudio server with a membrane that the test moves."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

RATE_HZ = 44_100


def missing() -> str | None:
    """Why there can be no microphone here; `.ci/run` installs what it needs."""
    for program in ("pulseaudio", "pactl"):
        if shutil.which(program) is None:
            return f"no {program}"
    try:
        import sounddevice  # noqa: F401
    except OSError as error:
        return str(error)
    return None


needs_microphone = pytest.mark.skipif(missing() is not None, reason=f"no microphone: {missing()}")


class PulseMicrophone:
    """A microphone that PortAudio finds as device `pulse`, for as long as this lives."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        socket = folder / "server"
        monkeypatch.setenv("PULSE_SERVER", f"unix:{socket}")
        monkeypatch.setenv("PULSE_SOURCE", "vmic")
        self._environment = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        self._server = subprocess.Popen(
            [
                "pulseaudio", "-n", "--daemonize=no", "--system=false", "--exit-idle-time=-1",
                "--use-pid-file=no", "--log-target=stderr", "--log-level=error",
                f"--load=module-native-protocol-unix socket={socket} auth-anonymous=1",
                f"--load=module-pipe-source source_name=vmic file={folder}/membrane "
                f"format=float32le rate={RATE_HZ} channels=1",
            ],
            env=self._environment, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 10
        while subprocess.run(["pactl", "info"], env=self._environment, capture_output=True).returncode:
            assert time.monotonic() < deadline, "PulseAudio does not answer"
            time.sleep(0.05)
        self._membrane = open(folder / "membrane", "wb", buffering=0)  # noqa: SIM115

    def hear(self, samples: np.ndarray) -> None:
        """(n,) float32 at RATE_HZ, recorded now. Its quartz is whoever calls this, again and again."""
        self._membrane.write(samples.astype("<f4").tobytes())

    def close(self) -> None:
        self._server.terminate()
        self._server.wait(10)
        self._membrane.close()
