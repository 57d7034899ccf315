"""What a node has to know of its life so far: nothing at first, more when it takes its own place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from streaming.sources.base import Place


class Memory(BaseModel):
    """Handed to a node by its supervisor, before anything else.

    incarnation: which process of this node it is, counted from 1.
    begun_wall_ns: when the run began, by the wall clock; None for one that has not.
    reached: for a capture node, the newest snippet that has come further than it.
    vocabulary: for the classification node, `words` and `revision` of the vocabulary that was set last.
    port: for the viewer, the port at which it was; pages that are open look for it there.
    """

    model_config = ConfigDict(frozen=True)

    incarnation: int = 1
    begun_wall_ns: int | None = None
    reached: Place | None = None
    vocabulary: dict[str, Any] | None = None
    port: int | None = None


def numbered(path: Path, incarnation: int) -> Path:
    """A file that cannot be gone on with: the second process of a node writes NAME-2 beside it."""
    return path if incarnation == 1 else path.with_name(f"{path.stem}-{incarnation}{path.suffix}")
