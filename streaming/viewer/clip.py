"""The last seconds of a source as an MP4, with sound and masks."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from streaming.annotated_video import AnnotatedVideo
from streaming.messages import Preview, Result

NICE = 15  # whoever wants a film waits a little longer, and the run does not notice


def film(previews: Sequence[Preview], results: Sequence[Result], *, notice: str = "") -> bytes | None:
    """A film of these hops with the answers drawn in; None when they have no picture.

    Raises `UserError` when there is no room to make it.
    """
    with tempfile.TemporaryDirectory(prefix="ovavss-clip-") as folder:
        path = Path(folder) / "clip.mp4"
        limit = len(previews) + len(results) + 1
        with AnnotatedVideo(path, notice=notice, waiting_limit=limit) as video:
            for result in results:
                video.add_result(result)
            for preview in previews:
                video.add_preview(preview)
        return path.read_bytes() if path.exists() else None


def stand_back() -> None:
    """Let other threads of this machine come first, this one and those that it starts."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
