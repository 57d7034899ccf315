"""Where in a film a moment of the stream is: `annotated.times.jsonl` beside `annotated.mp4`.

A film goes on without a pause where its source was lost, and one that takes the place of another begins in
the middle. So each stretch, over which the film's time and the stream's run alike, has a line of its own. It
is written when the stretch begins: whatever becomes of the film, its times are known.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from streaming.errors import UserError

MOST_BYTES = 16 << 20  # of such a file, to be read: a hundred thousand losses


@dataclass(frozen=True)
class Stretch:
    """Where a stretch begins.

    Attributes:
        generation: of the stream.
        t_ns: stream time.
        at_s: seconds of the film.
    """

    generation: int
    t_ns: int
    at_s: float


def times_of(film: Path) -> Path:
    """The file with the times of a film."""
    return film.with_suffix(".times.jsonl")


def note(path: Path, stretch: Stretch, *, first: bool) -> None:
    """Adds a stretch; the `first` one begins the file anew. Raises `UserError`."""
    try:
        with path.open("w" if first else "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(stretch)) + "\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


def read_times(film: Path) -> list[Stretch]:
    """The stretches of a film in their order; those that cannot be read are left out."""
    found = []
    try:
        with times_of(film).open("rb") as file:
            lines = file.read(MOST_BYTES).split(b"\n")
    except OSError:
        return []
    for line in lines[:-1]:  # what follows the last line's end is torn
        try:
            told = json.loads(line)
            found.append(Stretch(int(told["generation"]), int(told["t_ns"]), float(told["at_s"])))
        except (ValueError, LookupError, TypeError, OverflowError):
            continue
    return found
