"""Prompt translation by a table: AudioSet's sounds to nouns, as `table.yaml` has them.

Text of other ears, a sentence or a name, means the nouns whose words are in it.

Free of torch and of the networks, so that a table can be checked and read anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from model.errors import ModelError
from model.openavs.interfaces import Family, Prompts, Sounds
from model.openavs.scales import SCALES

OWN = Path(__file__).with_name("table.yaml")
WORDS = re.compile(r"[\w'-]+")


def _weighted(tags: object) -> object:
    return dict.fromkeys(tags, 1.0) if isinstance(tags, list) else tags


Tags = Annotated[dict[str, Annotated[float, Field(gt=0)]], BeforeValidator(_weighted)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Noun(_Strict):
    tags: Tags
    words: tuple[str, ...] = ()


class FamilyEntry(_Strict):
    tags: Tags
    members: tuple[str, ...]


class Kinds(_Strict):
    speech: Tags = {}
    singing: Tags = {}
    music: Tags = {}


class TableEntries(_Strict):
    nouns: dict[str, Noun]
    families: dict[str, FamilyEntry] = {}
    kinds: Kinds = Kinds()
    unnamed: frozenset[str] = frozenset()


class Table:
    """Which nouns a sound means.

    Args:
        sure: a weaker sound is not told as text.
        reads: whether text that is no tag means the nouns whose words are in it. Not for YAMNet's, whose
            names are all known, and some are left out on purpose.

    Raises:
        ModelError: for a file that is no such table, with the key.
    """

    def __init__(self, path: Path = OWN, sure: float = SCALES["yamnet"].sure, *, reads: bool = False) -> None:
        self.sure, self.reads = sure, reads
        try:
            self.entries = TableEntries.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ModelError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from error
        except ValidationError as error:
            first = error.errors()[0]
            raise ModelError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        entries = self.entries
        self._meanings = {name: name for name in entries.nouns} | {
            word: name for name, noun in entries.nouns.items() for word in noun.words
        }
        kinds = (entries.kinds.speech, entries.kinds.singing, entries.kinds.music)
        tags = [one.tags for one in (*entries.nouns.values(), *entries.families.values())]
        self._tags = entries.unnamed.union(*tags, *kinds)
        for name, family in self.entries.families.items():
            if strangers := [member for member in family.members if member not in self.entries.nouns]:
                raise ModelError(f"{path}: families.{name}: found {strangers[0]!r}, expected one of `nouns`")

    def prompts(self, sounds: Sounds) -> Prompts:
        """The nouns that sounds speak for, each by the surest of its tags, at most 1."""
        table = self.entries
        nouns = {name: _surest(sounds, noun.tags) for name, noun in table.nouns.items()}
        for text, score in sounds.items() if self.reads else ():
            for name in self._mentioned(text) if text not in self._tags else ():
                nouns[name] = max(nouns[name], min(1.0, score))
        families = [
            Family(one.members, max([_surest(sounds, one.tags), *(nouns[member] for member in one.members)]))
            for one in table.families.values()
        ]
        return Prompts(
            {name: score for name, score in nouns.items() if score},
            [family for family in families if family.score],
            speech=_surest(sounds, table.kinds.speech),
            singing=_surest(sounds, table.kinds.singing),
            music=_surest(sounds, table.kinds.music),
        )

    def offscreen_text(self, sounds: Sounds) -> str | None:
        """The surest sound, in small letters."""
        named = {text: score for text, score in sounds.items() if self.is_sound(text)}
        best = max(named, key=lambda text: named[text], default=None)
        return best.lower() if best is not None and named[best] >= self.sure else None

    def noun(self, word: str) -> str | None:
        """The noun that a word means; None: the table has none."""
        return self._meanings.get(word.casefold())

    def meant_by(self, noun: str, vocabulary: Iterable[str]) -> list[str]:
        """The vocabulary's words that an object with this noun may be called by.

        What is a word for a noun itself (a translation may say woman) is never called by another such word.
        """
        words = list(vocabulary)
        same = [word for word in words if word.casefold() == noun.casefold()]
        meant = self.noun(noun)
        if not same and meant is not None:
            same = [word for word in words if word.casefold() == meant]
        if not same and meant == noun:
            same = [word for word in words if self.noun(word) == noun]
        return same

    def called(self, noun: str, vocabulary: Iterable[str]) -> str:
        """What an object is called: the vocabulary's word where exactly one means it, else the noun.

        Where several do (man, woman), a sound does not tell which of them it is.
        """
        same = self.meant_by(noun, vocabulary)
        return same[0] if len(same) == 1 else noun

    def is_sound(self, text: str) -> bool:
        """Whether it is a sound of its own, and no silence or room."""
        return text not in self.entries.unnamed

    def stats(self) -> dict[str, Any]:
        return {}

    def _mentioned(self, text: str) -> set[str]:
        """The nouns whose words are in a text, also as plurals with an s."""
        words = [word.casefold() for word in WORDS.findall(text)]
        spoken = [*words, *(f"{first} {second}" for first, second in pairwise(words))]
        return {noun for word in spoken if (noun := self.noun(word) or self.noun(word.removesuffix("s")))}


def _surest(sounds: Sounds, tags: Mapping[str, float]) -> float:
    return min(1.0, max((weight * sounds.get(tag, 0.0) for tag, weight in tags.items()), default=0.0))
