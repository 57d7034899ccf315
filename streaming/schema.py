"""What a field may hold: rules that stand in the annotations of a dataclass and check its values.

Messages and the control conversation describe each field once, by a rule; checking, encoding and decoding all
walk these rules. Values come out as plain Python, whatever kind of number went in, and a broken rule is a
`MessageError` that names the place.
"""

from __future__ import annotations

import math
import re
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeVar, get_type_hints

import msgpack
import numpy as np

MAX_PART_BYTES = 64 << 20
MAX_DEPTH = 12  # the status of a run over several sources has 10
MAX_INTEGER = 2**63 - 1

Buffer = bytes | bytearray | memoryview
T = TypeVar("T")


class MessageError(Exception):
    """A message that breaks its schema. One line: which field, what was found, what was expected."""


def wrong(where: str, found: str, expected: str) -> MessageError:
    """The error for what breaks a rule at `where`."""
    return MessageError(f"{where}: found {found}, expected {expected}")


def short(value: Any) -> str:
    """A value as an error shows it, however large it is."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    try:
        return reprlib.repr(value)
    except ValueError:  # Python refuses to print integers of thousands of digits
        return f"a huge {type(value).__name__}"


class Rule(ABC):
    """What a field may hold."""

    @abstractmethod
    def check(self, where: str, value: Any) -> Any:
        """The value as plain Python. Raises `MessageError` that names the place, `where`."""


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


@dataclass(frozen=True)
class Whole(Rule):
    """An integer from `low` to `high`; numpy's integers become Python's, a bool is none."""

    low: int = 0
    high: int = MAX_INTEGER

    def check(self, where: str, value: Any) -> int:
        if _is_integer(value) and self.low <= value <= self.high:
            return int(value)
        raise wrong(where, short(value), f"a whole number from {self.low} to {self.high}")


@dataclass(frozen=True)
class Real(Rule):
    """A finite number from `low` to `high`. A whole one stays whole: JSON gets it as it was given."""

    low: float = -math.inf
    high: float = math.inf

    def check(self, where: str, value: Any) -> float:
        if _is_integer(value) and abs(int(value)) <= MAX_INTEGER and self.low <= value <= self.high:
            return int(value)
        if isinstance(value, float | np.floating) and math.isfinite(value) and self.low <= value <= self.high:
            return float(value)
        raise wrong(where, short(value), f"a finite number from {self.low:g} to {self.high:g}")


@dataclass(frozen=True)
class Flag(Rule):
    """True or False."""

    def check(self, where: str, value: Any) -> bool:
        if isinstance(value, bool | np.bool_):
            return bool(value)
        raise wrong(where, short(value), "true or false")


@dataclass(frozen=True)
class Text(Rule):
    """A string of at most `max_chars` characters that matches `pattern` whole."""

    max_chars: int = 4096
    pattern: str = r"(?s).*"

    def check(self, where: str, value: Any) -> str:
        if isinstance(value, str) and len(value) <= self.max_chars and re.fullmatch(self.pattern, value):
            return str(value)
        raise wrong(
            where, short(value), f"text of at most {self.max_chars} characters matching {self.pattern}"
        )


@dataclass(frozen=True)
class Maybe(Rule):
    """None, or what `rule` allows."""

    rule: Rule

    def check(self, where: str, value: Any) -> Any:
        return None if value is None else self.rule.check(where, value)


@dataclass(frozen=True)
class Many(Rule):
    """A list of `low` to `high` items that all follow `rule`."""

    rule: Rule
    high: int
    low: int = 0

    def check(self, where: str, value: Any) -> list[Any]:
        if isinstance(value, list | tuple) and self.low <= len(value) <= self.high:
            return [self.rule.check(f"{where}[{i}]", item) for i, item in enumerate(value)]
        raise wrong(where, short(value), f"a list of {self.low} to {self.high} items")


class Row(Rule):
    """A short list (or, with `into=tuple`, a tuple) with one rule per position."""

    def __init__(self, *rules: Rule, into: type = list) -> None:
        self.rules, self.into = rules, into

    def check(self, where: str, value: Any) -> Any:
        if isinstance(value, list | tuple) and len(value) == len(self.rules):
            pairs = enumerate(zip(self.rules, value, strict=True))
            return self.into(rule.check(f"{where}[{i}]", item) for i, (rule, item) in pairs)
        raise wrong(where, short(value), f"a list of {len(self.rules)} items")


@dataclass(frozen=True)
class Table(Rule):
    """A map from names to values that all follow `rule`."""

    rule: Rule
    high: int = 256

    def check(self, where: str, value: Any) -> dict[str, Any]:
        if isinstance(value, dict) and len(value) <= self.high:
            return {_key(where, k): self.rule.check(f"{where}.{k}", item) for k, item in value.items()}
        raise wrong(where, short(value), f"a map of at most {self.high} entries")


@dataclass(frozen=True)
class Record(Rule):
    """A map with exactly these entries, and with others too where `extra` says what they may hold."""

    entries: Mapping[str, Rule]
    extra: Rule | None = None

    def check(self, where: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > len(self.entries) + 64:
            raise wrong(where, short(value), f"a map of {', '.join(self.entries)}")
        if missing := [name for name in self.entries if name not in value]:
            raise wrong(where, f"no {', '.join(missing)}", f"a map of {', '.join(self.entries)}")
        checked = {}
        for name, item in value.items():
            rule = self.entries.get(_key(where, name), self.extra)
            if rule is None:
                raise wrong(where, f"unknown entry {name[:64]!r}", f"only {', '.join(self.entries)}")
            checked[name] = rule.check(f"{where}.{name}", item)
        return checked


@dataclass(frozen=True)
class Plain(Rule):
    """Any tree of null, booleans, finite numbers, text, lists and maps, at most `depth` levels deep."""

    depth: int = MAX_DEPTH

    def check(self, where: str, value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool | np.bool_):
            return bool(value)
        if self.depth and isinstance(value, list | tuple | dict):
            within = Plain(self.depth - 1)
            if isinstance(value, dict):
                return {_key(where, k): within.check(f"{where}.{k}", item) for k, item in value.items()}
            return [within.check(f"{where}[{i}]", item) for i, item in enumerate(value)]
        if isinstance(value, int | float | np.integer | np.floating):
            return Real().check(where, value)
        raise wrong(where, short(value), f"plain values, at most {MAX_DEPTH} levels deep")


def _key(where: str, name: Any) -> str:
    return Text(max_chars=256, pattern=r"[^\x00-\x1f]+").check(f"{where}: name of an entry", name)


class Array(Rule):
    """An array of `dtype`, which travels outside the header, as a raw little-endian buffer.

    Each of `dims` is a fixed length, or the least and the greatest length allowed.
    """

    def __init__(self, dtype: str, *dims: int | tuple[int, int]) -> None:
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.dims = tuple((dim, dim) if isinstance(dim, int) else dim for dim in dims)

    def check(self, where: str, value: Any) -> np.ndarray:
        if not isinstance(value, np.ndarray) or value.dtype != self.dtype or not self.allows(value.shape):
            raise wrong(where, short(value), str(self))
        if self.dtype.kind == "f" and not np.isfinite(value).all():
            raise wrong(where, f"{np.sum(~np.isfinite(value))} values that are NaN or infinite", "none")
        return value

    def allows(self, shape: Sequence[int]) -> bool:
        """Whether every length is within its bounds, and their product within `MAX_PART_BYTES`."""
        return (
            len(shape) == len(self.dims)
            and all(low <= n <= high for n, (low, high) in zip(shape, self.dims, strict=True))
            and math.prod(shape) * self.dtype.itemsize <= MAX_PART_BYTES
        )

    def pack(self, value: Any) -> list[np.ndarray]:
        """The C-contiguous arrays that carry a checked value."""
        return [np.ascontiguousarray(value)]

    def unpack(self, where: str, arrays: list[np.ndarray]) -> Any:
        """The value that these arrays carried, not yet checked."""
        if len(arrays) != 1:
            raise wrong(where, f"{len(arrays)} parts", "exactly one")
        return arrays[0]

    def __str__(self) -> str:
        dims = ", ".join(str(low) if low == high else f"{low}..{high}" for low, high in self.dims)
        return f"{self.dtype.name} of shape ({dims}) and at most {MAX_PART_BYTES >> 20} MiB"


class Buffers(Array):
    """A list of at most `high` byte buffers, none empty, each of which travels as a part of its own."""

    def __init__(self, high: int) -> None:
        super().__init__("uint8", (1, MAX_PART_BYTES))
        self.high = high

    def check(self, where: str, value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) > self.high:
            raise wrong(where, short(value), f"a list of at most {self.high} byte buffers")
        checked = []
        for i, item in enumerate(value):
            try:
                array = np.frombuffer(item, np.uint8)
            except (TypeError, ValueError, BufferError):
                raise wrong(f"{where}[{i}]", short(item), "a byte buffer that is not empty") from None
            checked.append(super().check(f"{where}[{i}]", array).data)
        return checked

    def pack(self, value: Any) -> list[np.ndarray]:
        return [np.frombuffer(buffer, np.uint8) for buffer in value]

    def unpack(self, where: str, arrays: list[np.ndarray]) -> Any:
        return [array.data for array in arrays]


@cache
def rules_of(kind: type) -> dict[str, Rule]:
    """The rule of every field of a dataclass, from its annotations."""
    hints = get_type_hints(kind, include_extras=True)
    return {f.name: hints[f.name].__metadata__[0] for f in fields(kind)}


def checked(record: Any) -> dict[str, Any]:
    """The fields of a dataclass whose annotations carry rules, checked. Raises `MessageError`."""
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    return Record(rules_of(type(record))).check(type(record).__name__, values)


def build(kind: type[T], values: Any) -> T:
    """A dataclass whose annotations carry rules, from a map of exactly its fields. Raises `MessageError`."""
    return kind(**Record(rules_of(kind)).check(kind.__name__, values))


def pack_map(values: dict[str, Any], max_bytes: int) -> bytes:
    """A map as msgpack. Raises `MessageError` when msgpack cannot hold it or it is too long."""
    try:
        packed = bytes(msgpack.packb(values) or b"")
    except (TypeError, ValueError, OverflowError) as error:
        raise MessageError(f"a map that msgpack cannot hold: {error}") from None
    if len(packed) > max_bytes:
        raise MessageError(f"a map of {len(packed)} bytes, expected at most {max_bytes}")
    return packed


def unpack_map(packed: Buffer, max_bytes: int) -> dict[str, Any]:
    """The map in a msgpack buffer. Raises `MessageError` for anything else."""
    if memoryview(packed).nbytes > max_bytes:
        raise MessageError(f"a map of {memoryview(packed).nbytes} bytes, expected at most {max_bytes}")
    try:
        values = msgpack.unpackb(packed)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise MessageError(f"not a msgpack map: {type(error).__name__}: {error}") from None
    if not isinstance(values, dict):
        raise wrong("msgpack", short(values), "a map")
    return values
