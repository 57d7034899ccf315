"""A camera of this machine, read with OpenCV."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from streaming.errors import UserError


class Camera(Protocol):
    """An open camera."""

    def read(self) -> np.ndarray | None:
        """The next picture, (H, W, 3) uint8 BGR, as soon as it is there; None when no more will come."""
        ...

    def close(self) -> None: ...


class OpenCvCamera:
    """A camera by number, `0`, or by device, `/dev/video0`.

    width, height, fps: pixels and pictures per second to ask for; None for the camera's own choice.

    Raises `UserError` for a camera that is not there, may not be used, or gives no picture.
    """

    def __init__(
        self, which: str, *, width: int | None = None, height: int | None = None, fps: float | None = None
    ) -> None:
        # OpenCV tries one library after the other, and complains of each on standard error.
        if sys.platform == "linux" and not os.path.exists(device_of(which)):
            raise UserError(why_not(which))
        self._capture: Any = cv2.VideoCapture(int(which) if which.isdigit() else which)
        if not self._capture.isOpened():
            raise UserError(why_not(which))
        asked = {
            cv2.CAP_PROP_FRAME_WIDTH: width,
            cv2.CAP_PROP_FRAME_HEIGHT: height,
            cv2.CAP_PROP_FPS: fps,
            cv2.CAP_PROP_BUFFERSIZE: 1,
        }
        if width or height or fps:  # many cameras send large pictures at full rate as JPEG only
            asked = {cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"MJPG"), **asked}
        for what, value in asked.items():
            if value is not None:
                self._capture.set(what, value)

    def read(self) -> np.ndarray | None:
        there, picture = self._capture.read()
        return picture if there else None

    def close(self) -> None:
        self._capture.release()


def cameras() -> dict[str, str]:
    """The cameras of a Linux machine: device, and what its driver calls it."""
    found = {}
    for entry in sorted(Path("/sys/class/video4linux").glob("video*")):
        try:
            found[f"/dev/{entry.name}"] = (entry / "name").read_text().strip()
        except OSError:
            continue
    return found


def device_of(which: str) -> str:
    """The device of a camera that is given by number or by device."""
    return f"/dev/video{which}" if which.isdigit() else which


def why_not(which: str) -> str:
    """Why a camera cannot be opened, and what to do, as far as can be told from outside."""
    device = device_of(which)
    if not os.path.exists(device):
        others = ", ".join(f"{path} ({name})" for path, name in cameras().items()) or "none"
        return f"no camera {device}; found: {others}"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"{device} may not be used; add yourself to its group: sudo usermod -aG video $USER"
    return f"{device} cannot be opened; does another program use it?"
