"""What sounds now, by name; and what sounded when: the story that a run tells at its end. Both stay small."""

from __future__ import annotations

from typing import Any

from streaming.messages import Result

UNNAMED = "something without a name"
NAMES_TOLD = 24  # those that sounded longest
UNSEEN_TOLD = 6  # of what was heard and not seen, likewise
SPANS_TOLD = 6  # of each, the first
NOW_TOLD = 4  # names that sound now, the surest


def told_offscreen(result: Result) -> str | None:
    """What is heard and not seen, in words; None: nothing is."""
    if not result.offscreen:
        return None
    return f"offscreen: {result.offscreen_text}" if result.offscreen_text else "offscreen sound"


def sounding_now(result: Result) -> dict[str, Any]:
    """What a result says, as plain values for the recorder's counters.

    `named` holds [name, how surely from 0 to 1 or None], the surest first, each name once, and `more` how
    many are left out; `offscreen` is true where there is sound, but nothing visible that makes it, and
    `offscreen_text` what it is, if that is known.
    """
    named: dict[str, float | None] = {}
    for track in result.tracks:
        name = track["label"] or UNNAMED
        p = next((label["p"] for label in track["labels"] if label["name"] == track["label"]), None)
        named[name] = max(p, named.get(name) or 0.0) if p is not None else named.get(name)
    surest = sorted(named.items(), key=lambda item: -(item[1] or 0.0))[:NOW_TOLD]
    return {
        "named": [[name, p and round(p, 3)] for name, p in surest],
        "more": len(named) - len(surest),
        "offscreen": result.offscreen,
        "offscreen_text": result.offscreen_text,
    }


class Spans:
    """Stretches of time. What overlaps or touches the newest prolongs it; few are kept, all are counted."""

    def __init__(self) -> None:
        self.count = self.total_ns = 0
        self.first: list[list[int]] = []  # [start, end] in ns; the newest may still grow
        self._newest = [0, -1]

    def add(self, start_ns: int, end_ns: int) -> None:
        """Adds a stretch; one from before the newest's start (the stream's time went back) is a new one."""
        if self._newest[0] <= start_ns <= self._newest[1]:
            self.total_ns += max(0, end_ns - self._newest[1])
            self._newest[1] = max(self._newest[1], end_ns)
            return
        self._newest = [start_ns, end_ns]
        self.count += 1
        self.total_ns += end_ns - start_ns
        if len(self.first) < SPANS_TOLD:
            self.first.append(self._newest)

    def told(self) -> dict[str, Any]:
        """`spans`, the first [start, end] in seconds; `more`, how many others; `total_s`, of all."""
        return {
            "spans": [[round(t_ns / 1e9, 3) for t_ns in span] for span in self.first],
            "more": self.count - len(self.first),
            "total_s": round(self.total_ns / 1e9, 3),
        }


class Story:
    """Gathers results: when each name sounded, when what sounded was not seen, and when there was silence."""

    def __init__(self) -> None:
        self.offscreen, self.silence = Spans(), Spans()
        self._named: dict[str, Spans] = {}
        self._unseen: dict[str, Spans] = {}

    def add(self, result: Result) -> None:
        """Adds what a result says of its window."""
        for spans in self._spans_of(result):
            spans.add(result.t_ns, result.t_ns + result.dur_ns)

    def _spans_of(self, result: Result) -> list[Spans]:
        names = {track["label"] or UNNAMED for track in result.tracks}
        if names:
            return [self._named.setdefault(name, Spans()) for name in names]
        if not result.offscreen:
            return [self.silence]
        text = result.offscreen_text
        return [self.offscreen, *([self._unseen.setdefault(text, Spans())] if text else [])]

    def told(self) -> dict[str, Any]:
        """The story as plain values, for the recorder's counters.

        `named` holds [name, what its `Spans.told` says] in the order of first sounding, `more_names` how many
        are left out; `offscreen` and `silence` hold the same as one name does, and `unseen` as `named`, what
        it was that was heard and not seen, where that was known.
        """
        longest, unseen = _longest(self._named, NAMES_TOLD), _longest(self._unseen, UNSEEN_TOLD)
        return {
            "named": longest,
            "more_names": len(self._named) - len(longest),
            "offscreen": self.offscreen.told(),
            "silence": self.silence.told(),
            **({"unseen": unseen} if unseen else {}),
        }


def _longest(spans: dict[str, Spans], most: int) -> list[list[Any]]:
    """[name, what its spans tell] of those that lasted longest, in the order in which they began."""
    kept = sorted(spans.items(), key=lambda item: -item[1].total_ns)[:most]
    return [[name, one.told()] for name, one in sorted(kept, key=lambda item: item[1].first[0])]
