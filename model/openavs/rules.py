"""When a noun that is heard and a region that is seen are one sounding object: the rules, and their memory.

Each rule was found on real clips (docs/openavs.md tells on which, and what they are worth).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from model.openavs.interfaces import Prompts, Sounds

NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Scores and areas are shares from 0 to 1."""

    mean_s: float = 3.0  # what is heard is averaged over so long: a dog barks, breathes and barks
    # These two on YAMNet's scale; scales.py has others.
    person_on: float = 0.25  # speech is tagged where there is none more often than an animal is
    other_on: float = 0.10
    stay: float = 0.7  # what sounded a moment ago needs this share of a threshold: names do not flicker
    person_area: float = 0.02  # specks of person are the segmenter's commonest mistake
    other_area: float = 0.005  # a car drives away and still sounds
    drop_db: float = 15.0  # so far below the loudest of late is silence, whatever its tags
    loudest_s: float = 30.0  # how long a bang is remembered by that rule
    silence_dbfs: float = -70.0  # and this is silence anywhere
    # So many things that are heard and not seen are looked for again, each in a part of the picture.
    closer: int = 0
    relatives: bool = False  # a tag of another member of a family may mean the largest that is seen
    narration_speech: float = 0.20  # speech this sure ...
    narration_music: float = 0.15  # ... over music this sure ...
    narration_singing: float = 0.05  # ... with less singing than this, is a voice laid over the film


@dataclass
class Ears:
    """What one generation of one source was heard to do of late."""

    rules: Rules
    _heard: deque[tuple[int, Sounds]] = field(default_factory=deque)
    _loud: deque[tuple[int, float]] = field(default_factory=deque)

    def hear(self, t_ns: int, dbfs: float, sounds: Sounds) -> dict[str, float] | None:
        """The mean of what was heard of late, this snippet included; None: this one is silent.

        Silent snippets do not count in the mean, so that what begins after a pause is not held back by it.
        """
        rules = self.rules
        self._loud.append((t_ns, dbfs))
        while self._loud[0][0] <= t_ns - rules.loudest_s * NS:
            self._loud.popleft()
        while self._heard and self._heard[0][0] <= t_ns - rules.mean_s * NS:
            self._heard.popleft()
        loudest = max(level for _, level in self._loud)
        if dbfs < max(rules.silence_dbfs, loudest - rules.drop_db):
            return None
        self._heard.append((t_ns, sounds))
        mean: dict[str, float] = {}
        for _, one in self._heard:
            for text, score in one.items():
                mean[text] = mean.get(text, 0.0) + score / len(self._heard)
        return mean


@dataclass
class Judge:
    """Which of what is heard and seen sounds, with the memory of what did a moment ago."""

    rules: Rules
    _sounding: frozenset[str] = frozenset()

    def decide(self, prompts: Prompts | None, areas: Mapping[str, float]) -> dict[str, float]:
        """What sounds, with the score of the sound that speaks for it.

        Args:
            prompts: what is heard; None: silence.
            areas: of each noun that is seen, its share of the picture.
        """
        if prompts is None:
            found = {}
        else:
            seen = {noun: area for noun, area in areas.items() if area >= self._least_area(noun, prompts)}
            found = dict(self._heard_and_seen(prompts, seen))
        self._sounding = frozenset(found)
        return found

    def wanted(self, prompts: Prompts | None) -> list[str]:
        """What is worth looking for: what would sound if it were seen, surest first."""
        if prompts is None:
            return []
        scores = dict(prompts.nouns)
        for family in prompts.families if self.rules.relatives else ():
            for noun in family.members:
                scores[noun] = max(scores.get(noun, 0.0), family.score)
        sure = [noun for noun, score in scores.items() if score >= self._threshold(noun, prompts)]
        return sorted(sure, key=lambda noun: -scores[noun])

    def unseen(self, prompts: Prompts | None, areas: Mapping[str, float]) -> list[str]:
        """The surest of what would sound if it were seen, and is not, or is too small: worth a closer look.

        People are not: they count only where they are large.
        """
        if prompts is None or not self.rules.closer:
            return []
        small = [
            noun
            for noun in self.wanted(prompts)
            if noun not in prompts.people and areas.get(noun, 0.0) < self._least_area(noun, prompts)
        ]
        return small[: self.rules.closer]

    def _heard_and_seen(self, prompts: Prompts, seen: Mapping[str, float]) -> Iterator[tuple[str, float]]:
        exact = {
            noun: score
            for noun, score in prompts.nouns.items()
            if noun in seen and score >= self._threshold(noun, prompts) and not self._narrated(noun, prompts)
        }
        yield from exact.items()
        if not self.rules.relatives:
            return
        for family in prompts.families:
            members = [noun for noun in family.members if noun in seen]
            if members and not exact.keys() & set(family.members):
                largest = max(members, key=lambda noun: seen[noun])
                if family.score >= self._threshold(largest, prompts):
                    yield largest, family.score

    def _threshold(self, noun: str, prompts: Prompts) -> float:
        on = self.rules.person_on if noun in prompts.people else self.rules.other_on
        return on * self.rules.stay if noun in self._sounding else on

    def _least_area(self, noun: str, prompts: Prompts) -> float:
        return self.rules.person_area if noun in prompts.people else self.rules.other_area

    def _narrated(self, noun: str, prompts: Prompts) -> bool:
        rules = self.rules
        return (
            noun in prompts.people
            and prompts.speech >= rules.narration_speech
            and prompts.music >= rules.narration_music
            and prompts.singing < rules.narration_singing
        )
