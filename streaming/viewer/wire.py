"""What travels between the page and its server: text frames are JSON, binary frames begin with their kind.

docs/viewer.md describes every field. Stream times are seconds here, as in results.jsonl.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.errors import ModelError
from model.level import SILENCE_DBFS
from model.vocabulary import Vocabulary
from streaming.messages import Message, Preview, Result
from streaming.results import rounded
from streaming.viewer.mel import Mel

VERSION = 1
PICTURE, SOUND, MEL = 1, 2, 3
MAX_CLIENT_BYTES = 512 << 10
MAX_FPS = 120.0
MAX_ID = 1 << 53  # a whole number that every JSON has
SHOWN_CHARS = 60

_PICTURE = struct.Struct("<BBHIId")  # kind, source, 0, generation, seq, t_s
_SOUND = struct.Struct("<BBBBIId")  # kind, source, channels, 0, generation, rate_hz, t_s
_MEL = struct.Struct("<BBBBIfd")  # kind, source, bands, columns, generation, column_s, t_s


def text(**fields: Any) -> str:
    """A text frame. Raises `ValueError` for a number that is not finite."""
    return json.dumps(fields, allow_nan=False, separators=(",", ":"))


# From the server ------------------------------------------------------------------------------------------


def result(result: Result, latency_ms: float) -> str:
    """A result, `latency_ms` after it left capture."""
    return text(
        type="result",
        source=result.source,
        **_place(result),
        frame_t_s=seconds(result.frame_t_ns),
        size=list(result.frame_size),
        tracks=[_track(track) for track in result.tracks],
        candidates=_candidates(result),
        offscreen=result.offscreen,
        offscreen_text=result.offscreen_text,
        has_audio=result.has_audio,
        audio_dbfs=_level(result),
        gap=result.gap,
        latency_ms=rounded(latency_ms, 1),
        vocabulary_revision=result.vocabulary_revision,
    )


def hop(result: Result) -> dict[str, Any]:
    """A result as the timeline remembers it: who sounded, not where."""
    return {
        **_place(result),
        "dur_s": seconds(result.dur_ns),
        "tracks": [
            {"id": track["id"], "label": track["label"], "sounding": rounded(track["sounding"], 4)}
            for track in result.tracks
        ],
        "offscreen": result.offscreen,
        "offscreen_text": result.offscreen_text,
        "audio_dbfs": _level(result),
        "gap": result.gap,
    }


def picture(number: int, preview: Preview, index: int) -> bytes:
    """One of the pictures of a hop, of source `number`."""
    t_s = preview.frame_t_ns[index] / 1e9
    head = _PICTURE.pack(PICTURE, number, 0, preview.generation, preview.seq, t_s)
    return b"".join((head, preview.jpegs[index]))


def sound(number: int, preview: Preview) -> bytes:
    """The sound of a hop, of source `number`."""
    channels, rate_hz = preview.audio.shape[1], preview.audio_rate_hz
    head = _SOUND.pack(SOUND, number, channels, 0, preview.generation, rate_hz, preview.t_ns / 1e9)
    return head + preview.audio.astype("<i2", copy=False).tobytes()


def mel(number: int, generation: int, mel: Mel) -> bytes:
    """The spectrogram of a hop, of source `number`."""
    columns, bands = mel.levels.shape
    head = _MEL.pack(MEL, number, bands, columns, generation, mel.column_s, mel.t_ns / 1e9)
    return head + mel.levels.tobytes()


def seconds(ns: int) -> float:
    """Nanoseconds of stream time as seconds, to the microsecond."""
    return rounded(ns / 1e9, 6)


def _candidates(result: Result) -> list[dict[str, Any]] | None:
    if result.candidates is None:
        return None
    return [
        {
            "sounding": rounded(one["sounding"], 4),
            "box": [int(side) for side in one["box"]],
            "mask": one["mask"]["counts"],
        }
        for one in result.candidates
    ]


def _place(result: Message) -> dict[str, Any]:
    return {"generation": result.generation, "seq": result.seq, "t_s": seconds(result.t_ns)}


def _level(result: Result) -> float:
    return rounded(max(result.audio_dbfs, SILENCE_DBFS), 2)


def _track(track: Mapping[str, Any]) -> dict[str, Any]:
    labels = [{"name": label["name"], "p": rounded(label["p"], 4)} for label in track["labels"]]
    return {
        "id": track["id"],
        "label": track["label"],
        "p": next((label["p"] for label in labels if label["name"] == track["label"]), None),
        "labels": labels,
        "sounding": rounded(track["sounding"], 4),
        "box": [rounded(side, 2) for side in track["box"]],
        "mask": track["mask"]["counts"],
    }


# From the page --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Watch:
    """What a page wants to see.

    sources: whose pictures.
    max_fps: at most so many of each in a second.
    sound: whose sound; None for nobody's.
    """

    sources: frozenset[str]
    max_fps: float
    sound: str | None


@dataclass(frozen=True)
class NewWords:
    """A page asks for another vocabulary."""

    id: int
    words: tuple[str, ...]


class BadRequest(Exception):
    """A frame that is no request: one line for whoever wrote the page, and the request's id if it has one."""

    def __init__(self, why: str, id: int | None = None) -> None:
        super().__init__(why)
        self.id = id


def request(frame: str, sources: Sequence[str]) -> Watch | NewWords:
    """What a text frame of a page asks for. Raises `BadRequest`, and nothing else."""
    try:
        asked = json.loads(frame)
    except (ValueError, RecursionError):
        raise BadRequest("found no JSON, expected an object") from None
    if not isinstance(asked, dict):
        raise BadRequest(f"found {_shown(asked)}, expected an object")
    match asked.get("type"):
        case "watch":
            return _watch(asked, sources)
        case "vocabulary.set":
            return _new_words(asked)
        case other:
            raise BadRequest(f"type: found {_shown(other)}, expected watch or vocabulary.set", _id(asked))


def _watch(asked: Mapping[str, Any], sources: Sequence[str]) -> Watch:
    wanted, fps, sound = asked.get("sources", list(sources)), asked.get("max_fps", 12), asked.get("sound")
    known = f"expected of {', '.join(sources)}"
    if not isinstance(wanted, list) or not all(isinstance(one, str) and one in sources for one in wanted):
        raise BadRequest(f"sources: found {_shown(wanted)}, {known}")
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps <= MAX_FPS:
        raise BadRequest(f"max_fps: found {_shown(fps)}, expected a number above 0 and at most {MAX_FPS:g}")
    if sound is not None and not (isinstance(sound, str) and sound in sources):
        raise BadRequest(f"sound: found {_shown(sound)}, {known}, or null")
    return Watch(frozenset(wanted), float(fps), sound)


def _new_words(asked: Mapping[str, Any]) -> NewWords:
    id, words = _id(asked), asked.get("words")
    if id is None:
        raise BadRequest(f"id: found {_shown(asked.get('id'))}, expected a whole number")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise BadRequest(f"words: found {_shown(words)}, expected a list of words", id)
    try:
        return NewWords(id, Vocabulary(tuple(words)).words)
    except ModelError as error:
        raise BadRequest(str(error), id) from None


def _id(asked: Mapping[str, Any]) -> int | None:
    id = asked.get("id")
    return id if isinstance(id, int) and not isinstance(id, bool) and 0 <= id < MAX_ID else None


def _shown(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    told = json.dumps(value, ensure_ascii=True)
    return told if len(told) <= SHOWN_CHARS else f"{told[: SHOWN_CHARS - 3]}..."
