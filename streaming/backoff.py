"""How long to wait before trying again what has just failed."""

from __future__ import annotations

import random


class Backoff:
    """Waits that grow from `least_s` to `most_s`, each at random a little shorter than it could be.

    So what is lost for a moment is soon back, what is gone for long is not pestered, and many that were lost
    together do not all come back in the same moment.
    """

    def __init__(
        self, least_s: float = 1.0, most_s: float = 30.0, *, random_: random.Random | None = None
    ) -> None:
        self.least_s, self.most_s = least_s, most_s
        self.failures = 0
        self._random = random_ or random.Random()

    def failed(self) -> float:
        """Seconds to wait after one more failure; never less than `least_s`, nor more than `most_s`."""
        longest_s = min(self.most_s, self.least_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return max(self.least_s, longest_s * self._random.uniform(0.5, 1.0))

    def succeeded(self) -> None:
        """It works again: the next failure is a first one."""
        self.failures = 0
