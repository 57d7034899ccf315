"""Prompt translation that translates nothing: what is heard is what is looked for, as in Sam4AVS.

For ears that choose from names of things, such as CLAP's.
"""

from __future__ import annotations

from typing import Any

from model.openavs.interfaces import PERSON, Prompts, Sounds
from model.openavs.table import Table


class Names:
    """The table is asked only which names mean somebody, and what is told of a sound out of sight."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def prompts(self, sounds: Sounds) -> Prompts:
        nouns = {text.casefold(): score for text, score in sounds.items()}
        return Prompts(nouns, people=frozenset(noun for noun in nouns if self.table.noun(noun) == PERSON))

    def offscreen_text(self, sounds: Sounds) -> str | None:
        return self.table.offscreen_text(sounds)

    def stats(self) -> dict[str, Any]:
        return {}
