"""Pictures of a run, found by where their results are in the stream.

A tape has the very frames that the model saw. The annotated film has the pictures with masks and plates
drawn in; so have its later parts (`annotated-2.mp4`), which a recorder begins that takes the place of
another. Beside each lie its times (`film_times.py`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from streaming.errors import UserError
from streaming.film_times import Stretch, read_times
from streaming.mp4 import partial_of
from streaming.overlay.layer import Picture
from streaming.report.figures import WINDOW_S, Figures, Moment
from streaming.tape import TapeReader, is_tape

FILM, LATER = "annotated.mp4", re.compile(r"annotated-(\d{1,9})(\.partial)?\.mp4")
NS = 1_000_000_000
MOST_TAPE_BYTES = 4 << 30  # a larger one takes minutes to go through
CLOCKS_APART_S = 2.0
EARLIER_S = 0.02  # of the film's picture: not the first one of the next window

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """A picture of a moment.

    Attributes:
        picture: shape (H, W, 3) uint8, RGB.
        clean: whether nothing is drawn in.
    """

    picture: Picture
    clean: bool


def frames(
    figures: Figures, moments: Iterable[Moment], tapes: Iterable[Path], folder: Path
) -> Iterator[tuple[Moment, Frame]]:
    """A picture for each moment for which one is found, clean where there is a tape, in any order."""
    missing = {(moment.generation, moment.seq): moment for moment in moments}
    sharing: dict[tuple[int, int], list[Moment]] = {}
    for moment in moments:
        sharing.setdefault((moment.generation, moment.seq), []).append(moment)
    for tape in tapes:
        for place, picture in _on_tape(tape, figures.source, missing):
            del missing[place]
            yield from ((moment, Frame(picture, clean=True)) for moment in sharing[place])
    films = [film for film in _films(folder) if _is_of_this_run(film, figures)] if missing else []
    times = [(film, stretch) for film in films for stretch in read_times(_whole(film))]
    for film in films:
        wanted = {}
        for place, moment in missing.items():
            told = _in_films(times, moment)
            if told is not None and told[0] == film:
                wanted[told[1]] = place
        for at_s, picture in _in_film(film, sorted(wanted)):
            yield from ((moment, Frame(picture, clean=False)) for moment in sharing[wanted[at_s]])


def _films(folder: Path) -> list[Path]:
    """The film and its later parts in their order, each as far as it came."""
    numbers = {
        int(found[1]) for path in folder.glob("annotated-*.mp4") if (found := LATER.fullmatch(path.name))
    }
    named = [folder / FILM, *(folder / f"annotated-{number}.mp4" for number in sorted(numbers))]
    return [path if path.is_file() else partial_of(path) for path in named]


def _whole(film: Path) -> Path:
    """The name of a film when it is finished."""
    return film.with_name(film.name.replace(".partial", ""))


def _is_of_this_run(film: Path, figures: Figures) -> bool:
    """Whether a film is there and was written to after the first result."""
    begun_s = datetime.fromisoformat(figures.begun).timestamp()
    return film.is_file() and film.stat().st_mtime > begun_s - CLOCKS_APART_S


def _on_tape(
    tape: Path, source: str, missing: dict[tuple[int, int], Moment]
) -> Iterator[tuple[tuple[int, int], Picture]]:
    try:
        if not missing or not is_tape(tape) or tape.stat().st_size > MOST_TAPE_BYTES:
            return
        for snippet in TapeReader(tape).find({(source, *place) for place in missing}):
            place = snippet.generation, snippet.seq
            moment = missing[place]
            same = abs(snippet.t_ns / 1e9 - moment.t_s) < 1e-5
            if same and list(snippet.frame.shape[:2]) == moment.track["mask"]["size"]:  # else of another run
                yield place, np.asarray(snippet.frame, np.uint8)
    except (OSError, UserError) as error:
        log.warning("%s", error)


def _in_films(times: Iterable[tuple[Path, Stretch]], moment: Moment) -> tuple[Path, float] | None:
    """The film that has the frame of a moment, the last one of its window, and where; None if none has."""
    t_s, found = moment.t_s + WINDOW_S - EARLIER_S, None
    for film, stretch in times:
        if stretch.generation == moment.generation and stretch.t_ns / NS <= t_s:
            found = film, round(stretch.at_s + t_s - stretch.t_ns / NS, 6)
    return found


def _in_film(film: Path, wanted_s: list[float]) -> Iterator[tuple[float, Picture]]:
    """The pictures shown at these times of a film, seconds in ascending order."""
    try:
        with av.open(str(film)) as container:
            stream = container.streams.video[0]
            for at_s in wanted_s:
                container.seek(max(0, int(at_s / (stream.time_base or 1))), stream=stream)
                shown = None
                for frame in container.decode(stream):
                    if frame.time is None or frame.time > at_s:
                        break
                    shown = frame
                if shown is not None and at_s - shown.time < WINDOW_S:
                    yield at_s, np.asarray(shown.to_ndarray(format="rgb24"), np.uint8)
    except (OSError, IndexError, ValueError, FFmpegError) as error:
        log.warning("%s: %s", film, error)
