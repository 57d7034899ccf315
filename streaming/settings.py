"""Settings in layers, each over the one before: trees of values as they were written, with file and line.

Nothing is interpreted here. YAML would make a truth value of `no`, 750 of `12:30` and a date of `2024-05-01`;
here a value stays the text that it is, and the field it is meant for decides what it means. Only an empty
value, `~` and `null` mean nothing, and in a list (of words, say) not even those.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from streaming.errors import UserError
from streaming.legible import legible

KeyPath = tuple[str | int, ...]  # keys of sections, numbers of items of a list

MAX_BYTES = 1 << 20
NOTHING = {"", "~", "null", "Null", "NULL"}
TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map")}
QUOTED_OR_NESTED = ("[", "{", '"', "'")
MENDING = "check indentation, colons and quotes here and in the line above"


@dataclass(frozen=True)
class Origin:
    """Where a value was written: a file and its line, or an option of the command line."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Fault:
    """A mistake in a setting, told in one line."""

    origin: Origin
    at: KeyPath
    text: str

    def __str__(self) -> str:
        where = str(self.at[0]) if self.at else ""
        for before, key in pairwise(self.at):
            if isinstance(key, int):
                where += f", entry {key + 1}"
            else:
                where += f".{key}" if isinstance(before, str) else f", {key}"
        line = ": ".join(filter(None, (str(self.origin), where, self.text)))
        return legible(line)


