"""What waits to be sent to one viewer. It is bounded, so a slow viewer costs no more than another.

Text is for everybody and whole: a viewer that has too much of it waiting is too slow to be served. Of
pictures and sound the newest win, and a viewer that loses pictures is given fewer of them, at an even pace,
until it keeps up for a while.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from streaming.viewer.wire import Watch

NS = 1_000_000_000
MAX_TEXT_BYTES = 8 << 20  # for each source: what came before has to be told, too
MAX_PICTURE_BYTES = 8 << 20  # of each source; the newest picture may always wait
LATEST_S = 2.0  # pictures and sound that have waited for longer are of no use
SLOWEST = 1 / 16  # of the rate that was asked for
EARLY_NS = 10_000_000
STEADY_NS = 10 * NS  # nothing was lost for so long: twice as many pictures again

Picture = tuple[int, bytes]
"""A picture's stream time in ns, and its frame."""


class Backlog:
    """What waits, and in which order it goes: text, spectra, sound, pictures of each source in turn.

    Args:
        wants: whose pictures and sound are wanted at first: everybody's.
        hop_s: from one hop's pictures to the next's.

    Attributes:
        lost: how many pictures made room for newer ones.
        pace: the share of the rate asked for that this viewer keeps up with, SLOWEST to 1.
        is_too_slow: more text waits than is ever kept; nothing more is taken.
    """

    def __init__(self, wants: Watch, hop_s: float) -> None:
        self.lost = 0
        self.pace = 1.0
        self.is_too_slow = False
        self._most_bytes = MAX_TEXT_BYTES * max(1, len(wants.sources))
        self._hops = max(2, round(LATEST_S / hop_s))
        self._text: deque[str | bytes] = deque()
        self._text_bytes = 0
        self._sound: deque[bytes] = deque(maxlen=self._hops)
        self._slowed_ns = -STEADY_NS
        self.wants = wants

    @property
    def wants(self) -> Watch:
        return self._wants

    @wants.setter
    def wants(self, wants: Watch) -> None:
        """From now on; what waits of pictures and sound is not wanted any more."""
        self._wants = wants
        self._pictures: dict[str, deque[deque[bytes]]] = {name: deque() for name in sorted(wants.sources)}
        self._due_ns: dict[str, int] = {}
        self._sound.clear()

    def put(self, frame: str | bytes) -> None:
        """Text, or what is as small and as dear."""
        if self.is_too_slow:
            return
        self._text.append(frame)
        self._text_bytes += len(frame)
        self.is_too_slow = self._text_bytes > self._most_bytes

    def put_sound(self, frame: bytes) -> None:
        """The sound of a hop."""
        self._sound.append(frame)

    def put_pictures(self, source: str, pictures: Sequence[Picture], now_ns: int) -> None:
        """The pictures of a hop, of a source that is wanted; some are passed over, to keep to the rate."""
        waiting = self._pictures[source]
        while waiting and not waiting[0]:
            waiting.popleft()
        if self.pace < 1 and now_ns - self._slowed_ns > STEADY_NS:
            self.pace, self._slowed_ns = min(1.0, 2 * self.pace), now_ns
        waiting.append(deque(frame for t_ns, frame in pictures if self._is_due(source, t_ns)))
        lost = 0
        while len(waiting) > self._hops or (_bytes(waiting) > MAX_PICTURE_BYTES and _count(waiting) > 1):
            if waiting[0]:
                waiting[0].popleft()
                lost += 1
            else:
                waiting.popleft()
        self.lost += lost
        if lost and now_ns - self._slowed_ns > NS:
            self.pace, self._slowed_ns = max(SLOWEST, self.pace / 2), now_ns

    def take(self) -> str | bytes | None:
        """The frame whose turn it is; None when none waits."""
        if self._text:
            frame = self._text.popleft()
            self._text_bytes -= len(frame)
            return frame
        if self._sound:
            return self._sound.popleft()
        for source, waiting in self._pictures.items():
            while waiting:
                if waiting[0]:
                    self._pictures[source] = self._pictures.pop(source)  # the others come first next time
                    return waiting[0].popleft()
                waiting.popleft()
        return None

    def _is_due(self, source: str, t_ns: int) -> bool:
        """Whether a picture keeps to the rate; times may be a little uneven."""
        period_ns = round(NS / (self._wants.max_fps * self.pace))
        due_ns = self._due_ns.get(source)
        if due_ns is None or abs(t_ns - due_ns) > 10 * period_ns:  # the first, or stream time has leapt
            due_ns = t_ns
        if t_ns < due_ns - min(EARLY_NS, period_ns // 4):
            self._due_ns[source] = due_ns
            return False
        self._due_ns[source] = max(due_ns, t_ns - period_ns) + period_ns
        return True


def _count(waiting: deque[deque[bytes]]) -> int:
    return sum(map(len, waiting))


def _bytes(waiting: deque[deque[bytes]]) -> int:
    return sum(len(frame) for hop in waiting for frame in hop)
