"""What a score is worth, by who hears: ears bring a scale of their own, in which the rules are read.

YAMNet gives every sound a probability of its own. CLAP shares a whole among all the words it chooses from,
so that the same sound has a smaller score among more words. A captioner is sure of all it says; what counts
is in how many of the last seconds it said it. Only YAMNet's values were found on real clips
(docs/openavs.md).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Scores from 0 to 1.

    person_on, other_on: from which on a person, or anything else, that is seen is held for sounding.
    sure: from which on a sound is told in words, and asked about.
    """

    person_on: float
    other_on: float
    sure: float


SCALES = {
    "yamnet": Scale(person_on=0.25, other_on=0.10, sure=0.10),
    "clap": Scale(person_on=0.20, other_on=0.20, sure=0.20),
    "caption": Scale(person_on=0.30, other_on=0.30, sure=0.30),
    "lessons": Scale(person_on=0.50, other_on=0.50, sure=0.30),
}
