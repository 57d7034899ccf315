"""Pictures are those of their moments, in whichever part of the film and behind whatever loss these lie."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.rle import encode_mask
from streaming.annotated_video import AnnotatedVideo
from streaming.film_times import times_of
from streaming.messages import Preview
from streaming.mp4 import partial_of
from streaming.report.figures import Figures, Moment
from streaming.report.frames import frames

NS = 1_000_000_000
SIZE = (96, 128)
FPS = 10


def hop(generation: int, seq: int, t_s: float, grey: int) -> Preview:
    """A second of pictures, all of one grey."""
    jpeg = cv2.imencode(".jpg", np.full((*SIZE, 3), grey, np.uint8))[1].tobytes()
    return Preview(
        source="clip", generation=generation, seq=seq, t_ns=round(t_s * NS), dur_ns=NS, emitted_ns=0,
        jpegs=[jpeg] * FPS, frame_t_ns=[round((t_s + n / FPS) * NS) for n in range(FPS)],
        audio=np.zeros((0, 2), np.int16), audio_rate_hz=44_100, frame_size=SIZE,
    )  # fmt: skip


def film(path: Path, *hops: Preview) -> Path:
    with AnnotatedVideo(path, times=times_of(path)) as video:
        for one in hops:
            video.add_preview(one)
    return path


def moment(generation: int, seq: int, t_s: float) -> Moment:
    track = {"id": 1, "mask": encode_mask(np.ones(SIZE, bool))}
    return Moment(1.0, track, generation, seq, t_s, t_s)


def shown(folder: Path, *moments: Moment) -> dict[tuple[int, int], int]:
    """The greys of what is found, in tens, by generation and number."""
    figures = Figures("clip")
    figures.begun = "2000-01-01T00:00:00+00:00"
    found = {(at.generation, at.seq): frame for at, frame in frames(figures, moments, [], folder)}
    assert not any(frame.clean for frame in found.values())
    return {place: round(float(frame.picture[48, 64].mean()) / 10) for place, frame in found.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A source that was lost for a while, and a recorder that died."""
    film(
        tmp_path / "annotated.mp4",
        hop(0, 0, 0.0, 40), hop(0, 1, 1.0, 60), hop(1, 2, 100.0, 80), hop(1, 3, 101.0, 100),
    )  # fmt: skip
    film(tmp_path / "annotated-2.mp4", hop(1, 5, 103.0, 120), hop(2, 6, 7.0, 140))
    return tmp_path


PLACES = {(0, 0): 0.0, (0, 1): 1.0, (1, 2): 100.0, (1, 3): 101.0, (1, 5): 103.0, (2, 6): 7.0}
GREYS = {(0, 0): 4, (0, 1): 6, (1, 2): 8, (1, 3): 10, (1, 5): 12, (2, 6): 14}


def test_a_moment_is_found_wherever_the_film_has_it(folder: Path) -> None:
    assert shown(folder, *(moment(*place, t_s) for place, t_s in PLACES.items())) == GREYS


def test_what_no_part_of_the_film_has_is_not_found(folder: Path) -> None:
    lost = [moment(1, 4, 102.0), moment(2, 7, 8.0), moment(3, 8, 0.0), moment(1, 1, 99.0)]
    assert shown(folder, *lost) == {}


def test_a_film_that_was_cut_off_serves_as_far_as_it_came(folder: Path) -> None:
    later = folder / "annotated-2.mp4"
    later.rename(partial_of(later))
    assert shown(folder, moment(2, 6, 7.0)) == {(2, 6): 14}


def test_a_film_of_another_run_and_one_without_times_are_not_used(folder: Path) -> None:
    os.utime(folder / "annotated.mp4", (0, 0))
    times_of(folder / "annotated-2.mp4").unlink()
    assert shown(folder, *(moment(*place, t_s) for place, t_s in PLACES.items())) == {}
