from __future__ import annotations

from pathlib import Path

import pytest

from streaming.errors import UserError
from streaming.report.chart import chart
from streaming.report.figures import Figures
from streaming.report.reading import Reading, results_files
from streaming.report.rows import MOST_RUNS, rows_of, when_text
from streaming.report.runs import LEVELS, Runs, bounded
from tests.streaming.report.lines import line, track, written


def figures(*lines: dict) -> Figures:
    gathered = Figures("clip")
    for one in lines:
        gathered.add(one)
    return gathered


def test_a_label_and_its_objects_sound_when_results_say_so() -> None:
    told = figures(line(0, track(1)), line(1, track(1), track(2)), line(2), line(3, track(2)))
    assert told.named["dog"].spans() == [(0, 2), (3, 4)]
    assert told.objects[1].runs.spans() == [(0, 2)]
    assert told.objects[2].runs.spans() == [(1, 2), (3, 4)]
    assert told.silence.spans() == [(2, 3)]
    (label,) = rows_of(told).labels
    assert [row.name for row in label.beneath] == ["object 1", "object 2"]
    assert label.said == "3 s: 0:00 to 0:02, 0:03 to 0:04"


def test_overlapping_windows_are_one_stretch_and_the_newer_says_how_surely() -> None:
    runs = Runs()
    for start, surety in ((0.0, 1.0), (0.5, 0.5), (1.0, 0.5)):
        runs.add(start, start + 1, surety)
    assert runs.all == [(0.0, 0.5, LEVELS), (0.5, 2.0, LEVELS // 2)]
    assert runs.total_s == 2.0


def test_a_hop_is_learnt_from_the_results() -> None:
    assert figures(*(line(n, t_s=n * 0.25) for n in range(6))).hop_s == 0.25


def test_time_that_goes_back_is_put_behind_what_was_there() -> None:
    told = figures(line(0, t_s=50.0), line(1, t_s=51.0), line(2, track(1), t_s=3.0, generation=1))
    assert list(told.x_s) == [0, 1, 2]
    assert when_text(told.named["dog"], told) == "0:03 to 0:04"
    assert told.generations.count == 1


def test_an_absence_of_hours_takes_little_room() -> None:
    told = figures(line(0), line(1, track(1), t_s=7200.0, generation=1))
    assert told.axis.end_s < 20
    assert when_text(told.named["dog"], told) == "2:00:00 to 2:00:01"


def test_what_comes_again_is_counted_once() -> None:
    told = figures(line(0), line(1), line(1), line(0), line(2))
    assert (told.count, told.late) == (3, 2)


def test_runners_up_are_counted_with_how_close_they_came() -> None:
    told = figures(
        line(0, track(1, "dog", 0.6, ("wolf", 0.4))),
        line(1, track(1, "dog", 0.8, ("wolf", 0.2))),
        line(2, track(1, "dog", 0.9, ("cat", 0.1))),
    )
    (label, name, wolf), (_, other, cat) = told.wavering.pairs()
    assert (label, name, wolf.count, wolf.close) == ("dog", "wolf", 2, 1)
    assert wolf.mean_p == pytest.approx(0.3)
    assert (other, cat.count, cat.close) == ("cat", 1, 0)
    assert told.wavering.names["dog"].mean_p == pytest.approx(23 / 30)


def test_an_object_that_changes_its_name_is_told_and_whether_the_words_had_changed() -> None:
    told = figures(
        line(0, track(1)), line(1, track(1, "wolf", 0.7)), line(2, track(1, "cat"), vocabulary_revision=2)
    )
    changes = [(one.before, one.after, one.x_s, one.revised) for one in told.wavering.changes]
    assert changes == [("dog", "wolf", 1, False), ("wolf", "cat", 2, True)]


def test_missing_numbers_are_told_where_they_are() -> None:
    losses = figures(line(4), line(5), line(9), line(10), line(12)).losses
    assert (losses.first, losses.count) == (4, 4)
    assert [(first, count) for _, first, count in losses.stretches] == [(6, 3), (11, 1)]


def test_latency_is_told_in_slices_of_the_run() -> None:
    told = figures(*(line(n, latency_ms=100.0 if n < 50 else 300.0) for n in range(100)))
    pace = told.timing.pace(told.axis.end_s, 10)
    assert pace.p50_ms == [100.0] * 5 + [300.0] * 5
    assert pace.stage_ms == {"capture": [2.0] * 10, "model": [40.0] * 10}
    drawn = chart(pace, told.axis.end_s)
    assert drawn.top_ms == 400
    assert [(name, mean) for name, mean, _ in drawn.stages] == [("capture", 2.0), ("model", 40.0)]


def test_a_long_run_is_drawn_coarser_and_its_length_in_words_stays_exact() -> None:
    told = figures(*(line(n, *([track(1)] if n % 2 else [])) for n in range(2 * MOST_RUNS)))
    rows = rows_of(told)
    assert sum(len(row.runs) for row in [*rows.labels, *rows.heard]) <= MOST_RUNS
    assert rows.step_s > 0
    assert told.named["dog"].total_s == MOST_RUNS


def test_few_runs_stay_as_they_are() -> None:
    rows = [[(0.0, 1.0, 3), (2.0, 3.0, 5)]]
    assert bounded(rows, 2) == (rows, 0.0)
    ((joined,),), step_s = bounded(rows, 1)
    assert joined == (0.0, 3.0, 4)
    assert step_s == 4.0


def test_lines_that_cannot_be_read_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = written(tmp_path, line(0), {"v": 1}, line(2), tail='{"v":1,"sour')
    reading = Reading(folder / "results.jsonl")
    assert [one["seq"] for one in reading] == [0, 2]
    assert (reading.left_out, reading.torn) == (1, True)
    assert "line 2: source is missing" in reading.told()[0]


def test_a_folder_without_results_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"found no results\.jsonl, expected the folder of a run"):
        results_files(tmp_path)
