"""Wrong settings, told to the person who wrote them: where, what was found, what would do.

What would do is read off the annotation of the setting, so that nobody meets the wording of the library that
validates.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from streaming.settings import Fault, KeyPath, Layer
from streaming.sources.address import redacted

KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
NUMBER = re.compile(r"[-+]?[\d.][\w.,:%+-]*")
SHOWN_CHARS = 60
MOST_HINTS = 3


@dataclass(frozen=True)
class Expects:
    """Stands in an annotation where type and range do not say all: what would do, in words."""

    words: str


class Misfit(ValueError):
    """A value of a section does not go with what is set elsewhere: its key in the section, and why."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


def complaints(error: ValidationError, layer: Layer, root: type[BaseModel]) -> list[Fault]:
    """One fault for each wrong value and each unknown key of the settings in a layer."""
    faults: dict[KeyPath, Fault] = {}
    for detail in error.errors(include_url=False):
        at, annotation = _followed(root, detail["loc"])
        if annotation is None:
            text = f"no such key; {_hint(at, root)}"
        elif detail["type"] == "value_error" and _words(annotation) is None:
            cause = detail.get("ctx", {}).get("error")
            at, text = (*at, cause.key) if isinstance(cause, Misfit) else at, str(cause)
        else:
            text = f"found {shown(detail['input'])}, expected {expected(annotation)}"
        faults.setdefault(at, Fault(layer.origin(at), at, text))
    # Where several kinds of value would do, each has complained: the one that came furthest knows best.
    return [fault for fault in faults.values() if not any(_lies_within(at, fault.at) for at in faults)]


def expected(annotation: Any) -> str:
    """What would do for an annotation, in words: "a whole number from 1 to 30"."""
    if (words := _words(annotation)) is not None:
        return words
    kinds = list(_kinds(annotation))
    told = [_expected_kind(kind, metadata) for kind, metadata in kinds if kind is not NoneType]
    return " or ".join(told) + (", or nothing" if any(kind is NoneType for kind, _ in kinds) else "")


def shown(value: Any) -> str:
    """A value as it was written, without what may be a password; what is no single value, by its kind."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping | BaseModel):
        return "a section"
    if isinstance(value, list | tuple):
        return "a list"
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else f"{value:g}"
    if not value.strip():
        return "empty text"
    value = redacted(value)
    short = value if len(value) <= SHOWN_CHARS else value[: SHOWN_CHARS - 1] + "…"
    return short if NUMBER.fullmatch(value) else repr(short)


def _expected_kind(kind: Any, metadata: Sequence[Any]) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if get_origin(kind) is list:
        return "a list of words" if get_args(kind) == (str,) else "a list of sections"
    if issubclass(kind, BaseModel):
        return f"a section with {', '.join(kind.model_fields)}"
    return KINDS[kind] + _range(metadata)


def _range(metadata: Sequence[Any]) -> str:
    bounds = {
        name: f"{bound:g}"
        for item in metadata
        for name in ("ge", "gt", "le", "lt", "multiple_of")
        if (bound := getattr(item, name, None)) is not None
    }
    factor = f", a multiple of {bounds.pop('multiple_of')}" if "multiple_of" in bounds else ""
    if bounds.keys() == {"ge", "le"}:
        return f" from {bounds['ge']} to {bounds['le']}{factor}"
    words = {"ge": "of at least", "gt": "above", "le": "at most", "lt": "below"}
    told = " and ".join(f"{words[name]} {bound}" for name, bound in bounds.items())
    return f" {told}{factor}" if told else factor


def _kinds(annotation: Any, metadata: Sequence[Any] = ()) -> Iterator[tuple[Any, Sequence[Any]]]:
    """The plain types that an annotation allows, each with what it says about their values."""
    if get_origin(annotation) is Annotated:
        plain, *more = get_args(annotation)
        flat = [part for item in more for part in (item.metadata if isinstance(item, FieldInfo) else [item])]
        yield from _kinds(plain, [*metadata, *flat])
    elif get_origin(annotation) in (Union, UnionType):
        for kind in get_args(annotation):
            yield from _kinds(kind, metadata)
    else:
        yield annotation, metadata


def _words(annotation: Any) -> str | None:
    marks = (item for _, metadata in _kinds(annotation) for item in metadata)
    return next((item.words for item in marks if isinstance(item, Expects)), None)


def _section(annotation: Any) -> type[BaseModel] | None:
    kinds = (kind for kind, _ in _kinds(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _field(section: type[BaseModel], key: str) -> Any:
    """The whole annotation of a section's key; None when it has no such key."""
    field = section.model_fields.get(key)
    return None if field is None else Annotated[field.annotation, field]


def _followed(root: type[BaseModel], loc: Sequence[str | int]) -> tuple[KeyPath, Any]:
    """The key that a location of pydantic's means, and its annotation (None: there is no such key).

    Where several kinds of value would do, a location also holds the name of the kind that was tried.
    """
    at: KeyPath = ()
    annotation: Any = root
    for step in loc:
        items = [get_args(kind)[0] for kind, _ in _kinds(annotation) if get_origin(kind) is list]
        if (section := _section(annotation)) is not None:
            at = (*at, str(step))
            annotation = _field(section, str(step))
        elif isinstance(step, int) and items:
            at = (*at, step)
            annotation = items[0]
        if annotation is None:
            break
    return at, annotation


def _hint(at: KeyPath, root: type[BaseModel]) -> str:
    """What somebody who wrote an unknown key may have meant."""
    *parents, key = map(str, at)
    section = _section(_followed(root, at[:-1])[1]) or root
    everywhere = [".".join(path) for path in _paths(root)]
    if "." in key and ".".join([*parents, key]) in everywhere:
        below, _, last = key.rpartition(".")
        return f"write '{last}:' in a line of its own below '{below}:'"
    if key in root.model_fields:
        return f"did you mean '{key}:' without indentation?"
    if elsewhere := [path for path in everywhere if path.endswith(f".{key}")]:
        return f"did you mean {' or '.join(elsewhere[:MOST_HINTS])}?"
    if near := difflib.get_close_matches(key.casefold(), section.model_fields, n=1):
        return f"did you mean '{near[0]}'?"
    return f"expected one of {', '.join(section.model_fields)}"


def _paths(section: type[BaseModel], at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key in section.model_fields:
        yield (*at, key)
        if (inner := _section(_field(section, key))) is not None:
            yield from _paths(inner, (*at, key))


def _lies_within(inner: KeyPath, outer: KeyPath) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer
