"""What waits to be said: bounded, in order, and never an old state behind a new one."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True)
class Letter:
    """Something to be published."""

    topic: str
    payload: bytes
    lasting: bool = False  # the broker keeps it for those who come later


class Outbox:
    """Letters in the order they were put in, for as long as nobody takes them.

    Of a topic that lasts only the newest letter is kept. Of the others there are at most `size`: the oldest
    make room, and are counted in `dropped`. For use by one thread at a time.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.dropped = 0
        self._letters: OrderedDict[str | int, Letter] = OrderedDict()
        self._passing = 0  # how many of them do not last
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._letters)

    def put(self, letter: Letter, *, first: bool = False) -> None:
        """Adds a letter behind the others, or before them."""
        key = letter.topic if letter.lasting else next(self._numbers)
        if letter.lasting:
            self._letters.pop(key, None)
        elif self._passing == self.size:
            del self._letters[next(key for key, old in self._letters.items() if not old.lasting)]
            self.dropped += 1
        else:
            self._passing += 1
        self._letters[key] = letter
        if first:
            self._letters.move_to_end(key, last=False)

    def take(self) -> Letter | None:
        """The letter that has waited longest; None when there is none."""
        if not self._letters:
            return None
        _, letter = self._letters.popitem(last=False)
        self._passing -= not letter.lasting
        return letter
