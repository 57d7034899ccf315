"""Prompt translation by a table: AudioSet's sounds to nouns, as `table.yaml` has them.

Free of torch and of the networks, so that a table can be checked and read anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from model.errors import ModelError
from model.openavs.interfaces import Family, Prompts, Sounds

OWN = Path(__file__).with_name("table.yaml")
SURE = 0.1  # a weaker sound is not told as text: YAMNet's scores of what is not there stay below this


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
    """Which nouns a sound means. Raises `ModelError` for a file that is no such table, with the key."""

    def __init__(self, path: Path = OWN) -> None:
        try:
            self.entries = TableEntries.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ModelError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from error
        except ValidationError as error:
            first = error.errors()[0]
            raise ModelError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        for name, family in self.entries.families.items():
            if strangers := [member for member in family.members if member not in self.entries.nouns]:
                raise ModelError(f"{path}: families.{name}: found {strangers[0]!r}, expected one of `nouns`")

    def prompts(self, sounds: Sounds) -> Prompts:
        """The nouns that sounds speak for, each by the surest of its tags, at most 1."""
        table = self.entries
        nouns = {name: _surest(sounds, noun.tags) for name, noun in table.nouns.items()}
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
        named = {text: score for text, score in sounds.items() if text not in self.entries.unnamed}
        best = max(named, key=lambda text: named[text], default=None)
        return best.lower() if best is not None and named[best] >= SURE else None

    def noun(self, word: str) -> str | None:
        """The noun that a word means; None: the table has none."""
        small = word.casefold()
        for name, noun in self.entries.nouns.items():
            if small == name or small in noun.words:
                return name
        return None

    def called(self, noun: str, vocabulary: Iterable[str]) -> str:
        """What an object is called: the vocabulary's word where exactly one means it, else the noun.

        Where several do (man, woman), a sound does not tell which of them it is.
        """
        fit = [word for word in vocabulary if self.noun(word) == noun]
        same = [word for word in fit if word.casefold() == noun]
        return (same or fit)[0] if len(same or fit) == 1 else noun


def _surest(sounds: Sounds, tags: Mapping[str, float]) -> float:
    return min(1.0, max((weight * sounds.get(tag, 0.0) for tag, weight in tags.items()), default=0.0))
