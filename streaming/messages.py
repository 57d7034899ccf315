"""What flows between the nodes: six frozen messages and the one codec that carries them.

Every field is annotated with a rule of `streaming.schema`. On the wire a message is `[source id, msgpack
header, raw buffer, raw buffer ...]`; the header holds the schema version, the kind, the plain fields and, for
each buffer, the name, dtype and shape of its part. Nothing is ever pickled, and whatever bytes arrive,
`decode` answers with a message or with `MessageError`.

Floating-point parts and fields must be finite: a NaN is refused where it would leave a node, and again where
it would enter one, so that it never reaches a model or a results file unseen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

import numpy as np

from streaming.schema import (
    MAX_INTEGER,
    Array,
    Buffer,
    Buffers,
    Flag,
    Many,
    Maybe,
    MessageError,
    Plain,
    Real,
    Record,
    Row,
    Table,
    Text,
    Whole,
    build,
    checked,
    pack_map,
    rules_of,
    short,
    unpack_map,
    wrong,
)

VERSION = 1
MAX_HEADER_BYTES = 8 << 20
MAX_PARTS = 256
MAX_MESSAGE_BYTES = 256 << 20
MAX_SIDE = 8192
MAX_TRACKS = 1024
AUDIO_SAMPLES = 16_000

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
HEARD = Record({"name": Text(200), "p": Real()})
SOUNDING_TRACK = Record({"id": Whole(), "sounding": Real()}, extra=Plain(3))
CANDIDATE = Record({"sounding": Real()}, extra=Plain(3))
RESULT_CANDIDATE = Record(
    {"sounding": Real(), "mask": MASK, "box": Row(Real(), Real(), Real(), Real())}, extra=Plain(3)
)
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
    """A snippet prepared for the model (paper, 3.2): its frame resized, its sound as an embedding or text."""

    image: Picture  # RGB at the model's short side
    audio_embedding: Annotated[np.ndarray, Array("float32", (0, 65_536))]  # empty where text takes its place
    frame_size: Size
    frame_t_ns: TimeNs
    has_audio: Truth
    audio_dbfs: Number
    sounds: Annotated[list[dict[str, Any]], Many(HEARD, 1024)] = field(default_factory=list)  # surest first


@dataclass(frozen=True, kw_only=True, eq=False)
class SoundingMasks(Message):
    """What is sounding, and where (paper, 3.3): one mask and one track per object.

    `candidates` are objects that are seen and held for silent, where those are wanted.
    """

    image: Picture  # RGB at the model's short side
    mask_logits: Logits  # at stride 4 of the padded image, 2 after a second look, 1 along the picture's edges
    tracks: Annotated[list[dict[str, Any]], Many(SOUNDING_TRACK, MAX_TRACKS)]  # one per mask, in their order
    padded_size: Size
    frame_size: Size
    frame_t_ns: TimeNs
    has_audio: Truth
    audio_dbfs: Number
    window_fill: Count  # snippets of the window that are real, not repeated for warm-up
    candidate_logits: Logits = field(default_factory=lambda: np.zeros((0, 1, 1), np.float16))
    candidates: Annotated[list[dict[str, Any]], Many(CANDIDATE, MAX_TRACKS)] = field(default_factory=list)
    offscreen_text: Annotated[str | None, Maybe(Text(200))] = (
        None  # what is heard and not seen, if it is known
    )

    def contradiction(self) -> str | None:
        if len(self.candidates) != len(self.candidate_logits):
            count = len(self.candidate_logits)
            return f"candidates: found {len(self.candidates)}, expected one for each of {count} masks"
        if self.candidates and self.candidate_logits.shape[1:] != self.mask_logits.shape[1:]:
            return f"candidate_logits: found {self.candidate_logits.shape[1:]}, expected those of mask_logits"
        if len(self.tracks) != len(self.mask_logits):
            return f"tracks: found {len(self.tracks)}, expected one for each of {len(self.mask_logits)} masks"
        h, w = self.mask_logits.shape[1:]
        if self.padded_size not in [(stride * h, stride * w) for stride in (4, 2, 1)]:
            return f"padded_size: found {self.padded_size}, expected 4, 2 or 1 times {(h, w)}"
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
    # Seen, and held for silent; they have no names. None: they were not wanted.
    candidates: Annotated[list[dict[str, Any]] | None, Maybe(Many(RESULT_CANDIDATE, MAX_TRACKS))] = None
    offscreen_text: Annotated[str | None, Maybe(Text(200))] = None  # what that sound is, if it is known

    def contradiction(self) -> str | None:
        for track in [*self.tracks, *(self.candidates or ())]:
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
    header = pack_map({"v": VERSION, "kind": kind, "parts": parts, **values}, MAX_HEADER_BYTES)
    return _bounded(
        [source.encode(), header, *(array.reshape(-1).view(np.uint8).data for _, array in arrays)]
    )


def decode(frames: Sequence[Buffer]) -> Message:
    """The message in these frames, its arrays read-only views on them. Raises only `MessageError`."""
    source, packed, *buffers = _bounded(frames)
    values = unpack_map(packed, MAX_HEADER_BYTES)
    if (version := Whole().check("header.v", values.pop("v", None))) != VERSION:
        raise wrong("header.v", str(version), f"{VERSION}: both ends must run the same release")
    kind = KINDS.get(name := Text(32).check("header.kind", values.pop("kind", None)))
    if kind is None:
        raise wrong("header.kind", short(name), f"one of {', '.join(KINDS)}")
    parts = PART_TABLE.check(f"{kind.__name__}.parts", values.pop("parts", None))
    outside = {"source": bytes(source[:65]).decode("ascii", "replace"), **_decode_parts(kind, parts, buffers)}
    if twice := ", ".join(outside.keys() & values.keys()):
        raise wrong("header", f"{twice} inside and outside it", "each field once")
    message = build(kind, values | outside)
    if contradiction := message.contradiction():
        raise MessageError(f"{kind.__name__}.{contradiction}")
    return message


def _bounded(frames: Sequence[Buffer]) -> Sequence[Buffer]:
    """The same frames, when neither their number nor their size is out of bounds."""
    if not 2 <= len(frames) <= MAX_PARTS + 2:
        raise wrong("envelope", f"{len(frames)} frames", f"2 to {MAX_PARTS + 2}")
    if (nbytes := sum(memoryview(frame).nbytes for frame in frames)) > MAX_MESSAGE_BYTES:
        raise wrong("envelope", f"{nbytes} bytes", f"at most {MAX_MESSAGE_BYTES}")
    return frames


def _decode_parts(kind: type[Message], parts: list[list[Any]], buffers: Sequence[Buffer]) -> dict[str, Any]:
    """The fields that travelled as raw buffers, as the part table of the header describes them."""
    if len(parts) != len(buffers):
        raise wrong(f"{kind.__name__}.parts", f"{len(buffers)} buffers", f"{len(parts)} as in the header")
    rules = {name: rule for name, rule in rules_of(kind).items() if isinstance(rule, Array)}
    arrays: dict[str, list[np.ndarray]] = {name: [] for name in rules}
    for (name, dtype, shape), buffer in zip(parts, buffers, strict=True):
        if (rule := rules.get(name)) is None:
            raise wrong(f"{kind.__name__}.parts", short(name), f"one of {', '.join(rules) or 'none'}")
        where = f"{kind.__name__}.{name}"
        if dtype != rule.dtype.name or not rule.allows(shape):
            raise wrong(where, f"{dtype} of shape {tuple(shape)}", str(rule))
        if memoryview(buffer).nbytes != (nbytes := math.prod(shape) * rule.dtype.itemsize):
            raise wrong(where, f"{memoryview(buffer).nbytes} bytes", f"{nbytes} for shape {tuple(shape)}")
        # A small frame may lie at an odd address of the receive buffer; big ones never do: no copy.
        array = np.require(np.ndarray(shape, rule.dtype, buffer), requirements="A")
        array.flags.writeable = False
        arrays[name].append(array)
    return {name: rule.unpack(f"{kind.__name__}.{name}", arrays[name]) for name, rule in rules.items()}
