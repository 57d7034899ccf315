"""What comes to the end of the line is written down, counted, and survives a video that cannot be written."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
import pytest

from nodes.recorder import LATENCIES_KEPT, ManyRecorders, Mean, RecorderStage, Telling, open_recorder
from streaming.annotated_video import AnnotatedVideo
from streaming.clock import Clock, FakeClock
from streaming.config import Config, load, setting
from streaming.control import Done, pack
from streaming.errors import UserError
from streaming.memory import Memory
from streaming.messages import Message, Preview, Result
from streaming.outputs.outputs import Outputs
from streaming.results import read_results, result_line
from tests.nodes.samples import NS, end, preview, result

JPEG = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
PICTURES = [JPEG] * 10


def config_of(out: Path, *more: str) -> Config:
    return load(settings=[setting(text) for text in (f"output.dir={out}", *more)])


def give(stage: RecorderStage, *messages: Message) -> None:
    for message in messages:
        assert list(stage.process(message)) == []  # nothing comes after the recorder


def pictures_in(path: Path) -> int:
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


# Files ----------------------------------------------------------------------------------------------------


def test_results_and_video_are_written(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    stage = RecorderStage.from_config(config_of(out), FakeClock())
    give(stage, preview(0, PICTURES), preview(1, PICTURES), result(0, [1, 2]), result(1, [2]), end(2), end(2))
    stage.close()
    assert [
        (line["seq"], [track["id"] for track in line["tracks"]])
        for line in read_results(out / "results.jsonl")
    ] == [
        (0, [1, 2]),
        (1, [2]),
    ]
    assert pictures_in(out / "annotated.mp4") == 20
    assert stage.stats()["pictures"] == 20


def test_lines_are_there_while_the_run_goes_on(tmp_path: Path) -> None:
    stage = RecorderStage.from_config(config_of(tmp_path, "output.annotated=false"), FakeClock())
    for seq in range(3):
        give(stage, result(seq))
        assert len(list(read_results(tmp_path / "results.jsonl"))) == seq + 1


def test_what_is_not_wanted_is_not_written(tmp_path: Path) -> None:
    stage = RecorderStage.from_config(
        config_of(tmp_path, "output.annotated=false", "output.results=false"), FakeClock()
    )
    give(stage, preview(0, PICTURES), result(0, [1]), end(1))
    stage.close()
    assert list(tmp_path.iterdir()) == []
    assert stage.stats()["results"] == 1


def test_an_earlier_run_is_left_alone_until_the_first_message(tmp_path: Path) -> None:
    for name in ("results.jsonl", "annotated.mp4"):
        (tmp_path / name).write_text("earlier\n")
    failed = RecorderStage.from_config(config_of(tmp_path), FakeClock())
    failed.close()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "results.jsonl": "earlier\n",
        "annotated.mp4": "earlier\n",
    }
    stage = RecorderStage.from_config(config_of(tmp_path), FakeClock())
    give(stage, preview(0, PICTURES))
    assert (tmp_path / "results.jsonl").read_text() == ""
    give(stage, result(0))
    stage.close()
    assert len(list(read_results(tmp_path / "results.jsonl"))) == 1
    assert pictures_in(tmp_path / "annotated.mp4") == 10


def test_a_recorder_that_takes_the_place_of_another_goes_on_with_its_files(tmp_path: Path) -> None:
    clock = Clock()
    config, begun_ns = config_of(tmp_path), clock.wall_ns() - 100 * NS
    again = Memory(incarnation=2, begun_wall_ns=begun_ns)
    first = RecorderStage.from_config(config, clock)
    give(first, preview(0, PICTURES), result(0, [1, 2]), preview(1, PICTURES), result(1, [2]))
    expected = first.stats()
    assert first._writer is not None
    with first._writer.path.open("ab") as file:
        file.write(b'{"v": 1, "torn')
    # It dies here, before it could say that it had handled the last of them; the next takes long to start.
    os.utime(first._writer.path, ns=(0, begun_ns + 3 * NS))
    second = RecorderStage.from_config(config, clock, memory=again)
    told = second.stats()
    assert {**told, "pictures": 0, "latency_p50_ms": 0, "latency_p95_ms": 0, "first_result_wall_ns": 0} == {
        **expected, "pictures": 0, "latency_p50_ms": 0, "latency_p95_ms": 0, "first_result_wall_ns": 0
    }  # fmt: skip
    assert told["latency_p50_ms"] == pytest.approx(expected["latency_p50_ms"], abs=2)
    give(second, preview(1, PICTURES), result(1, [2]), preview(2, PICTURES), result(2, [3]), end(3))
    second.close()
    assert [line["seq"] for line in read_results(tmp_path / "results.jsonl")] == [0, 1, 2]
    assert second.stats()["objects"] == 3
    assert pictures_in(tmp_path / "annotated-2.mp4") == 20
    RecorderStage.from_config(
        config, clock, memory=Memory(incarnation=3, begun_wall_ns=begun_ns)
    )  # after a calm end
    assert pictures_in(tmp_path / "annotated-2.mp4") == 20
    third = RecorderStage.from_config(config, clock)  # another run
    give(third, result(0))
    third.close()
    assert [line["seq"] for line in read_results(tmp_path / "results.jsonl")] == [0]
    assert not (tmp_path / "annotated-2.mp4").exists()


def test_a_recorder_that_died_before_the_first_message_leaves_nothing_to_go_on_with(tmp_path: Path) -> None:
    """The results that lie there are an earlier run's."""
    path = tmp_path / "results.jsonl"
    path.write_text("of an earlier run\n")
    os.utime(path, ns=(0, time.time_ns() - 100 * NS))
    stage = RecorderStage.from_config(
        config_of(tmp_path), Clock(), memory=Memory(incarnation=2, begun_wall_ns=time.time_ns())
    )
    give(stage, result(0))
    stage.close()
    assert [line["seq"] for line in read_results(path)] == [0]


