"""From a word to its text embedding: prompt templates, their ensemble, and a memory of words already encoded.

CLIP was trained on sentences, so a word is embedded as the mean of several sentences about it (Section 3.4).
Encoding them takes about a tenth of a second on a CPU core, and would take more than ten times as long if
each were padded to the tower's whole context: the sentences about a word are woven into one tree instead, and
words already encoded are remembered, in a file too if one is given.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

log = logging.getLogger(__name__)

# The templates of the authors' code, uneven full stops included.
TEMPLATES: tuple[str, ...] = (
    "a photo of a {}.",
    "This is a photo of a {}",
    "There is a {} in the scene",
    "There is the {} in the scene",
    "a photo of a {} in the scene",
    "a photo of a small {}.",
    "a photo of a medium {}.",
    "a photo of a large {}.",
    "This is a photo of a small {}.",
    "This is a photo of a medium {}.",
    "This is a photo of a large {}.",
    "There is a small {} in the scene.",
    "There is a medium {} in the scene.",
    "There is a large {} in the scene.",
)


def prompts(word: str, templates: tuple[str, ...] = TEMPLATES) -> list[str]:
    """The sentences about `word`. The word goes in as it is, hyphens included, as in the authors' code."""
    return [template.format(word) for template in templates]


def ensemble(embeddings: Tensor) -> Tensor:
    """One unit vector for a word from the embeddings of its sentences: normalise, average, normalise.

    Args:
        embeddings: Shape: (..., P, D).

    Returns:
        Shape: (..., D).
    """
    return F.normalize(F.normalize(embeddings, dim=-1).mean(dim=-2), dim=-1)


@dataclass(frozen=True)
class SentenceTree:
    """Token sequences joined where they begin alike, laid out as one sequence of N nodes.

    In a causal tower the state of a token depends on the tokens before it and on nothing else, so sentences
    that begin alike share those states, and padding behind the last token is never looked at. Run with each
    node seeing its ancestors only, the tree gives every sentence exactly the embedding it has by itself.
    """

    tokens: Tensor  # (N,) int64
    positions: Tensor  # (N,) int64: place of each node in its sentences
    visible: Tensor  # (N, N) bool: the nodes that each node sees, itself and its ancestors
    ends: Tensor  # (P,) int64: the node on which each sentence ends

    @classmethod
    def of(cls, sentences: Sequence[Sequence[int]]) -> SentenceTree:
        """Args: `sentences`: P token sequences without padding, none of them empty."""
        nodes: dict[tuple[int, int], int] = {}  # (parent, token) -> node
        parents: list[int] = []
        positions: list[int] = []
        ends: list[int] = []
        for sentence in sentences:
            node = -1
            for position, token in enumerate(sentence):
                parent, node = node, nodes.setdefault((node, token), len(nodes))
                if node == len(parents):
                    parents.append(parent)
                    positions.append(position)
            ends.append(node)
        visible = torch.eye(len(parents), dtype=torch.bool)
        for node, parent in enumerate(parents):  # a parent comes before its children
            if parent >= 0:
                visible[node] |= visible[parent]
        tokens = [token for _, token in nodes]
        return cls(torch.tensor(tokens), torch.tensor(positions), visible, torch.tensor(ends))


def fingerprint(name: str, text_entries: Mapping[str, Tensor], templates: tuple[str, ...]) -> str:
    """What a word's embedding depends on besides the word: the model, its text weights and the templates."""
    digest = hashlib.sha256("\n".join((name, *templates)).encode())
    for entry, tensor in text_entries.items():
        digest.update(f"\n{entry} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:32]


class WordMemory:
    """Text embeddings of the words used last, kept in a file as well when one is given.

    A file that cannot be read or written costs time, never a wrong answer: it is ignored with a warning.
    Several processes may share one; the last to save wins, and what is lost is merely encoded again.
    """

    def __init__(self, channels: int, *, capacity: int = 10_000, file: Path | None = None) -> None:
        self.channels = channels
        self.capacity = capacity
        self.file = file
        self._embeddings: OrderedDict[str, np.ndarray] = OrderedDict()
        if file is not None and file.exists():
            self._load(file)

    def __len__(self) -> int:
        return len(self._embeddings)

    def get(self, word: str) -> np.ndarray | None:
        """The embedding of `word`, shape (D,), or None if it has to be encoded."""
        embedding = self._embeddings.get(word)
        if embedding is not None:
            self._embeddings.move_to_end(word)
        return embedding

    def add(self, word: str, embedding: np.ndarray) -> None:
        self._embeddings[word] = embedding
        self._embeddings.move_to_end(word)
        while len(self._embeddings) > self.capacity:
            self._embeddings.popitem(last=False)

    def save(self) -> None:
        """Write the file anew, in one step: a reader sees the old content or the new, nothing between."""
        if self.file is None:
            return
        unfinished: Path | None = None
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.file.parent, suffix=".part", delete=False) as file:
                unfinished = Path(file.name)
                np.savez(file, words=np.array(list(self._embeddings)), embeddings=self._stacked())
            os.replace(unfinished, self.file)
        except OSError as error:
            log.warning("%s: word embeddings not saved (%s); they will be encoded again", self.file, error)
            if unfinished is not None:
                with contextlib.suppress(OSError):  # nothing is left to do about a file that will not go
                    unfinished.unlink()

    def _stacked(self) -> np.ndarray:
        return np.array(list(self._embeddings.values()), dtype=np.float32).reshape(-1, self.channels)

    def _load(self, file: Path) -> None:
        try:
            with np.load(file, allow_pickle=False) as content:
                words, embeddings = content["words"], content["embeddings"]
            self._check(words, embeddings)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            log.warning("%s: ignored, not readable as word embeddings (%s)", file, error)
            return
        for word, embedding in zip(words.tolist(), embeddings, strict=True):
            self.add(word, embedding)

    def _check(self, words: np.ndarray, embeddings: np.ndarray) -> None:
        expected = (len(words), self.channels)
        if words.dtype.kind != "U" or embeddings.dtype != np.float32 or embeddings.shape != expected:
            raise ValueError(f"expected words and float32 embeddings {expected}, found {embeddings.shape}")
        if not np.allclose(np.linalg.norm(embeddings, axis=1), 1.0, atol=1e-3):
            raise ValueError("expected unit vectors")
