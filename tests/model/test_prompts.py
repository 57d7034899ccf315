"""Sentences about a word, their tree, and the memory of encoded words with its file."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from model.prompts import TEMPLATES, SentenceTree, WordMemory, ensemble, fingerprint, prompts


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def test_a_word_goes_into_all_templates_as_it_is() -> None:
    sentences = prompts("hair-dryer {0}")
    assert len(sentences) == len(set(TEMPLATES)) == 14
    assert sentences[0] == "a photo of a hair-dryer {0}."
    assert sentences[1] == "This is a photo of a hair-dryer {0}"
    assert all("hair-dryer {0}" in sentence for sentence in sentences)


def test_the_ensemble_counts_every_sentence_alike() -> None:
    embeddings = torch.tensor([[10.0, 0.0], [0.0, 0.1]])
    torch.testing.assert_close(ensemble(embeddings), torch.tensor([0.5, 0.5]).sqrt())


def test_the_tree_joins_beginnings_and_keeps_ends_apart() -> None:
    tree = SentenceTree.of([[1, 5, 9], [1, 5, 7, 9], [1, 5], [1, 5, 9]])
    assert tree.tokens.tolist() == [1, 5, 9, 7, 9]
    assert tree.positions.tolist() == [0, 1, 2, 2, 3]
    assert tree.ends.tolist() == [2, 4, 1, 2]
    seen = [row.nonzero()[:, 0].tolist() for row in tree.visible]
    assert seen == [[0], [0, 1], [0, 1, 2], [0, 1, 3], [0, 1, 3, 4]]


def test_every_sentence_reads_back_along_its_ancestors() -> None:
    generator = np.random.default_rng(4)
    sentences = [generator.integers(0, 3, generator.integers(1, 8)).tolist() for _ in range(40)]
    tree = SentenceTree.of(sentences)
    for sentence, end in zip(sentences, tree.ends.tolist(), strict=True):
        path = tree.visible[end].nonzero()[:, 0]
        assert tree.tokens[path].tolist() == sentence
        assert tree.positions[path].tolist() == list(range(len(sentence)))
    assert len(tree.tokens) < sum(map(len, sentences)) / 2


def test_memory_lets_go_of_the_word_used_least_recently() -> None:
    memory = WordMemory(2, capacity=2)
    memory.add("dog", unit(1, 0))
    memory.add("cat", unit(0, 1))
    assert memory.get("dog") is not None
    memory.add("horn", unit(1, 1))
    assert memory.get("cat") is None
    assert memory.get("dog") is not None
    assert len(memory) == 2


def test_memory_survives_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "words.npz"
    memory = WordMemory(2, file=file)
    memory.add("dog", unit(1, 2))
    memory.add("vélo ☂", unit(2, 1))
    memory.save()
    again = WordMemory(2, file=file)
    for word in ("dog", "vélo ☂"):
        np.testing.assert_array_equal(again.get(word), memory.get(word))
    assert [entry.name for entry in file.parent.iterdir()] == ["words.npz"]


@pytest.mark.parametrize("fault", ["empty", "noise", "cut", "flipped", "pickled", "other width", "not unit"])
def test_a_damaged_file_is_ignored_with_a_warning(
    fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "words.npz"
    good = WordMemory(2, file=file)
    good.add("dog", unit(1, 2))
    good.save()
    content = file.read_bytes()
    match fault:
        case "empty":
            file.write_bytes(b"")
        case "noise":
            file.write_bytes(np.random.default_rng(0).bytes(500))
        case "cut":
            file.write_bytes(content[: len(content) // 2])
        case "flipped":
            at = content.index(unit(1, 2).tobytes())
            file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        case "pickled":
            np.savez(file, words=np.array(["dog", None], dtype=object), embeddings=np.ones((2, 2)))
        case "other width":
            np.savez(file, words=np.array(["dog"]), embeddings=np.ones((1, 3), dtype=np.float32))
        case "not unit":
            np.savez(file, words=np.array(["dog"]), embeddings=np.full((1, 2), np.nan, dtype=np.float32))
    with caplog.at_level(logging.WARNING):
        memory = WordMemory(2, file=file)
    assert len(memory) == 0
    assert str(file) in caplog.text
    memory.add("cat", unit(0, 1))
    memory.save()
    assert WordMemory(2, file=file).get("cat") is not None


def test_a_file_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "taken").write_text("a file where the directory should be")
    memory = WordMemory(2, file=tmp_path / "taken" / "words.npz")
    memory.add("dog", unit(1, 0))
    with caplog.at_level(logging.WARNING):
        memory.save()
    assert "not saved" in caplog.text
    assert memory.get("dog") is not None


def test_the_fingerprint_tells_models_weights_and_templates_apart() -> None:
    entries = {"ln.weight": torch.ones(3), "scale": torch.tensor(2.0)}
    first = fingerprint("a", entries, TEMPLATES)
    assert first == fingerprint("a", dict(entries), TEMPLATES)
    others = [
        fingerprint("b", entries, TEMPLATES),
        fingerprint("a", entries | {"scale": torch.tensor(2.0001)}, TEMPLATES),
        fingerprint("a", {name: value.bfloat16() for name, value in entries.items()}, TEMPLATES),
        fingerprint("a", entries, TEMPLATES[:-1]),
    ]
    assert len({first, *others}) == 5
