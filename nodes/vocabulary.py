"""The vocabulary of a classification node: as it begins, and as it is replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.vocabulary import Vocabulary
from streaming.config import Config
from streaming.errors import UserError
from streaming.memory import Memory


def first_vocabulary(config: Config, memory: Memory | None = None) -> Vocabulary:
    """The one that was set last, if any was since the run began; else the configured one."""
    if memory is not None and memory.vocabulary is not None:
        return Vocabulary(tuple(memory.vocabulary["words"]), memory.vocabulary["revision"])
    words = config.vocabulary.words
    return Vocabulary.parse(words) if isinstance(words, str) else Vocabulary(tuple(words))


def replaced(vocabulary: Vocabulary, args: Mapping[str, Any]) -> Vocabulary:
    """What a request for other words makes of it. Raises `UserError` or `ModelError`."""
    words = args.get("words")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UserError(f"vocabulary: found {type(words).__name__}, expected a list of words")
    return vocabulary.replaced(words)
