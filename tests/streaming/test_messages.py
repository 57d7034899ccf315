"""What is encoded is decoded the same, and nothing else gets through."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgpack
import numpy as np
import pytest

from streaming.messages import (
    KINDS,
    MAX_PARTS,
    End,
    Features,
    Message,
    Preview,
    Result,
    Snippet,
    SoundingMasks,
    decode,
    encode,
)
from streaming.schema import MAX_PART_BYTES, MessageError

rng = np.random.default_rng(7)
PLACE: dict[str, Any] = {
    "source": "front-door.2",
    "generation": 3,
    "seq": 41,
    "t_ns": -20_000_000,
    "gap": True,
    "emitted_ns": 1_700_000_000_000_000_000,
    "stage_ms": {"capture": 1.25},
}


def pixels(*shape: int) -> np.ndarray:
    return rng.integers(0, 256, shape, np.uint8)


def snippet(**changes: Any) -> Snippet:
    audio = rng.uniform(-1, 1, 16_000).astype(np.float32)
    fields = {"frame": pixels(6, 9, 3), "audio": audio, "frame_t_ns": 5, "has_audio": True}
    return Snippet(**{**PLACE, **fields, **changes})


def features() -> Features:
    return Features(
        **PLACE,
        image=pixels(4, 6, 3),
        audio_embedding=rng.normal(size=128).astype(np.float32),
        frame_size=(6, 9),
        frame_t_ns=5,
        has_audio=True,
        audio_dbfs=-23.5,
    )


def sounding_masks(n: int = 2) -> SoundingMasks:
    return SoundingMasks(
        **PLACE,
        image=pixels(4, 6, 3),
        mask_logits=rng.normal(size=(n, 8, 16)).astype(np.float16),
        tracks=[{"id": i, "sounding": 0.5, "state": "new", "age": 3} for i in range(n)],
        padded_size=(32, 64),
        frame_size=(6, 9),
        frame_t_ns=5,
        has_audio=True,
        audio_dbfs=-23.5,
        window_fill=5,
    )


def result() -> Result:
    track = {
        "id": 4,
        "label": "violin",
        "labels": [{"name": "violin", "p": 0.9}, {"name": "cello", "p": 0.1}],
        "sounding": 0.8,
        "mask": {"size": [6, 9], "counts": "06Q1`0"},
        "box": [1.0, 2.0, 3.0, 4.0],
        "area": 12,
    }
    return Result(
        **PLACE,
        tracks=[track, {**track, "id": 5, "label": None, "labels": []}],
        frame_size=(6, 9),
        frame_t_ns=5,
        has_audio=True,
        audio_dbfs=-23.5,
        offscreen=False,
        window_fill=5,
        vocabulary_revision=2,
    )


def preview(jpegs: int = 3) -> Preview:
    return Preview(
        **PLACE,
        jpegs=[bytes([255, 216, i]) for i in range(jpegs)],
        frame_t_ns=[100 * i for i in range(jpegs)],
        audio=rng.integers(-32768, 32767, (480, 2), np.int16),
        audio_rate_hz=48_000,
        frame_size=(6, 9),
    )


def end() -> End:
    return End(**PLACE, reason="end of file", counters={"corrupt_packets": 3, "seconds": 1.5})


EVERY: list[Message] = [
    snippet(),
    features(),
    sounding_masks(),
    sounding_masks(0),
    result(),
    preview(),
    preview(0),
    end(),
]


def frames_of(message: Message) -> list[bytes]:
    """The frames as they come from a socket: bytes of their own."""
    return [bytes(frame) for frame in encode(message)]


def test_the_examples_cover_every_kind() -> None:
    assert {type(message) for message in EVERY} == set(KINDS.values())


@pytest.mark.parametrize("message", EVERY, ids=lambda m: type(m).__name__)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    decoded = decode(frames_of(message))
    assert decoded == message
    assert frames_of(decoded) == frames_of(message)


@pytest.mark.parametrize("message", EVERY, ids=lambda m: type(m).__name__)
def test_a_changed_message_is_another(message: Message) -> None:
    assert replace(message, seq=42) != message


def test_equality_looks_into_arrays() -> None:
    message = snippet()
    other = message.frame.copy()
    other[0, 0, 0] += 1
    assert replace(message, frame=message.frame.copy()) == message
    assert replace(message, frame=other) != message


def test_big_arrays_are_views_on_the_frames_at_both_ends_and_read_only_when_received() -> None:
    message = snippet()
    sent = encode(message)
    assert np.shares_memory(np.frombuffer(sent[2], np.uint8), message.frame)
    received = [bytes(frame) for frame in sent]
    decoded = decode(received)
    assert isinstance(decoded, Snippet)
    assert np.shares_memory(np.frombuffer(received[2], np.uint8), decoded.frame)
    assert not decoded.frame.flags.writeable
    assert not decoded.audio.flags.writeable


def test_an_array_at_an_odd_address_arrives_aligned() -> None:
    message = snippet()
    frames = frames_of(message)
    odd = memoryview(b"?" + frames[3])[1:]
    decoded = decode([*frames[:3], odd])
    assert isinstance(decoded, Snippet)
    assert decoded == message
    assert decoded.audio.flags.aligned
    assert not decoded.audio.flags.writeable


def test_an_array_that_is_not_contiguous_is_sent_all_the_same() -> None:
    frame = pixels(9, 6, 3).transpose(1, 0, 2)[:, ::-1]
    decoded = decode(frames_of(snippet(frame=frame)))
    assert isinstance(decoded, Snippet)
    np.testing.assert_array_equal(decoded.frame, frame)


def test_numpy_scalars_become_plain_numbers() -> None:
    message = replace(
        sounding_masks(1),
        seq=np.int64(3),
        audio_dbfs=np.float32(-1.5),
        has_audio=np.bool_(True),
        tracks=[{"id": np.int32(1), "sounding": np.float32(0.5)}],
    )
    decoded = decode(frames_of(message))
    assert isinstance(decoded, SoundingMasks)
    assert decoded.tracks == [{"id": 1, "sounding": 0.5}]
    assert (decoded.seq, decoded.audio_dbfs, decoded.has_audio) == (3, -1.5, True)


def test_jpegs_may_be_given_as_any_buffer() -> None:
    given = replace(preview(3), jpegs=[b"abc", memoryview(b"def"), np.frombuffer(b"ghi", np.uint8)])
    decoded = decode(frames_of(given))
    assert isinstance(decoded, Preview)
    assert decoded.jpegs == [b"abc", b"def", b"ghi"]


def test_a_message_carries_its_place_to_the_next_one() -> None:
    before = snippet()
    after = End(**before.carry(feature=4.5), reason="test")
    assert after.stage_ms == {"capture": 1.25, "feature": 4.5}
    assert before.stage_ms == {"capture": 1.25}
    assert (after.source, after.seq, after.gap, after.t_ns) == (before.source, 41, True, -20_000_000)


REFUSED_TO_SEND: list[tuple[Message, str]] = [
    (snippet(audio=np.full(16_000, np.nan, np.float32)), "Snippet.audio: found 16000 values that are NaN"),
    (snippet(audio=np.zeros(15_999, np.float32)), r"Snippet.audio: found float32 of shape \(15999,\)"),
    (snippet(audio=np.zeros(16_000, np.float64)), "Snippet.audio: found float64"),
    (snippet(frame=pixels(6, 9)), r"Snippet.frame: found uint8 of shape \(6, 9\)"),
    (snippet(frame=np.broadcast_to(np.uint8(0), (8192, 8192, 3))), "at most 64 MiB"),
    (snippet(frame="pixels"), "Snippet.frame: found 'pixels'"),
    (snippet(source="a b"), "Snippet.source: found 'a b'"),
    (snippet(source=""), "Snippet.source"),
    (snippet(source="x" * 65), "Snippet.source"),
    (snippet(seq=-1), "Snippet.seq: found -1, expected a whole number"),
    (snippet(seq=True), "Snippet.seq: found True"),
    (snippet(seq=1.0), "Snippet.seq: found 1.0"),
    (snippet(seq=10**5000), "Snippet.seq"),
    (snippet(gap=1), "Snippet.gap: found 1, expected true or false"),
    (snippet(stage_ms={"model": float("inf")}), "Snippet.stage_ms.model: found inf"),
    (snippet(stage_ms={1: 1.0}), "name of an entry: found 1"),
    (replace(features(), audio_dbfs=float("-inf")), "Features.audio_dbfs: found -inf"),
    (replace(features(), frame_size=(6, 9, 3)), "Features.frame_size"),
    (replace(sounding_masks(2), tracks=[]), "tracks: found 0, expected one for each of 2 masks"),
    (replace(sounding_masks(2), padded_size=(30, 64)), "padded_size: found"),
    (replace(sounding_masks(1), tracks=[{"id": 1}]), r"tracks\[0\]: found no sounding"),
    (replace(result(), frame_size=(7, 9)), "tracks: found a mask of"),
    (replace(preview(3), frame_t_ns=[1]), "frame_t_ns: found 1, expected one for each of 3"),
    (replace(preview(1), jpegs=[b""]), r"jpegs\[0\]"),
    (replace(preview(1), jpegs=["jpeg"]), r"jpegs\[0\]"),
    (
        replace(end(), counters={"a": {"b": {"c": []}}}),
        r"counters\.a\.b\.c: found \[\], expected plain values",
    ),
    (replace(end(), counters={"a": object()}), r"counters\.a"),
    (replace(end(), reason="\udc80"), "msgpack cannot hold"),
]


@pytest.mark.parametrize(
    ("message", "complaint"), REFUSED_TO_SEND, ids=lambda v: v if isinstance(v, str) else ""
)
def test_what_breaks_the_schema_is_not_sent(message: Message, complaint: str) -> None:
    with pytest.raises(MessageError, match=complaint) as caught:
        encode(message)
    assert "\n" not in str(caught.value)


def with_header(change: Callable[[dict[str, Any]], Any], message: Message | None = None) -> list[bytes]:
    """The frames of a message, its header changed."""
    frames = frames_of(message or snippet())
    header = msgpack.unpackb(frames[1])
    changed = change(header)
    frames[1] = msgpack.packb(header if changed is None else changed)
    return frames


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def ok() -> list[bytes]:
    return frames_of(snippet())


REFUSED_TO_TAKE: dict[str, tuple[list[bytes], str]] = {
    "no frames": ([], "envelope: found 0 frames"),
    "no header": ([b"cam"], "envelope: found 1 frames"),
    "too many parts": ([*ok(), *[b""] * MAX_PARTS], "envelope: found 260 frames"),
    "not msgpack": ([b"cam", b"\xc1"], "not a msgpack map"),
    "not a map": ([b"cam", msgpack.packb([1, 2])], "expected a map"),
    "trailing bytes": ([ok()[0], ok()[1] + b"\0", *ok()[2:]], "not a msgpack map: ExtraData"),
    "header cut short": ([ok()[0], ok()[1][:-3], *ok()[2:]], "not a msgpack map"),
    "a list of 4 billion": ([b"cam", b"\xdd\xff\xff\xff\xff"], "not a msgpack map"),
    "deep nesting": ([b"cam", b"\x91" * 100_000 + b"\0"], "not a msgpack map"),
    "text that is not UTF-8": (
        [ok()[0], ok()[1].replace(b"Snippet", b"Sn\xff\xfepet"), *ok()[2:]],
        "not a msgpack map: UnicodeDecodeError",
    ),
    "another version": (with_header(lambda h: h.update(v=2)), "header.v: found 2, expected 1"),
    "no version": (with_header(lambda h: {k: v for k, v in h.items() if k != "v"}), "header.v: found None"),
    "unknown kind": (with_header(lambda h: h.update(kind="Snap")), "header.kind: found 'Snap'"),
    "kind of a wrong type": (with_header(lambda h: h.update(kind=["Snippet"])), "header.kind"),
    "unknown entry": (with_header(lambda h: h.update(colour="red")), "unknown entry 'colour'"),
    "missing entry": (
        with_header(lambda h: {k: v for k, v in h.items() if k != "seq"}),
        "Snippet: found no seq",
    ),
    "negative number": (with_header(lambda h: h.update(generation=-1)), "generation: found -1"),
    "wrong type": (with_header(lambda h: h.update(seq="4")), "seq: found '4'"),
    "NaN": (with_header(lambda h: h.update(stage_ms={"a": float("nan")})), "stage_ms.a: found nan"),
    "nested field": (with_header(lambda h: h.update(stage_ms=nested(300))), "stage_ms"),
    "nested free field": (with_header(lambda h: h.update(counters={"a": nested(200)}), end()), "counters"),
    "bytes in a free field": (with_header(lambda h: h.update(counters={"a": b"x"}), end()), "counters.a"),
    "timestamp": (with_header(lambda h: h.update(seq=msgpack.Timestamp(1))), "seq: found Timestamp"),
    "extension": (with_header(lambda h: h.update(stage_ms=msgpack.ExtType(4, b"x"))), "stage_ms: found"),
    "a field inside and outside": (
        with_header(lambda h: h.update(source="cam")),
        "header: found source inside and outside it",
    ),
    "too many bytes": ([*ok(), *[bytes(8 << 20)] * 33], r"envelope: found \d+ bytes, expected at most"),
    "no part table": (with_header(lambda h: h.update(parts=None)), "Snippet.parts"),
    "part table of a wrong shape": (
        with_header(lambda h: h.update(parts=[["frame"]])),
        r"Snippet.parts\[0\]",
    ),
    "one part too few": (ok()[:-1], "Snippet.parts: found 1 buffers, expected 2"),
    "one part too many": ([*ok(), b"x"], "Snippet.parts: found 3 buffers, expected 2"),
    "part cut short": ([*ok()[:-1], ok()[-1][:-1]], "Snippet.audio: found 63999 bytes, expected 64000"),
    "unknown part": (
        with_header(lambda h: h["parts"][0].__setitem__(0, "mask")),
        "Snippet.parts: found 'mask', expected one of frame, audio",
    ),
    "a part twice": (
        with_header(lambda h: h["parts"].__setitem__(1, h["parts"][0])),
        r"Snippet.frame: found 64000 bytes, expected 162",
    ),
    "object dtype": (
        with_header(lambda h: h["parts"][0].__setitem__(1, "object")),
        "Snippet.frame: found object of shape",
    ),
    "huge claim": (
        with_header(lambda h: h["parts"][0].__setitem__(2, [2**62, 2**62, 3])),
        "Snippet.frame: found uint8 of shape",
    ),
    "other shape of the same size": (
        with_header(lambda h: h["parts"][0].__setitem__(2, [9, 18, 1])),
        "Snippet.frame: found uint8 of shape",
    ),
    "negative shape": (
        with_header(lambda h: h["parts"][0].__setitem__(2, [-6, -9, 3])),
        "found -6",
    ),
    "NaN in a part": (
        [*ok()[:-1], np.full(16_000, np.nan, "<f4").tobytes()],
        "Snippet.audio: found 16000 values that are NaN",
    ),
    "source that is no text": ([b"\xff\xfe", *ok()[1:]], "Snippet.source"),
    "source that is too long": ([b"x" * 1000, *ok()[1:]], "Snippet.source"),
    "tracks and masks disagree": (
        with_header(lambda h: h.update(tracks=h["tracks"][:1]), sounding_masks(2)),
        "SoundingMasks.tracks: found 1, expected one for each of 2 masks",
    ),
}


@pytest.mark.parametrize(("frames", "complaint"), REFUSED_TO_TAKE.values(), ids=REFUSED_TO_TAKE.keys())
def test_what_breaks_the_schema_is_not_taken(frames: list[bytes], complaint: str) -> None:
    with pytest.raises(MessageError, match=complaint) as caught:
        decode(frames)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_part_beyond_the_limit_is_refused_unread() -> None:
    frames = with_header(lambda h: h["parts"][1].__setitem__(2, [MAX_PART_BYTES, 1]), preview(1))
    with pytest.raises(MessageError, match=r"Preview.audio: found int16 of shape \(67108864, 1\)"):
        decode(frames)


def damage(frames: list[bytes], chance: random.Random) -> list[bytes]:
    """One to three things that can happen to a message on its way."""
    frames = list(frames)
    for _ in range(chance.randint(1, 3)):
        if not frames:
            break
        i = min(chance.choice([0, 1, 1, 1, 2]), len(frames) - 1)
        kind = chance.randrange(8)
        if kind == 0 and frames[i]:
            flipped = bytearray(frames[i])
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
            frames[i] = bytes(flipped)
        elif kind == 1:
            frames[i] = frames[i][: chance.randint(0, len(frames[i]))]
        elif kind == 2:
            frames[i] = chance.randbytes(chance.randint(0, 80))
        elif kind == 3:
            del frames[i]
        elif kind == 4:
            frames.insert(i, chance.randbytes(chance.randint(0, 20)))
        elif kind == 5:
            frames[i] += chance.randbytes(chance.randint(1, 9))
        elif kind == 6:
            chance.shuffle(frames)
        elif len(frames) > 1:
            frames[1] = mutate(frames[1], chance)
    return frames


def mutate(packed: bytes, chance: random.Random) -> bytes:
    """Another value somewhere in a header, so that the damage is behind valid msgpack."""
    try:
        header = msgpack.unpackb(packed)
    except ValueError:
        return packed
    values = [None, True, -1, 2**63, 2**64 - 1, -(2**63), 1e308, float("nan"), "", "\0", "x" * 5000, b"\xff"]
    odd = chance.choice([*values, [], {}, nested(500), [[["frame", "uint8", [2**40]]]], {"a": [1, {"b": 2}]}])
    where = header
    while True:
        if isinstance(where, dict) and where:
            key = chance.choice(list(where))
        elif isinstance(where, list) and where:
            key = chance.randrange(len(where))
        else:
            return packed
        if isinstance(where[key], dict | list) and where[key] and chance.random() < 0.7:
            where = where[key]
            continue
        where[key] = odd
        return msgpack.packb(header)


def test_ten_thousand_damaged_messages_are_refused_or_still_valid() -> None:
    chance = random.Random(20)
    whole = [frames_of(message) for message in EVERY]
    refused = 0
    for _ in range(10_000):
        frames = damage(chance.choice(whole), chance)
        try:
            message = decode(frames)
        except MessageError:
            refused += 1
        else:
            assert decode(frames_of(message)) == message
    assert 7_000 < refused < 10_000
