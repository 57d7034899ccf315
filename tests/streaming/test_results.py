from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.rle import box_and_area, decode_mask, encode_mask
from streaming.errors import UserError
from streaming.messages import Result
from streaming.results import (
    ResultsWriter,
    first_difference,
    read_results,
    result_line,
    result_of,
    same_results,
)

ROOT = Path(__file__).parents[2]
WALL_NS = 1_700_000_000_123_456_789
KEYS = (
    "v source generation seq t_s window_fill tracks audio_dbfs offscreen has_audio gap vocabulary_revision "
    "stage_ms latency_ms wall_time"
)


def mask() -> np.ndarray:
    yy, xx = np.mgrid[:48, :64]
    return (yy - 20) ** 2 + (xx - 30) ** 2 < 100


def track(**changes) -> dict:
    rle = encode_mask(mask())
    box, area = box_and_area(rle)
    labels = [{"name": "café, лай", "p": 2 / 3}, {"name": "dog", "p": 1 / 3}]
    whole = {"id": 7, "label": "café, лай", "labels": labels, "sounding": 0.912345}
    return whole | {"mask": rle, "box": box, "area": area} | changes


def result(**changes) -> Result:
    one = Result(
        source="clip",
        generation=0,
        seq=3,
        t_ns=3_000_000_000,
        dur_ns=1_000_000_000,
        gap=False,
        emitted_ns=WALL_NS - 250_000_000,
        stage_ms={"capture": 1.23456, "model": 100.0},
        tracks=[track()],
        frame_size=(48, 64),
        frame_t_ns=3_960_000_000,
        has_audio=True,
        audio_dbfs=-23.456,
        offscreen=False,
        window_fill=4,
        vocabulary_revision=1,
    )
    return replace(one, **changes)


def test_a_line_has_the_documented_keys_in_order_and_rounded_values() -> None:
    line = json.loads(result_line(result(), wall_ns=WALL_NS))
    assert " ".join(line) == KEYS
    assert " ".join(line["tracks"][0]) == "id label labels sounding mask box area"
    assert line["v"] == 1
    assert line["t_s"] == 3.0
    assert line["audio_dbfs"] == -23.46
    assert line["stage_ms"] == {"capture": 1.235, "model": 100.0}
    assert line["latency_ms"] == 250.0
    assert line["wall_time"] == "2023-11-14T22:13:20.123Z"
    assert line["tracks"][0]["labels"][0] == {"name": "café, лай", "p": 0.6667}
    assert line["tracks"][0]["sounding"] == 0.9123
    np.testing.assert_array_equal(decode_mask(line["tracks"][0]["mask"]), mask())


def test_silent_objects_are_told_only_where_they_were_asked_for(tmp_path: Path) -> None:
    rle = encode_mask(mask())
    quiet = {"sounding": 0.041234, "mask": rle, "box": box_and_area(rle)[0]}
    with_them = result(candidates=[quiet])
    assert result_line(with_them, wall_ns=WALL_NS) == result_line(result(), wall_ns=WALL_NS)
    assert result_line(result(), wall_ns=WALL_NS, candidates=True) == result_line(result(), wall_ns=WALL_NS)
    path = tmp_path / "results.jsonl"
    with ResultsWriter(path, candidates=True) as writer:
        writer.write(with_them, wall_ns=WALL_NS)
    (line,) = read_results(path)
    assert line["candidates"] == [{**quiet, "sounding": 0.0412}]
    assert " ".join(line) == f"{KEYS} candidates"
    assert result_of(line)[0].candidates == line["candidates"]
    path.write_text(
        path.read_text().replace('"candidates":[{"sounding":0.0412', '"candidates":[{"sounding":"x"')
    )
    with pytest.raises(UserError, match=r"candidates\[0\].sounding: found \"x\", expected float"):
        list(read_results(path))


def test_digital_silence_is_valid_json() -> None:
    line = json.loads(result_line(result(audio_dbfs=float("-inf")), wall_ns=WALL_NS))
    assert line["audio_dbfs"] == -120.0


def test_a_number_that_is_not_finite_is_never_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        result_line(result(tracks=[track(sounding=float("nan"))]), wall_ns=WALL_NS)
    with pytest.raises(ValueError, match="not JSON compliant"):
        result_line(result(audio_dbfs=float("nan")), wall_ns=WALL_NS)


def test_bytes_depend_on_the_result_alone_but_for_the_timing_keys() -> None:
    early = json.loads(result_line(result(), wall_ns=WALL_NS))
    late = json.loads(result_line(result(stage_ms={"model": 5.0}), wall_ns=WALL_NS + 10**9))
    assert early != late
    for key in ("stage_ms", "latency_ms", "wall_time"):
        del early[key], late[key]
    assert json.dumps(early) == json.dumps(late)
    assert "-0.0" not in result_line(result(tracks=[track(sounding=-1e-9)]), wall_ns=WALL_NS)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.jsonl"
    with ResultsWriter(path) as writer:
        for seq in range(3):
            writer.write(result(seq=seq), wall_ns=WALL_NS)
            assert len(list(read_results(path))) == seq + 1, "every line is on disk as soon as it is written"
    assert [line["seq"] for line in read_results(path)] == [0, 1, 2]
    assert writer.lines == 3


def test_a_line_is_a_result_again() -> None:
    """What it tells, that is: the masks' size stands in for the frame's, and times are to the millisecond."""
    before = result(stage_ms={"capture": 1.25}, gap=True)
    line = json.loads(result_line(before, wall_ns=WALL_NS))
    after, wall_ns = result_of(line)
    assert abs(wall_ns - WALL_NS) < 1_000_000
    assert json.loads(result_line(after, wall_ns=wall_ns)) == line
    assert result_of({**line, "tracks": []})[0].frame_size == (1, 1)


