"""What both feature stages make of a snippet besides what is heard: its picture at the model's size."""

from __future__ import annotations

from typing import Any

from model.level import level_dbfs
from model.pictures import model_size, resized
from streaming.messages import Snippet


def pictured(snippet: Snippet, *, short_side: int, max_side: int) -> dict[str, Any]:
    """The fields of its `Features` that do not depend on who hears.

    The picture stays uint8: normalising it is quicker than sending four times the bytes, and CLIP crops from
    it later.
    """
    height, width = snippet.frame.shape[:2]
    return {
        "image": resized(snippet.frame, model_size((height, width), short_side, max_side)),
        "frame_size": (height, width),
        "frame_t_ns": snippet.frame_t_ns,
        "has_audio": snippet.has_audio,
        "audio_dbfs": round(level_dbfs(snippet.audio), 3),
    }
