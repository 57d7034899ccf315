"""Vocabularies from a command line and from files, and how bad ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.avsbench_ov import BASE, BASE_IDS, IDS, NAMES, NOVEL, NOVEL_IDS
from model.errors import ModelError
from model.vocabulary import MAX_WORDS, Vocabulary


def file(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "words.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_words_with_commas_between_them() -> None:
    vocabulary = Vocabulary.parse("dog,  violin , steam   train, Dog,VIOLIN, chien à poil")
    assert vocabulary.words == ("dog", "violin", "steam train", "chien à poil")
    assert vocabulary.revision == 1
    assert len(vocabulary) == 4


@pytest.mark.parametrize(
    "content",
    ["- dog\n- steam train\n- no\n- 7\n", "words: [dog, 'steam train', no, 7]\n", "words:\n  - dog\n"],
)
def test_a_file_is_a_list_or_a_mapping_and_words_are_taken_as_written(content: str, tmp_path: Path) -> None:
    words = Vocabulary.parse(str(file(tmp_path, content))).words
    assert words == ("dog", "steam train", "no", "7")[: len(words)]
    assert len(words) in (1, 4)


def test_the_preset() -> None:
    assert Vocabulary.parse("AVSBench-OV").words == NAMES


def test_replacing_counts_revisions() -> None:
    first = Vocabulary(("dog",))
    second = first.replaced(["cat", "horn"])
    assert (second.words, second.revision) == (("cat", "horn"), 2)
    assert second.replaced(["cat"]).revision == 3
    assert first.revision == 1


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("", "entry 1: found an empty word"),
        ("dog,,cat", "entry 2: found an empty word"),
        ("dog, " + "x" * 101, "entry 2: found 101 characters"),
        ("dog, c\x1b[31mat", r"entry 2: found the control character U\+001B in 'c\?\[31mat'"),
        (",".join(str(number) for number in range(MAX_WORDS + 1)), "found 5001 words, expected at most 5000"),
    ],
)
def test_bad_words_are_refused_in_one_line(argument: str, told: str) -> None:
    with pytest.raises(ModelError, match=told) as caught:
        Vocabulary.parse(argument)
    assert "\n" not in str(caught.value)


def test_no_words_are_refused() -> None:
    with pytest.raises(ModelError, match="no words found"):
        Vocabulary(()).replaced([])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("- dog\n- ''\n", "words.yaml: line 2: found an empty word"),
        ("- dog\n-\n", "words.yaml: line 2: found an empty word"),
        ("words:\n- dog\n- [cat]\n", "line 3: found a nested sequence"),
        ("- dog\n- a: b\n", "line 2: found a nested mapping"),
        ("- " + "y" * 101 + "\n", "line 1: found 101 characters"),
        ('- "a\\0b"\n', "line 1: found the control character U\\+0000"),
        ("word: [dog]\n", "line 1: found the key 'word', expected only 'words'"),
        ("words: dog\n", "expected a list of words"),
        ("dog, cat\n", "expected a list of words"),
        ("", "expected a list of words"),
        ("[]", "no words found"),
        ("- dog\n- 'cat\n", "not valid YAML"),
        ("a: b: c", "line 1: not valid YAML"),
        (b"- d\x00g", "not valid YAML"),
        (b"- \xff\xfe\xfa", "not a text file in UTF-8"),
        ("[" * 5000, "nested too deeply|not valid YAML"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(content: str | bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=told) as caught:
        Vocabulary.load(file(tmp_path, content))
    assert "words.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["absent.yaml", "."])
def test_a_file_that_cannot_be_opened(path: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        Vocabulary.load(tmp_path / path)


def test_the_benchmark_has_forty_base_and_thirty_novel_names() -> None:
    assert (len(set(BASE)), len(set(NOVEL)), len(set(NAMES))) == (40, 30, 70)
    assert list(NAMES) == sorted(NAMES)
    assert (IDS["accordion"], IDS["airplane"], IDS["woman"]) == (1, 2, 70)
    assert sorted(BASE_IDS + NOVEL_IDS) == list(range(1, 71))