def test_only_the_newest_lines_are_read_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with ResultsWriter(path) as writer:
        for seq in range(20):
            writer.write(result(seq=seq), wall_ns=WALL_NS)
    size = path.stat().st_size
    assert [line["seq"] for line in read_results(path, newest_bytes=size)] == list(range(20))
    assert [line["seq"] for line in read_results(path, newest_bytes=size - 1)] == list(range(1, 20))
    found = [line["seq"] for line in read_results(path, newest_bytes=size // 4)]
    assert found == list(range(20 - len(found), 20))
    assert 4 <= len(found) <= 5


def test_a_torn_last_line_is_left_out_by_the_reader_and_cut_off_by_an_appending_writer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "results.jsonl"
    whole = result_line(result(), wall_ns=WALL_NS).encode() + b"\n"
    for torn in (b"", whole[:-1], whole[:20], b'"' + b"x" * 200_000):
        path.write_bytes(whole * 2 + torn)
        with caplog.at_level(logging.WARNING):
            assert len(list(read_results(path))) == 2
        assert bool(torn) == ("torn" in caplog.text)
        caplog.clear()
        with ResultsWriter(path, append=True) as writer:
            writer.write(result(), wall_ns=WALL_NS)
        assert path.read_bytes() == whole * 3
    path.write_bytes(whole[:-1])
    ResultsWriter(path, append=True).close()
    assert path.read_bytes() == b""


def test_a_track_without_a_name_and_a_box_of_floats_are_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with ResultsWriter(path) as writer:
        writer.write(result(tracks=[track(label=None, labels=[], box=[1.0, 2.0, 3.0, 4.0])]), wall_ns=WALL_NS)
    (line,) = read_results(path)
    assert line["tracks"][0]["label"] is None
    assert line["tracks"][0]["box"] == [1, 2, 3, 4]


def test_a_new_run_starts_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text("of an earlier run")
    with ResultsWriter(path):
        assert path.read_bytes() == b""


def spoilt(**changes) -> str:
    line = json.loads(result_line(result(), wall_ns=WALL_NS)) | changes
    return json.dumps({key: value for key, value in line.items() if value is not ...})


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "Expecting property name"),
        ("[]", r"the line: found \[\], expected dict"),
        (b"\xff{}", "can't decode"),
        ("[" * 100_000, "recursion"),
        (spoilt(v=2), "v: found 2, expected 1"),
        (spoilt(seq="3"), 'seq: found "3", expected int'),
        (spoilt(seq=True), "seq: found true, expected int"),
        (spoilt(t_s=float("nan")), "t_s: found nan, expected a finite number"),
        (spoilt(gap=...), "gap is missing"),
        (spoilt(tracks=[track(label=3)]), r"tracks\[0\].label: found 3, expected str"),
        (spoilt(stage_ms={"model": "1"}), 'stage_ms.model: found "1", expected float'),
        (spoilt(tracks=[track(), track(id=None)]), r"tracks\[1\].id: found null, expected int"),
        (spoilt(tracks=[track(labels=[{"name": "x"}])]), r"tracks\[0\].labels\[0\].p is missing"),
        (spoilt(tracks=[track(box=[1, 2, 3])]), r"tracks\[0\]: expected mask.size of two and box of four"),
        (
            spoilt(tracks=[track(mask={"size": [2, 2], "counts": "1"})]),
            r"tracks\[0\].mask: run-length code covers",
        ),
    ],
)
def test_a_bad_line_is_named_with_its_key(tmp_path: Path, line: str | bytes, complaint: str) -> None:
    path = tmp_path / "results.jsonl"
    good = result_line(result(), wall_ns=WALL_NS).encode()
    path.write_bytes(good + b"\n" + (line if isinstance(line, bytes) else line.encode()) + b"\n")
    with pytest.raises(UserError, match=complaint) as caught:
        list(read_results(path))
    assert str(caught.value).startswith(f"{path}:2: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.jsonl: No such file"):
        list(read_results(tmp_path / "nowhere.jsonl"))
    with pytest.raises(UserError, match="Is a directory"):
        ResultsWriter(tmp_path)


def test_results_are_compared_without_their_timing(tmp_path: Path) -> None:
    def written(name: str, *results: Result, later_ns: int = 0) -> Path:
        with ResultsWriter(tmp_path / name) as writer:
            for one in results:
                writer.write(one, wall_ns=WALL_NS + later_ns)
        return tmp_path / name

    a = written("a", result(), result(seq=4))
    assert same_results(a, written("b", result(stage_ms={}), result(seq=4), later_ns=10**9))
    other = written("c", result(), result(seq=4, tracks=[track(sounding=0.5)]))
    assert not same_results(a, other)
    assert "line 2: tracks: " in (first_difference(a, other) or "")
    shorter = written("d", result())
    assert first_difference(a, shorter) == f"line 2: only {a} has it"
    assert first_difference(shorter, a) == f"line 2: only {a} has it"


FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
from tests.streaming.test_results import WALL_NS, result
from streaming.errors import UserError
from streaming.results import ResultsWriter
with ResultsWriter(sys.argv[1]) as writer:
    for seq in range(100):
        try:
            writer.write(result(seq=seq), wall_ns=WALL_NS)
        except UserError as error:
            sys.exit(f"{writer.lines} {error}")
"""


def test_a_full_disk_leaves_whole_lines_and_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    # Python ignores SIGXFSZ, so that a file-size limit answers as a full disk does.
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines, error = ended.stderr.strip().split(" ", 1)
    assert error.startswith(f"{path}: ")
    assert "\n" not in error
    assert path.read_bytes().endswith(b"\n")
    assert len(list(read_results(path))) == int(lines) > 0
