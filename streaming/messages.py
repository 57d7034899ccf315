"""What flows between the nodes: six frozen messages and the one codec that carries them.

The annotation of every field carries a rule. Encoding, decoding and checking all walk the same rules, so a
field is described once. On the wire a message is `[source id, msgpack header, raw buffer, raw buffer ...]`;
the header holds the schema version, the kind, the plain fields and, for each buffer, the name, dtype and
shape of its part. Nothing is ever pickled, and whatever bytes arrive, `decode` answers with a message or
with `MessageError`.

Floating-point parts and fields must be finite: a NaN is refused where it would leave a node, and again where
it would enter one, so that it never reaches a model or a results file unseen.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Annotated, Any, TypeVar, get_type_hints

import msgpack
import numpy as np

VERSION = 1
MAX_HEADER_BYTES = 8 << 20
MAX_PART_BYTES = 64 << 20
MAX_PARTS = 256
MAX_MESSAGE_BYTES = 256 << 20
MAX_SIDE = 8192
MAX_TRACKS = 1024
MAX_DEPTH = 8
MAX_INTEGER = 2**63 - 1
AUDIO_SAMPLES = 16_000

Buffer = bytes | bytearray | memoryview
T = TypeVar("T")


class MessageError(Exception):
    """A message that breaks its schema. One line: which field, what was found, what was expected."""


def _wrong(where: str, found: str, expected: str) -> MessageError:
    return MessageError(f"{where}: found {found}, expected {expected}")


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    try:
        return reprlib.repr(value)
    except ValueError:  # Python refuses to print integers of thousands of digits
        return f"a huge {type(value).__name__}"


# -----------------------------------------------------------------------------------------------------------
# Rules: what a field may hold


class Rule:
    """What a field may hold."""

    def check(self, where: str, value: Any) -> Any:
        """The value as plain Python. Raises `MessageError` that names the place, `where`."""
        raise NotImplementedError


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
        raise _wrong(where, _short(value), f"a whole number from {self.low} to {self.high}")


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
        raise _wrong(where, _short(value), f"a finite number from {self.low:g} to {self.high:g}")


@dataclass(frozen=True)
class Flag(Rule):
    """True or False."""

    def check(self, where: str, value: Any) -> bool:
        if isinstance(value, bool | np.bool_):
            return bool(value)
        raise _wrong(where, _short(value), "true or false")


@dataclass(frozen=True)
class Text(Rule):
    """A string of at most `max_chars` characters that matches `pattern` whole."""

    max_chars: int = 4096
    pattern: str = r"(?s).*"

    def check(self, where: str, value: Any) -> str:
        if isinstance(value, str) and len(value) <= self.max_chars and re.fullmatch(self.pattern, value):
            return str(value)
        raise _wrong(
            where, _short(value), f"text of at most {self.max_chars} characters matching {self.pattern}"
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
        raise _wrong(where, _short(value), f"a list of {self.low} to {self.high} items")


class Row(Rule):
    """A short list (or, with `into=tuple`, a tuple) with one rule per position."""

    def __init__(self, *rules: Rule, into: type = list) -> None:
        self.rules, self.into = rules, into

    def check(self, where: str, value: Any) -> Any:
        if isinstance(value, list | tuple) and len(value) == len(self.rules):
            pairs = enumerate(zip(self.rules, value, strict=True))
            return self.into(rule.check(f"{where}[{i}]", item) for i, (rule, item) in pairs)
        raise _wrong(where, _short(value), f"a list of {len(self.rules)} items")


@dataclass(frozen=True)
class Table(Rule):
    """A map from names to values that all follow `rule`."""

    rule: Rule
    high: int = 256

    def check(self, where: str, value: Any) -> dict[str, Any]:
        if isinstance(value, dict) and len(value) <= self.high:
            return {_key(where, k): self.rule.check(f"{where}.{k}", item) for k, item in value.items()}
        raise _wrong(where, _short(value), f"a map of at most {self.high} entries")


@dataclass(frozen=True)
class Record(Rule):
    """A map with exactly these entries, and with others too where `extra` says what they may hold."""

    entries: Mapping[str, Rule]
    extra: Rule | None = None

    def check(self, where: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > len(self.entries) + 64:
            raise _wrong(where, _short(value), f"a map of {', '.join(self.entries)}")
        if missing := [name for name in self.entries if name not in value]:
            raise _wrong(where, f"no {', '.join(missing)}", f"a map of {', '.join(self.entries)}")
        checked = {}
        for name, item in value.items():
            rule = self.entries.get(_key(where, name), self.extra)
            if rule is None:
                raise _wrong(where, f"unknown entry {name[:64]!r}", f"only {', '.join(self.entries)}")
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
        raise _wrong(where, _short(value), f"plain values, at most {MAX_DEPTH} levels deep")


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
            raise _wrong(where, _short(value), str(self))
        if self.dtype.kind == "f" and not np.isfinite(value).all():
            raise _wrong(where, f"{np.sum(~np.isfinite(value))} values that are NaN or infinite", "none")
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
            raise _wrong(where, f"{len(arrays)} parts", "exactly one")
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
            raise _wrong(where, _short(value), f"a list of at most {self.high} byte buffers")
        checked = []
        for i, item in enumerate(value):
            try:
                array = np.frombuffer(item, np.uint8)
            except (TypeError, ValueError, BufferError):
                raise _wrong(f"{where}[{i}]", _short(item), "a byte buffer that is not empty") from None
            checked.append(super().check(f"{where}[{i}]", array).data)
        return checked

    def pack(self, value: Any) -> list[np.ndarray]:
        return [np.frombuffer(buffer, np.uint8) for buffer in value]

    def unpack(self, where: str, arrays: list[np.ndarray]) -> Any:
        return [array.data for array in arrays]


# -----------------------------------------------------------------------------------------------------------
# Messages: what flows

SIDE = (1, MAX_SIDE)
Count = Annotated[int, Whole()]
TimeNs = Annotated[int, Whole(-MAX_INTEGER)]
Number = Annotated[float, Real()]
Truth = Annotated[bool, Flag()]
Size = Annotated[tuple[int, int], Row(Whole(*SIDE), Whole(*SIDE), into=tuple)]
Picture = Annotated[np.ndarray, Array("uint8", SIDE, SIDE, 3)]
Logits = Annotated[np.ndarray, Array("float16", (0, MAX_TRACKS), SIDE, SIDE)]

LABEL = Record({"name": Text(), "p": Real()})
MASK = Record({"size": Row(Whole(*SIDE), Whole(*SIDE)), "counts": Text(max_chars=1 << 20)})
SOUNDING_TRACK = Record({"id": Whole(), "sounding": Real()}, extra=Plain(3))
RESULT_TRACK = Record(
    {
        "id": Whole(),
        "label": Maybe(Text()),
        "labels": Many(LABEL, 1024),
        "sounding": Real(),
        "mask": MASK,
        "box": Row(Real(), Real(), Real(), Real()),
        "area": Real(),
    },
    extra=Plain(3),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Message:
    """What all messages share: their place in the stream. Two are equal when all their fields are."""

    source: Annotated[str, Text(64, r"[A-Za-z0-9_.-]+")]
    generation: Count  # a new one after a start, reconnect, gap or seek
    seq: Count  # number of the snippet in the run of this source, over all generations
    t_ns: TimeNs  # start of the window, stream time
    dur_ns: Count = 1_000_000_000
    gap: Truth = False  # something was lost right before or inside this window
    emitted_ns: Count  # wall clock when capture let it go
    stage_ms: Annotated[dict[str, float], Table(Real())] = field(default_factory=dict)

    def carry(self, **stage_ms: float) -> dict[str, Any]:
        """The shared fields as arguments of the message that follows, with these milliseconds added."""
        place = {f.name: getattr(self, f.name) for f in fields(Message)}
        return {**place, "stage_ms": {**self.stage_ms, **stage_ms}}

    def contradiction(self) -> str | None:
        """In one line, how fields that are each allowed contradict each other; None when they agree."""
        return None

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(
            _equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return getattr(a, "dtype", None) == getattr(b, "dtype", None) and np.array_equal(a, b)
    return a == b


@dataclass(frozen=True, kw_only=True, eq=False)
class Snippet(Message):
    """One second of a source (paper, 3.1): the frame nearest the window's end and the window's sound."""

    frame: Picture  # RGB
    audio: Annotated[np.ndarray, Array("float32", AUDIO_SAMPLES)]  # 16 kHz mono in [-1, 1]
    frame_t_ns: TimeNs
    has_audio: Truth  # False: the source has no sound, and `audio` is silence


@dataclass(frozen=True, kw_only=True, eq=False)
class Features(Message):
    """A snippet prepared for the model (paper, 3.2): the resized frame and the embedding of its sound."""

    image: Picture  # RGB at the model's short side
    audio_embedding: Annotated[np.ndarray, Array("float32", (1, 65_536))]
    frame_size: Size
    frame_t_ns: TimeNs
    has_audio: Truth
    audio_dbfs: Number


@dataclass(frozen=True, kw_only=True, eq=False)
class SoundingMasks(Message):
    """What is sounding, and where (paper, 3.3): one mask and one track per object."""

    image: Picture  # RGB at the model's short side
    mask_logits: Logits  # at stride 4 of the padded image
    tracks: Annotated[list[dict[str, Any]], Many(SOUNDING_TRACK, MAX_TRACKS)]  # one per mask, in their order
    padded_size: Size
    frame_size: Size
    frame_t_ns: TimeNs
    has_audio: Truth
    audio_dbfs: Number
    window_fill: Count  # snippets of the window that are real, not repeated for warm-up

    def contradiction(self) -> str | None:
        if len(self.tracks) != len(self.mask_logits):
            return f"tracks: found {len(self.tracks)}, expected one for each of {len(self.mask_logits)} masks"
        if self.padded_size != tuple(4 * side for side in self.mask_logits.shape[1:]):
            return f"padded_size: found {self.padded_size}, expected 4 times {self.mask_logits.shape[1:]}"
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Result(Message):
    """What is sounding, where, and what it is (paper, 3.4): a line of results.jsonl in the making."""

    tracks: Annotated[list[dict[str, Any]], Many(RESULT_TRACK, MAX_TRACKS)]
    frame_size: Size
    frame_t_ns: TimeNs
    has_audio: Truth
    audio_dbfs: Number
    offscreen: Truth  # there is sound, but no visible source of it
    window_fill: Count
    vocabulary_revision: Count

    def contradiction(self) -> str | None:
        for track in self.tracks:
            if tuple(track["mask"]["size"]) != self.frame_size:
                return f"tracks: found a mask of {track['mask']['size']}, expected {self.frame_size}"
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Preview(Message):
    """The moving picture and the sound of one hop: the last `hop_s` of the window of snippet `seq`."""

    jpegs: Annotated[list[bytes] | list[memoryview], Buffers(MAX_PARTS - 1)]
    frame_t_ns: Annotated[list[int], Many(Whole(-MAX_INTEGER), MAX_PARTS - 1)]  # one per JPEG
    audio: Annotated[np.ndarray, Array("int16", (0, 1 << 24), (1, 64))]  # (samples, channels)
    audio_rate_hz: Annotated[int, Whole(1, 1_000_000)]
    frame_size: Size

    def contradiction(self) -> str | None:
        if len(self.jpegs) != len(self.frame_t_ns):
            return f"frame_t_ns: found {len(self.frame_t_ns)}, expected one for each of {len(self.jpegs)}"
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class End(Message):
    """The end of a source, passed down the line behind its last snippet. `seq` is one more than the last."""

    reason: Annotated[str, Text()]
    counters: Annotated[dict[str, Any], Table(Plain(2))] = field(default_factory=dict)


KINDS: dict[str, type[Message]] = {
    kind.__name__: kind for kind in (Snippet, Features, SoundingMasks, Result, Preview, End)
}


# -----------------------------------------------------------------------------------------------------------
# Codec

PART_TABLE = Many(Row(Text(64), Text(16), Many(Whole(), 8)), MAX_PARTS)


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


def pack_map(values: dict[str, Any], max_bytes: int = MAX_HEADER_BYTES) -> bytes:
    """A map as msgpack. Raises `MessageError` when msgpack cannot hold it or it is too long."""
    try:
        packed = bytes(msgpack.packb(values) or b"")
    except (TypeError, ValueError, OverflowError) as error:
        raise MessageError(f"a map that msgpack cannot hold: {error}") from None
    if len(packed) > max_bytes:
        raise MessageError(f"a map of {len(packed)} bytes, expected at most {max_bytes}")
    return packed


def unpack_map(packed: Buffer, max_bytes: int = MAX_HEADER_BYTES) -> dict[str, Any]:
    """The map in a msgpack buffer. Raises `MessageError` for anything else."""
    if memoryview(packed).nbytes > max_bytes:
        raise MessageError(f"a map of {memoryview(packed).nbytes} bytes, expected at most {max_bytes}")
    try:
        values = msgpack.unpackb(packed)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise MessageError(f"not a msgpack map: {type(error).__name__}: {error}") from None
    if not isinstance(values, dict):
        raise _wrong("msgpack", _short(values), "a map")
    return values


def encode(message: Message) -> Sequence[Buffer]:
    """The frames of a message: `[source id, header, part ...]`. Raises `MessageError` if it breaks a rule.

    The parts are views on the message's own arrays: do not write into an array once a message has it.
    """
    values = checked(message)
    kind = type(message).__name__
    if contradiction := message.contradiction():
        raise MessageError(f"{kind}.{contradiction}")
    source = values.pop("source")
    arrays = [
        (name, array)
        for name, rule in rules_of(type(message)).items()
        if isinstance(rule, Array)
        for array in rule.pack(values.pop(name))
    ]
    parts = [[name, array.dtype.name, array.shape] for name, array in arrays]
    header = pack_map({"v": VERSION, "kind": kind, "parts": parts, **values})
    return _bounded(
        [source.encode(), header, *(array.reshape(-1).view(np.uint8).data for _, array in arrays)]
    )


def decode(frames: Sequence[Buffer]) -> Message:
    """The message in these frames, its arrays read-only views on them. Raises only `MessageError`."""
    source, packed, *buffers = _bounded(frames)
    values = unpack_map(packed)
    if (version := Whole().check("header.v", values.pop("v", None))) != VERSION:
        raise _wrong("header.v", str(version), f"{VERSION}: both ends must run the same release")
    kind = KINDS.get(name := Text(32).check("header.kind", values.pop("kind", None)))
    if kind is None:
        raise _wrong("header.kind", _short(name), f"one of {', '.join(KINDS)}")
    parts = PART_TABLE.check(f"{kind.__name__}.parts", values.pop("parts", None))
    outside = {"source": bytes(source[:65]).decode("ascii", "replace"), **_decode_parts(kind, parts, buffers)}
    if twice := ", ".join(outside.keys() & values.keys()):
        raise _wrong("header", f"{twice} inside and outside it", "each field once")
    message = build(kind, values | outside)
    if contradiction := message.contradiction():
        raise MessageError(f"{kind.__name__}.{contradiction}")
    return message


def _bounded(frames: Sequence[Buffer]) -> Sequence[Buffer]:
    """The same frames, when neither their number nor their size is out of bounds."""
    if not 2 <= len(frames) <= MAX_PARTS + 2:
        raise _wrong("envelope", f"{len(frames)} frames", f"2 to {MAX_PARTS + 2}")
    if (nbytes := sum(memoryview(frame).nbytes for frame in frames)) > MAX_MESSAGE_BYTES:
        raise _wrong("envelope", f"{nbytes} bytes", f"at most {MAX_MESSAGE_BYTES}")
    return frames


def _decode_parts(kind: type[Message], parts: list[list[Any]], buffers: Sequence[Buffer]) -> dict[str, Any]:
    """The fields that travelled as raw buffers, as the part table of the header describes them."""
    if len(parts) != len(buffers):
        raise _wrong(f"{kind.__name__}.parts", f"{len(buffers)} buffers", f"{len(parts)} as in the header")
    rules = {name: rule for name, rule in rules_of(kind).items() if isinstance(rule, Array)}
    arrays: dict[str, list[np.ndarray]] = {name: [] for name in rules}
    for (name, dtype, shape), buffer in zip(parts, buffers, strict=True):
        if (rule := rules.get(name)) is None:
            raise _wrong(f"{kind.__name__}.parts", _short(name), f"one of {', '.join(rules) or 'none'}")
        where = f"{kind.__name__}.{name}"
        if dtype != rule.dtype.name or not rule.allows(shape):
            raise _wrong(where, f"{dtype} of shape {tuple(shape)}", str(rule))
        if memoryview(buffer).nbytes != (nbytes := math.prod(shape) * rule.dtype.itemsize):
            raise _wrong(where, f"{memoryview(buffer).nbytes} bytes", f"{nbytes} for shape {tuple(shape)}")
        # A small frame may lie at an odd address of the receive buffer; big ones never do: no copy.
        array = np.require(np.ndarray(shape, rule.dtype, buffer), requirements="A")
        array.flags.writeable = False
        arrays[name].append(array)
    return {name: rule.unpack(f"{kind.__name__}.{name}", arrays[name]) for name, rule in rules.items()}