def test_stand_in_weights_are_told_in_the_picture(tmp_path: Path) -> None:
    notices = [
        cast(Any, RecorderStage.from_config(config_of(tmp_path, *more), FakeClock()).video)._notice
        for more in ([], ["model.checkpoint=stand-in"])
    ]
    assert notices[0] == ""
    assert "mean nothing" in notices[1]


# Disks that fail ------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/out: cannot be made \(Not a directory\); choose another"):
        RecorderStage.from_config(config_of(tmp_path / "file" / "out"), FakeClock())


def test_a_video_that_cannot_be_written_costs_no_result(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "annotated.partial.mp4").mkdir()  # in the way
    stage = RecorderStage.from_config(config_of(tmp_path), FakeClock())
    for seq in range(3):
        give(stage, preview(seq, PICTURES), result(seq, [1]))
    stage.close()
    assert len(list(read_results(tmp_path / "results.jsonl"))) == 3
    assert stage.stats()["pictures"] == 0
    (told,) = caplog.messages
    assert "annotated" in told
    assert told.endswith("; the results go on without the video")


def test_a_video_that_cannot_be_finished_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Unfinished(AnnotatedVideo):
        def close(self) -> None:
            raise UserError("annotated.mp4: No space left on device")

    stage = RecorderStage(tmp_path / "results.jsonl", Unfinished(tmp_path / "annotated.mp4"), FakeClock())
    give(stage, result(0))
    stage.close()
    assert caplog.messages == ["annotated.mp4: No space left on device"]
    assert len(list(read_results(tmp_path / "results.jsonl"))) == 1


