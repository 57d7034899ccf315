"""Pictures of a run, found by where their results are in the stream.

A tape has the very frames that the model saw. The annotated film has the pictures with masks and plates
drawn in, but no stream time, so a place in it is only trusted where it can be reckoned: in the first
generation, whose beginning the film has in common with the results. What a later part of a film
(`annotated-2.mp4`) begins with is written down nowhere; it is not used.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from streaming.errors import UserError
from streaming.overlay.layer import Picture
from streaming.report.figures import WINDOW_S, Figures, Moment
from streaming.tape import TapeReader, is_tape

FILMS = ("annotated.mp4", "annotated.partial.mp4")
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
    film = next((folder / name for name in FILMS if _is_of_this_run(folder / name, figures)), None)
    if film is not None and missing:
        wanted = {
            _film_s(figures, moment): place for place, moment in missing.items() if _known(figures, moment)
        }
        for at_s, picture in _in_film(film, sorted(wanted)):
            yield from ((moment, Frame(picture, clean=False)) for moment in sharing[wanted[at_s]])


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


def _known(figures: Figures, moment: Moment) -> bool:
    assert figures.first_place is not None
    return moment.generation == figures.first_place[0]


def _film_s(figures: Figures, moment: Moment) -> float:
    """Where in the film the frame of a moment is: the last one of its window."""
    assert figures.first_place is not None
    _, seq, t_s = figures.first_place
    begin_s = t_s - seq * figures.hop_s + WINDOW_S - figures.hop_s  # of the first hop's picture
    return round(moment.t_s + WINDOW_S - EARLIER_S - begin_s, 6)


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
