"""The words objects may be called: any list of words or phrases, replaceable while the pipeline runs.

Free of torch, so that the command and the configuration can check a vocabulary before anything starts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from model import audioset, avsbench_ov
from model.errors import ModelError

MAX_WORDS = 5000
MAX_CHARACTERS = 100
PRESETS: dict[str, tuple[str, ...]] = {"avsbench-ov": avsbench_ov.NAMES, "audioset": audioset.NAMES}


@dataclass(frozen=True)
class Vocabulary:
    """Words in the order given, each once (case aside), and how often the vocabulary has been replaced.

    Raises:
        ModelError: for a word that is empty, too long or holds control characters; for none, or too many.
    """

    words: tuple[str, ...]
    revision: int = 1

    def __post_init__(self) -> None:
        entries = [(f"entry {number}", word) for number, word in enumerate(self.words, start=1)]
        object.__setattr__(self, "words", _checked(entries, "vocabulary"))

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def parse(cls, argument: str) -> Vocabulary:
        """What a command line says: a preset's name, a YAML file, or words with commas between them."""
        name = argument.strip()
        if name.casefold() in PRESETS:
            return cls(PRESETS[name.casefold()])
        if name.casefold().endswith((".yaml", ".yml")):
            return cls.load(Path(name))
        return cls(tuple(argument.split(",")))

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read a YAML file: a list of words, or a mapping that has the list under `words`."""
        return cls(_checked(_entries(path), str(path)))

    def replaced(self, words: Iterable[str]) -> Vocabulary:
        """The vocabulary that follows this one."""
        return Vocabulary(tuple(words), self.revision + 1)


def _checked(entries: list[tuple[str, str]], place: str) -> tuple[str, ...]:
    """Clean words from (where, word) pairs; the first of several spellings of a word stays."""
    words: dict[str, str] = {}
    for where, raw in entries:
        word = " ".join(raw.split())
        words.setdefault(word.casefold(), word)
        fault = _fault(word)
        if fault:
            raise ModelError(f"{place}: {where}: {fault}")
    if not words:
        raise ModelError(f"{place}: no words found, expected at least one")
    if len(words) > MAX_WORDS:
        raise ModelError(f"{place}: found {len(words)} words, expected at most {MAX_WORDS}")
    return tuple(words.values())


def _fault(word: str) -> str | None:
    if not word:
        return "found an empty word, expected a word or phrase"
    if len(word) > MAX_CHARACTERS:
        shown = _visible(word[:20])
        return f"found {len(word)} characters ('{shown}…'), expected at most {MAX_CHARACTERS}"
    for character in word:
        if unicodedata.category(character) in ("Cc", "Cs"):
            return f"found the control character U+{ord(character):04X} in '{_visible(word)}', expected text"
    return None


def _visible(word: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in word)


def _entries(path: Path) -> list[tuple[str, str]]:
    """(line, word) pairs of a YAML file. Scalars are taken as written: `no` is a word, not a truth value."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); give a YAML file of words") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: not a text file in UTF-8; give a YAML file of words") from error
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        raise ModelError(f"{path}: {line}not valid YAML ({error.problem})") from error
    except yaml.YAMLError as error:  # characters that YAML does not allow
        raise ModelError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from error
    except RecursionError as error:
        raise ModelError(f"{path}: nested too deeply, expected a plain list of words") from error
    if isinstance(root, yaml.MappingNode):
        root = _under_words(path, root)
    if not isinstance(root, yaml.SequenceNode):
        raise ModelError(f"{path}: expected a list of words, or a mapping with the list under 'words'")
    entries: list[tuple[str, str]] = []
    for node in root.value:
        where = f"line {node.start_mark.line + 1}"
        if not isinstance(node, yaml.ScalarNode):
            raise ModelError(f"{path}: {where}: found a nested {node.id}, expected a word or phrase")
        entries.append((where, node.value))
    return entries


def _under_words(path: Path, mapping: yaml.MappingNode) -> yaml.Node | None:
    found: yaml.Node | None = None
    for key, value in mapping.value:
        if key.value != "words":
            where = f"line {key.start_mark.line + 1}"
            raise ModelError(f"{path}: {where}: found the key '{key.value}', expected only 'words'")
        found = value
    return found
