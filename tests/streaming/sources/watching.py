"""Watching a live source in a test, and what its flashes and beeps tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from streaming.messages import End, Preview, Snippet, encode
from streaming.sources.live import LiveSource
from tests.media import is_lit

SECOND = 1_000_000_000
RATE = 16_000


@dataclass
class Watched:
    """A source that a thread of its own plays, and what came of it."""

    source: LiveSource
    snippets: list[Snippet] = field(default_factory=list)
    came_ns: list[int] = field(default_factory=list)
    previews: list[Preview] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def _play(self) -> None:
        for message in self.source:
            if message is None:
                continue
            assert not isinstance(message, End)
            encode(message)  # every message keeps its schema
            if isinstance(message, Preview):
                self.previews.append(message)
            else:
                self.came_ns.append(time.monotonic_ns())
                self.snippets.append(message)

    def until(self, what: Callable[[], Any], timeout_s: float = 20.0) -> float:
        """Wait until something is so; after how many seconds."""
        begun = time.monotonic()
        while not what():
            assert time.monotonic() - begun < timeout_s, self.source.counters
            time.sleep(0.02)
        return time.monotonic() - begun

    def more(self, count: int, timeout_s: float = 20.0) -> list[Snippet]:
        """So many new snippets."""
        have = len(self.snippets)
        self.until(lambda: len(self.snippets) >= have + count, timeout_s)
        return self.snippets[have : have + count]

    def state(self) -> Any:
        return self.source.counters["connection"]

    def close(self) -> None:
        self.source.close()
        self._thread.join(5)
        assert not self._thread.is_alive()


def onsets(snippets: Sequence[Snippet]) -> list[tuple[float, float]]:
    """When light goes on and the sound that goes with it begins, in seconds of stream time.

    From snippets so close together that each frame is the picture of one: half the distance of frames is
    close enough whatever their stamps' jitter.
    """
    lights = sorted({snippet.frame_t_ns: is_lit(snippet.frame) for snippet in snippets}.items())
    found = []
    for (_, dark), (t_ns, lit) in pairwise(lights):
        if dark or not lit:
            continue
        around = next((s for s in snippets if s.t_ns + SECOND // 4 <= t_ns <= s.t_ns + 3 * SECOND // 4), None)
        if around is None:
            continue
        loud = np.abs(around.audio) > 0.1
        starts = np.flatnonzero(loud[1:] & ~loud[:-1]) + 1
        starts = [int(s) for s in starts if not loud[max(0, s - 800) : s].any()]
        heard_s = [around.t_ns / 1e9 + start / RATE for start in starts]
        if heard_s:
            found.append((t_ns / 1e9, min(heard_s, key=lambda s: abs(s - t_ns / 1e9))))
    return found
