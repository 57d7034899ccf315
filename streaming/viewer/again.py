"""The end of a run, played again for whoever looks when the run itself is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from streaming.clock import Clock
from streaming.messages import Message, Preview, Result

NS = 1_000_000_000
PAUSE_NS = NS  # between the end and the beginning, so that it is seen for what it is


class Again:
    """Gives what was kept of every source, hop by hop at its own pace, and then from the beginning. Each
    round is in generations of its own, as of a recording that is played in a loop.

    While nobody watches it stands still, and whoever comes then sees it from the beginning.

    Args:
        kept: by source, its last previews and their results, oldest first.
        patience_s: after how long without anybody who watches it is over.
    """

    def __init__(
        self,
        kept: Mapping[str, tuple[Sequence[Preview], Sequence[Result]]],
        hop_s: float,
        patience_s: float,
        clock: Clock,
    ) -> None:
        self._hops = _together(kept)
        generations = [message.generation for hop in self._hops for message in hop]
        self._span = max(generations, default=0) - min(generations, default=0) + 1
        self._hop_ns, self._patience_ns, self._clock = round(hop_s * NS), round(patience_s * NS), clock
        self._round, self._next = 1, 0
        self._watched_ns = clock.monotonic_ns()
        self._due_ns = self._watched_ns + PAUSE_NS

    @property
    def length_s(self) -> float:
        return len(self._hops) * self._hop_ns / NS

    @property
    def over(self) -> bool:
        """Whether nobody has watched for so long."""
        return self._clock.monotonic_ns() - self._watched_ns >= self._patience_ns

    def due(self, watched: bool) -> list[Message]:
        """What is to be shown now, if anything is."""
        now_ns = self._clock.monotonic_ns()
        if not watched:
            self._begin_at(now_ns)
            return []
        self._watched_ns = now_ns
        if now_ns < self._due_ns or not self._hops:
            return []
        hop = [self._of_this_round(message) for message in self._hops[self._next]]
        self._next += 1
        self._due_ns = max(self._due_ns + self._hop_ns, now_ns)  # what was late is not made up for in a rush
        if self._next == len(self._hops):
            self._begin_at(self._due_ns + PAUSE_NS)
        return hop

    def _begin_at(self, due_ns: int) -> None:
        self._round += self._next > 0
        self._next, self._due_ns = 0, due_ns

    def _of_this_round(self, message: Message) -> Message:
        return replace(
            message,
            generation=message.generation + self._round * self._span,
            emitted_ns=self._clock.wall_ns(),  # how long it took then is not how long it takes now
        )


def _together(kept: Mapping[str, tuple[Sequence[Preview], Sequence[Result]]]) -> list[list[Message]]:
    """By hop, what all sources have; those with less than others begin later, and all end together."""
    most = max((len(previews) for previews, _ in kept.values()), default=0)
    hops: list[list[Message]] = [[] for _ in range(most)]
    for previews, results in kept.values():
        found = {(one.generation, one.seq): one for one in results}
        for index, preview in enumerate(previews, most - len(previews)):
            result = found.get((preview.generation, preview.seq))
            hops[index] += [preview] if result is None else [preview, result]
    return hops
