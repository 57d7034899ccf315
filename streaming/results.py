"""What a run has found, one JSON line per snippet: written, read back and compared.

The keys are described in docs/results.md. A line's bytes depend on the result alone, save for the three keys
of `TIMING_KEYS`, so two runs over the same recording can be held against each other.
"""

from __future__ import annotations

import io
import json
import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self

from model.level import SILENCE_DBFS
from model.rle import check_rle
from streaming.errors import UserError
from streaming.messages import Result

RESULTS_VERSION = 1
TIMING_KEYS = ("stage_ms", "latency_ms", "wall_time")
"""The level written for digital silence, whose true level JSON cannot hold."""

log = logging.getLogger(__name__)


def result_line(result: Result, *, wall_ns: int, candidates: bool = False) -> str:
    """Returns the line for one result, without its line feed.

    Args:
        candidates: whether silent objects are told, too, where the result has them.
        wall_ns: the time of writing (`Clock.wall_ns()`), from which `latency_ms` and `wall_time` follow.

    Raises:
        ValueError: a number is not finite.
    """
    line = {
        "v": RESULTS_VERSION,
        "source": result.source,
        "generation": result.generation,
        "seq": result.seq,
        "t_s": rounded(result.t_ns / 1e9, 6),
        "window_fill": result.window_fill,
        "tracks": [_track(track) for track in result.tracks],
        "audio_dbfs": rounded(max(result.audio_dbfs, SILENCE_DBFS), 2),
        "offscreen": result.offscreen,
        "has_audio": result.has_audio,
        "gap": result.gap,
        "vocabulary_revision": result.vocabulary_revision,
        "stage_ms": {stage: rounded(ms, 3) for stage, ms in result.stage_ms.items()},
        "latency_ms": rounded((wall_ns - result.emitted_ns) / 1e6, 3),
        "wall_time": iso_utc(wall_ns),
    }
    if result.offscreen_text is not None:
        line["offscreen_text"] = result.offscreen_text
    if candidates and result.candidates is not None:
        line["candidates"] = [_candidate(one) for one in result.candidates]
    return json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class ResultsWriter:
    """Writes `results.jsonl`; a crash at any moment leaves whole lines and at most one torn last one.

    Each line reaches the file in a single write as soon as it is added. When the disk refuses, what was
    written of that line is taken back, so that the file ends with the last whole result.

    Args:
        append: go on with a file that an earlier recorder of the same run left, its torn last line cut off.
        candidates: whether lines tell of silent objects, too.

    Raises:
        UserError: the file cannot be opened or written.
    """

    def __init__(self, path: str | Path, *, append: bool = False, candidates: bool = False) -> None:
        self.path, self._candidates = Path(path), candidates
        self.lines = 0
        with _told_in_one_line(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = io.FileIO(self.path, "a+" if append else "w")
            self._end = whole_lines_end(self._file)
            self._file.truncate(self._end)

    def write(self, result: Result, *, wall_ns: int) -> None:
        """Appends the result's line."""
        line = result_line(result, wall_ns=wall_ns, candidates=self._candidates).encode() + b"\n"
        with _told_in_one_line(self.path):
            try:
                written = self._file.write(line)
                if written != len(line):
                    raise OSError(f"only {written} of {len(line)} bytes could be written")
            except OSError:
                self._file.truncate(self._end)
                raise
        self._end += len(line)
        self.lines += 1

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def whole_lines_end(file: io.FileIO) -> int:
    """Where the last whole line of an open file ends; 0 where there is none."""
    position = file.seek(0, os.SEEK_END)
    while position:
        start = max(0, position - 65_536)
        file.seek(start)
        newline = (file.read(position - start) or b"").rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0


def read_results(path: str | Path, *, newest_bytes: int | None = None) -> Iterator[dict[str, Any]]:
    """Yields each line of a `results.jsonl` as a dictionary, checked against the schema.

    Args:
        newest_bytes: read only the lines that begin in so many bytes at the end; line numbers count from
            there.

    A last line without its line feed is what a crash leaves; it is left out, with a warning.

    Raises:
        UserError: the file cannot be read, or a line does not hold; it names the file, the line and the key.
    """
    path = Path(path)
    with _told_in_one_line(path), path.open("rb") as file:
        if newest_bytes is not None and (size := file.seek(0, os.SEEK_END)) > newest_bytes:
            file.seek(size - newest_bytes - 1)
            file.readline()
        else:
            file.seek(0)
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                log.warning("%s:%d: the last line was torn by a crash and is left out", path, number)
                return
            try:
                yield checked_line(line)
            except ValueError as error:
                raise UserError(
                    f"{path}:{number}: no line of results (v {RESULTS_VERSION}): {error}"
                ) from None


def checked_line(line: bytes, *, masks: bool = True) -> dict[str, Any]:
    """A line of results as a dictionary. Raises `ValueError` with the key that does not hold.

    Args:
        masks: whether the codes of masks are held against their sizes, which takes half of the time.
    """
    try:
        result = json.loads(line.decode())
        _check(result, LINE, "", masks)
    except RecursionError as error:
        raise ValueError(str(error)) from None
    return result


def result_of(line: dict[str, Any]) -> tuple[Result, int]:
    """The result that a line tells of, as far as it does, and the wall clock (ns) when it was written."""
    wall_ns = round(datetime.fromisoformat(line["wall_time"]).timestamp() * 1000) * 1_000_000
    t_ns = round(line["t_s"] * 1e9)
    result = Result(
        source=line["source"],
        generation=line["generation"],
        seq=line["seq"],
        t_ns=t_ns,
        gap=line["gap"],
        emitted_ns=wall_ns - round(line["latency_ms"] * 1e6),
        stage_ms=line["stage_ms"],
        tracks=line["tracks"],
        frame_size=next((tuple(track["mask"]["size"]) for track in line["tracks"]), (1, 1)),
        frame_t_ns=t_ns,
        has_audio=line["has_audio"],
        audio_dbfs=line["audio_dbfs"],
        offscreen=line["offscreen"],
        window_fill=line["window_fill"],
        vocabulary_revision=line["vocabulary_revision"],
        candidates=line.get("candidates"),
        offscreen_text=line.get("offscreen_text"),
    )
    return result, wall_ns


def first_difference(a: str | Path, b: str | Path) -> str | None:
    """Returns in words where two files of results first differ, timing left out; None when they agree."""
    for number, (left, right) in enumerate(zip_longest(read_results(a), read_results(b)), start=1):
        if left is None or right is None:
            return f"line {number}: only {b if left is None else a} has it"
        for timing in TIMING_KEYS:
            del left[timing], right[timing]
        if list(left) != list(right):
            return f"line {number}: the keys are {', '.join(left)} and {', '.join(right)}"
        for key, value in left.items():
            if json.dumps(value) != json.dumps(right[key]):
                return f"line {number}: {key}: {_shown(value)} and {_shown(right[key])}"
    return None


def same_results(a: str | Path, b: str | Path) -> bool:
    """Tells whether two files of results agree in every byte but those of `TIMING_KEYS`."""
    return first_difference(a, b) is None


def _track(track: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": track["id"],
        "label": track["label"],
        "labels": [{"name": label["name"], "p": rounded(label["p"], 4)} for label in track["labels"]],
        "sounding": rounded(track["sounding"], 4),
        "mask": {"size": list(track["mask"]["size"]), "counts": track["mask"]["counts"]},
        "box": [int(side) for side in track["box"]],
        "area": int(track["area"]),
        **({"certainty": rounded(track["certainty"], 4)} if "certainty" in track else {}),
        **({"confirmed": bool(track["confirmed"])} if "confirmed" in track else {}),
    }


def _candidate(candidate: dict[str, Any]) -> dict[str, Any]:
    return {
        "sounding": rounded(candidate["sounding"], 4),
        "mask": {"size": list(candidate["mask"]["size"]), "counts": candidate["mask"]["counts"]},
        "box": [int(side) for side in candidate["box"]],
    }


def rounded(number: float, decimals: int) -> float:
    """A float of few decimals, never the negative zero that would print differently."""
    return round(float(number), decimals) + 0.0


def iso_utc(wall_ns: int) -> str:
    """A moment of the wall clock as text: ISO 8601, UTC, milliseconds."""
    seconds, rest_ns = divmod(wall_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000_000:03d}Z"


# A type stands for a value of it, (x, None) for x or null, [x] for a list of x, {str: x} for a map to x, any
# other dict for its keys.
TRACK = {
    "id": int,
    "label": (str, None),
    "labels": [{"name": str, "p": float}],
    "sounding": float,
    "mask": {"size": [int], "counts": str},
    "box": [int],
    "area": int,
}
CANDIDATE = {"sounding": float, "mask": {"size": [int], "counts": str}, "box": [int]}
LINE = {
    "v": int,
    "source": str,
    "generation": int,
    "seq": int,
    "t_s": float,
    "window_fill": int,
    "tracks": [TRACK],
    "audio_dbfs": float,
    "offscreen": bool,
    "has_audio": bool,
    "gap": bool,
    "vocabulary_revision": int,
    "stage_ms": {str: float},
    "latency_ms": float,
    "wall_time": str,
}
# Keys of a track or of a line that are there only where they were asked for, or where the model knows.
MAY_BE_OF_TRACK = {"certainty": float, "confirmed": bool}
MAY_BE = {"candidates": [CANDIDATE], "offscreen_text": str}


def _check(value: Any, schema: Any, where: str, masks: bool = True) -> None:
    """Raises ValueError with the key, what was found and what was expected."""
    if isinstance(schema, type):
        if type(value) is not schema and not (schema is float and type(value) is int):
            raise ValueError(f"{where}: found {_shown(value)}, expected {schema.__name__}")
        if schema is float and not math.isfinite(value):
            raise ValueError(f"{where}: found {value}, expected a finite number")
    elif isinstance(schema, tuple):
        if value is not None:
            _check(value, schema[0], where, masks)
    elif isinstance(schema, list):
        _check(value, list, where)
        for index, entry in enumerate(value):
            _check(entry, schema[0], f"{where}[{index}]", masks)
    else:
        _check(value, dict, where or "the line")
        keys = dict.fromkeys(value, schema[str]) if str in schema else schema
        for key, entry in keys.items():
            inner = f"{where}.{key}" if where else key
            if key not in value:
                raise ValueError(f"{inner} is missing")
            _check(value[key], entry, inner, masks)
        if schema is TRACK:
            for key in MAY_BE_OF_TRACK.keys() & value.keys():
                _check(value[key], MAY_BE_OF_TRACK[key], f"{where}.{key}", masks)
        if schema is LINE:
            for key in MAY_BE.keys() & value.keys():
                _check(value[key], MAY_BE[key], key, masks)
        if schema is TRACK or schema is CANDIDATE:
            _check_mask(value, where, masks)
        if schema is LINE and value["v"] != RESULTS_VERSION:
            raise ValueError(f"v: found {value['v']}, expected {RESULTS_VERSION}")


def _check_mask(track: dict[str, Any], where: str, code: bool) -> None:
    if len(track["mask"]["size"]) != 2 or len(track["box"]) != 4:
        raise ValueError(f"{where}: expected mask.size of two and box of four numbers")
    try:
        if code:
            check_rle(track["mask"])
    except ValueError as error:
        raise ValueError(f"{where}.mask: {error}") from None


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


@contextmanager
def _told_in_one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