def test_results_that_cannot_be_written_end_the_node(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").mkdir()
    stage = RecorderStage.from_config(config_of(tmp_path, "output.annotated=false"), FakeClock())
    with pytest.raises(UserError, match=r"results.jsonl: Is a directory"):
        give(stage, result(0))


def test_what_is_no_mistake_of_the_users_is_not_swallowed(tmp_path: Path) -> None:
    class Buggy(AnnotatedVideo):
        def add_result(self, result: Result) -> None:
            raise ZeroDivisionError

    stage = RecorderStage(tmp_path / "results.jsonl", Buggy(tmp_path / "annotated.mp4"), FakeClock())
    with pytest.raises(ZeroDivisionError):
        give(stage, result(0))


# Figures --------------------------------------------------------------------------------------------------


def test_the_figures_of_a_run() -> None:
    fake = FakeClock()
    stage = RecorderStage(None, None, fake)
    start_ns = fake.wall_ns()
    for seq, ids in enumerate([[], [1, 2], [1, 2], [2, 4]]):
        fake.advance(NS)
        emitted_ns = fake.wall_ns() - (seq + 1) * NS // 10
        give(stage, result(seq, ids, emitted_ns=emitted_ns))
    assert stage.stats() == {
        "results": 4,
        "seconds": 4.0,
        "reached_s": 4.0,
        "objects": 3,
        "now": {"named": [["dog", 0.9]], "more": 0, "offscreen": False, "offscreen_text": None},
        "story": {
            "named": [["dog", {"spans": [[1.0, 4.0]], "more": 0, "total_s": 3.0}]],
            "more_names": 0,
            "offscreen": {"spans": [], "more": 0, "total_s": 0.0},
            "silence": {"spans": [[0.0, 1.0]], "more": 0, "total_s": 1.0},
        },
        "stage_ms": {"capture": 1.0, "decode": 25.0},
        "latency_p50_ms": 300.0,
        "latency_p95_ms": 400.0,
        "first_result_wall_ns": start_ns + NS,
        "pictures": 0,
    }


def test_the_figures_before_the_first_result() -> None:
    nothing = {"spans": [], "more": 0, "total_s": 0.0}
    assert RecorderStage(None, None, FakeClock()).stats() == {
        "results": 0,
        "seconds": 0.0,
        "reached_s": 0.0,
        "objects": 0,
        "now": None,
        "story": {"named": [], "more_names": 0, "offscreen": nothing, "silence": nothing},
        "stage_ms": {},
        "latency_p50_ms": 0.0,
        "latency_p95_ms": 0.0,
        "first_result_wall_ns": None,
        "pictures": 0,
    }


def test_time_is_counted_once_where_windows_overlap_and_not_where_none_is() -> None:
    stage = RecorderStage(None, None, FakeClock())
    for seq, (generation, t_s) in enumerate(
        [(0, 10.0), (0, 10.5), (0, 11.0), (0, 15.0), (1, 3.0), (1, 3.25)]
    ):
        give(stage, result(seq, generation=generation, t_ns=round(t_s * NS)))
    stats = stage.stats()
    assert stats["seconds"] == 2.0 + 1.0 + 1.25
    assert stats["reached_s"] == 4.25
    give(stage, result(0, source="other"))
    assert stage.stats()["seconds"] == 5.25


def test_figures_can_be_told_and_written() -> None:
    stage = RecorderStage(None, None, FakeClock())
    give(stage, result(0, [1]), result(1, [1, 3]))
    assert json.loads(json.dumps(stage.stats())) == stage.stats()
    assert pack(Done(node="recorder", stats=stage.stats()))


def test_each_source_counts_its_own_objects() -> None:
    stage = RecorderStage(None, None, FakeClock())
    give(stage, result(0, [1, 2]), result(0, [1], source="other"), result(1, [1, 2, 3]))
    assert stage.stats()["objects"] == 4


def test_latency_is_that_of_the_newest_results() -> None:
    fake = FakeClock()
    stage = RecorderStage(None, None, fake)
    for seq in range(2 * LATENCIES_KEPT):
        ms = 5000 if seq < LATENCIES_KEPT else seq % 100
        give(stage, replace(result(seq), emitted_ns=fake.wall_ns() - ms * 1_000_000))
    assert stage.stats()["latency_p50_ms"] == 50.0
    assert stage.stats()["latency_p95_ms"] == 95.0


def test_a_mean_that_runs() -> None:
    mean = Mean()
    for x in (3.0, 5.0, 10.0):
        mean.add(x)
    assert mean.value == pytest.approx(6.0)


def test_it_takes_no_requests() -> None:
    stage = RecorderStage(None, None, FakeClock())
    with pytest.raises(UserError, match="recorder node knows no request 'dance'"):
        stage.request("dance", {})


# Several sources ------------------------------------------------------------------------------------------


def test_each_source_has_a_folder_and_figures_of_its_own(tmp_path: Path) -> None:
    config = config_of(tmp_path, "sources=[{id: front, uri: x}, {id: back, uri: y}]", "source.hop_s=1.0")
    stage = open_recorder(config, FakeClock())
    assert isinstance(stage, ManyRecorders)
    for message in (
        preview(0, PICTURES, source="front"),
        result(0, [1], source="front"),
        result(0, [1, 2], source="back"),
        result(1, [2], source="back"),
        end(1, source="front"),
        end(2, source="back"),
        result(0, source="nobody"),
    ):
        assert list(stage.process(message)) == []
    stage.close()
    assert len(list(read_results(tmp_path / "front/results.jsonl"))) == 1
    assert [line["source"] for line in read_results(tmp_path / "back/results.jsonl")] == ["back", "back"]
    assert pictures_in(tmp_path / "front/annotated.mp4") == 10
    told = stage.stats()
    assert (told["results"], told["objects"]) == (3, 3)
    assert {name: one["results"] for name, one in told["sources"].items()} == {"front": 1, "back": 2}
    assert all(one["now"]["named"] == [["dog", 0.9]] for one in told["sources"].values())


def test_one_source_has_the_folder_for_itself(tmp_path: Path) -> None:
    assert isinstance(open_recorder(config_of(tmp_path), FakeClock()), RecorderStage)


def test_milliseconds_of_all_sources_are_weighed_by_their_results() -> None:
    from nodes.recorder import _means

    told = [
        {"results": 3, "stage_ms": {"observe": 10.0}},
        {"results": 1, "stage_ms": {"observe": 30.0, "x": 1.0}},
    ]
    assert _means(told) == {"observe": 15.0, "x": 1.0}


# Others who are told --------------------------------------------------------------------------------------


class Notes:
    """An output that writes down what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ends: list[tuple[str, int]] = []
        self.closed = 0

    @property
    def counters(self) -> dict[str, int | bool]:
        return {"sent": len(self.lines)}

    def add(self, result: Result, wall_ns: int) -> None:
        self.lines.append(result_line(result, wall_ns=wall_ns))

    def end(self, source: str, seq: int, wall_ns: int) -> None:
        self.ends.append((source, seq))

    def close(self) -> None:
        self.closed += 1


def test_others_are_told_the_very_lines_of_the_file(tmp_path: Path) -> None:
    """With the true clock, which moves on between any two looks at it."""
    notes = Notes()
    config = config_of(tmp_path, "output.annotated=false")
    stage = Telling(RecorderStage.from_config(config, Clock()), Outputs({"notes": notes}), Clock())
    for message in (result(0, [1]), preview(0, PICTURES), result(1, [1, 2]), end(2), end(2)):
        assert list(stage.process(message)) == []
    stage.close()
    assert notes.lines == (tmp_path / "results.jsonl").read_text().splitlines()
    assert notes.ends == [("cam", 2)] * 2  # on each link
    assert notes.closed == 1
    told = stage.stats()
    assert (told["results"], told["outputs"]) == (2, {"notes": {"sent": 2}})
    assert pack(Done(node="recorder", stats=told))


def test_the_moving_picture_is_shown_to_those_who_look_on(tmp_path: Path) -> None:
    class Looking(Notes):
        def __init__(self) -> None:
            super().__init__()
            self.shown: list[int] = []

        def show(self, preview: Preview) -> None:
            self.shown.append(preview.seq)

    looking, others = Looking(), Notes()
    config = config_of(tmp_path, "output.annotated=false")
    outputs = Outputs({"looking": looking, "others": others})
    stage = Telling(RecorderStage.from_config(config, FakeClock()), outputs, FakeClock())
    for message in (preview(0, PICTURES), result(0), preview(1, PICTURES)):
        stage.process(message)
    assert looking.shown == [0, 1]
    assert len(looking.lines) == len(others.lines) == 1


def test_others_are_told_of_all_sources(tmp_path: Path) -> None:
    notes = Notes()
    config = config_of(
        tmp_path, "sources=[{id: front, uri: x}, {id: back, uri: y}]", "output.annotated=false"
    )
    recorder = open_recorder(config, FakeClock())
    assert isinstance(recorder, ManyRecorders)
    stage = Telling(recorder, Outputs({"notes": notes}), FakeClock())
    for source in ("front", "back", "nobody"):
        stage.process(result(0, source=source))
    stage.process(end(1, source="back"))
    stage.close()
    assert [json.loads(line)["source"] for line in notes.lines] == ["front", "back"]
    assert notes.ends == [("back", 1)]
    assert stage.stats()["outputs"] == {"notes": {"sent": 2}}
    assert "outputs" not in stage.stats()["sources"]["front"]


def test_others_are_told_where_nothing_is_written(tmp_path: Path) -> None:
    notes = Notes()
    config = config_of(tmp_path, "output.annotated=false", "output.results=false")
    stage = Telling(RecorderStage.from_config(config, FakeClock()), Outputs({"notes": notes}), FakeClock())
    stage.process(result(0))
    assert len(notes.lines) == 1


def test_others_are_taken_leave_of_when_a_file_cannot_be_finished(tmp_path: Path) -> None:
    class Unfinished(RecorderStage):
        def close(self) -> None:
            raise UserError("no room")

    notes = Notes()
    stage = Telling(Unfinished(None, None, FakeClock()), Outputs({"notes": notes}), FakeClock())
    with pytest.raises(UserError, match="no room"):
        stage.close()
    assert notes.closed == 1


def test_whoever_is_configured_is_told(tmp_path: Path) -> None:
    config = config_of(tmp_path, f"output.publish=ipc://{tmp_path}/results", "output.annotated=false")
    stage = open_recorder(config, FakeClock())
    assert isinstance(stage, Telling)
    stage.process(result(0))
    assert stage.stats()["outputs"] == {"publish": {"sent": 1, "dropped": 0}}
    stage.close()
    assert not (tmp_path / "results").exists()