@dataclass(frozen=True)
class Layer:
    """Settings from one place.

    Attributes:
        values: sections (dict) of sections, lists, texts and None.
        origins: where each key, and each item of a list, was written.
        faults: what was wrong with the writing itself, to be told together with wrong values.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def origin(self, at: KeyPath) -> Origin:
        """Where a key was written, or else the nearest section around it."""
        nearest = next((at[:i] for i in range(len(at), -1, -1) if at[:i] in self.origins), None)
        return Origin("configuration") if nearest is None else self.origins[nearest]


def read_yaml(path: Path) -> Layer:
    """A configuration file. Raises `UserError` when it cannot be read, or is not YAML with sections."""
    text = _text_of(path)
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        raise UserError(f"{path}{line}: {_problem(error)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{path}:{line}: {_problem(error)}") from None
    except RecursionError:
        raise UserError(f"{path}: nested too deeply, expected sections with keys and values") from None
    if root is None:
        return Layer()
    if not isinstance(root, yaml.MappingNode):
        found = "a list" if isinstance(root, yaml.SequenceNode) else "text"
        line = root.start_mark.line + 1
        raise UserError(f"{path}:{line}: found {found}, expected sections such as 'source:' and 'model:'")
    reader = _Reader(str(path))
    return reader.layer(reader.read(root, ()))


def setting(text: str) -> Layer:
    """`section.key=value` from the command line. Raises `UserError` when it is not of that form."""
    key, equals, value = (part.strip() for part in text.partition("="))
    at = tuple(part.strip() for part in key.split("."))
    if not equals or not all(at):
        raise UserError(f"--set {key}: expected section.key=value, such as source.hop_s=0.5")
    if not value.startswith(QUOTED_OR_NESTED):
        return nested(at, None if value in NOTHING else value, "--set")
    try:
        node = yaml.compose(value, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        problem = _problem(error) if isinstance(error, yaml.YAMLError) else "nested too deeply"
        raise UserError(f"--set {key}: {problem}") from None
    reader = _Reader("--set", lines=False)
    layer = nested(at, reader.read(node, at), "--set")
    return Layer(layer.values, reader.origins | layer.origins, tuple(reader.faults))


def nested(at: KeyPath, value: Any, origin: str) -> Layer:
    """A single value."""
    tree: Any = value
    for key in reversed(at):
        tree = {key: tree}
    return Layer(tree, {at[:i]: Origin(origin) for i in range(1, len(at) + 1)})


def merge(layers: Iterable[Layer]) -> Layer:
    """Later layers over earlier ones, key by key. Lists are replaced whole; an empty section sets nothing."""
    values: dict[str, Any] = {}
    origins: dict[KeyPath, Origin] = {}
    faults: list[Fault] = []
    for layer in layers:
        _lay_over(values, layer.values, origins, ())
        origins |= layer.origins
        faults += layer.faults
    return Layer(values, origins, tuple(faults))


def _lay_over(
    below: dict[str, Any], above: dict[str, Any], origins: dict[KeyPath, Origin], at: KeyPath
) -> None:
    for key, value in above.items():
        here = (*at, key)
        if isinstance(below.get(key), dict) and isinstance(value, dict | None):
            _lay_over(below[key], value or {}, origins, here)
            continue
        for replaced in [path for path in origins if path[: len(here)] == here]:
            del origins[replaced]
        below[key] = {}
        if isinstance(value, dict):
            _lay_over(below[key], value, origins, here)
        else:
            below[key] = value


class _Reader:
    """Makes values of YAML nodes; keeps where they were, and what was wrong with them."""

    def __init__(self, file: str, *, lines: bool = True) -> None:
        self.origins: dict[KeyPath, Origin] = {}
        self.faults: list[Fault] = []
        self._file = file
        self._lines = lines
        self._collections: set[int] = set()

    def layer(self, values: dict[str, Any]) -> Layer:
        return Layer(values, self.origins, tuple(self.faults))

    def read(self, node: yaml.Node, at: KeyPath, *, listed: bool = False) -> Any:
        """The value of a node. listed: it is an item of a list."""
        self.origins.setdefault(at, self._origin(node))
        if node.tag not in TAGS:
            self._fault(at, f"found the tag {node.tag}, expected a value without a tag")
        if isinstance(node, yaml.ScalarNode):
            return None if node.style is None and node.value in NOTHING and not listed else node.value
        if id(node) in self._collections:
            self._fault(at, "found an alias (*) of a section or list, expected it to be written out")
            return None
        self._collections.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._section(node, at)
        return [self.read(item, (*at, i), listed=True) for i, item in enumerate(node.value)]

    def _section(self, node: yaml.MappingNode, at: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(at, "found a list or section as a key, expected a name", key_node)
                continue
            key = key_node.value
            if key in values:
                first = self.origins[(*at, key)]
                where = f" (first in line {first.line})" if first.line else ""
                self._fault((*at, key), f"found twice{where}, expected once", key_node)
                continue
            self.origins[(*at, key)] = self._origin(key_node)
            values[key] = self.read(value_node, (*at, key))
        return values

    def _origin(self, node: yaml.Node) -> Origin:
        return Origin(self._file, node.start_mark.line + 1 if self._lines else None)

    def _fault(self, at: KeyPath, text: str, node: yaml.Node | None = None) -> None:
        """Note what is wrong with the value at a key, or with a node that is no value."""
        self.faults.append(Fault(self.origins[at] if node is None else self._origin(node), at, text))


def _text_of(path: Path) -> str:
    """The text of a file that can be a configuration. Raises `UserError`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read as a configuration: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise UserError(f"{path}: found more than {MAX_BYTES >> 20} MiB, expected a configuration file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not text in UTF-8, expected a configuration file") from None


def _problem(error: yaml.YAMLError) -> str:
    """What is wrong with the YAML, and what to do."""
    if isinstance(error, yaml.reader.ReaderError):
        return f"found the control character U+{error.character:04X}, expected text"
    problem = getattr(error, "problem", None) or "cannot be read"
    begun, ended = getattr(error, "context_mark", None), getattr(error, "problem_mark", None)
    if "'\\t'" in problem:
        return "found a tab, expected spaces: YAML is indented with spaces"
    if "another document" in problem:
        return "found a second document (---), expected one"
    if begun is not None and ended is not None and begun.line < ended.line:
        problem += f", in what begins in line {begun.line + 1}"
    return f"not valid YAML ({problem}); {MENDING}"
