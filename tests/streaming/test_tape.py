"""A tape gives back what was put on it, to the last bit, up to wherever it was cut."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from mcap.reader import make_reader

from streaming.errors import UserError
from streaming.messages import End, Message
from streaming.tape import Dropped, TapeReader, TapeWriter, is_tape
from tests.nodes.samples import NS, end, preview, snippet


def stream(count: int = 4) -> list[Any]:
    return [message for seq in range(count) for message in (preview(seq, [b"jpeg"]), snippet(seq))] + [
        end(count, dur_ns=0)
    ]


def written(path: Path, messages: list[Any], **how: Any) -> Path:
    writer = TapeWriter(path, **{"pictures": "lossless", "live": False, "hop_s": 1.0, **how})
    for message in messages:
        writer.write(message)
    writer.close()
    writer.close()
    return path


def played(path: Path, start_s: float = 0.0) -> list[Message | Dropped]:
    return [one.message for one in TapeReader(path).play(start_s)]


def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    path = written(tmp_path / "a" / "tape.mcap", stream(), hop_s=0.5)
    assert played(path) == stream()
    assert is_tape(path)
    reader = TapeReader(path)
    assert (reader.sources, reader.hop_s, reader.duration_s) == (("cam",), 0.5, 3.0)
    assert reader.cut_short is None


def test_pictures_can_be_kept_smaller_and_all_else_is_exact(tmp_path: Path) -> None:
    rough = np.random.default_rng(0).normal(0, 4, (64, 96, 3))
    ramp = (np.linspace(20, 230, 64 * 96 * 3).reshape(64, 96, 3) + rough).astype(np.uint8)
    once = snippet(0, frame=ramp)
    path = written(tmp_path / "small.mcap", [once], pictures="jpeg")
    assert path.stat().st_size < written(tmp_path / "whole.mcap", [once]).stat().st_size
    (back,) = played(path)
    assert isinstance(back, type(once))
    assert replace(back, frame=once.frame) == once
    assert np.abs(back.frame.astype(int) - ramp).mean() <= 4
    assert played(path) == [back]


def test_playing_begins_anywhere(tmp_path: Path) -> None:
    path = written(tmp_path / "tape.mcap", stream(6))
    for start_s, first in ((0.0, 0), (0.2, 1), (1.0, 1), (4.5, 5)):
        assert played(path, start_s) == stream(6)[2 * first :]
    assert played(path, 60.0) == []


def test_live_time_is_when_things_came_and_a_files_is_where_they_end(tmp_path: Path) -> None:
    came = [snippet(0, emitted_ns=5 * NS), snippet(1, emitted_ns=9 * NS)]
    live = TapeReader(written(tmp_path / "live.mcap", came, live=True))
    assert [one.tape_ns for one in live.play()] == [5 * NS, 9 * NS]
    again = [
        snippet(0),
        snippet(1),
        snippet(2, generation=1, t_ns=70 * NS),
        snippet(3, generation=1, t_ns=71 * NS),
    ]
    file = TapeReader(written(tmp_path / "file.mcap", again))
    assert [one.tape_ns for one in file.play()] == [1 * NS, 2 * NS, 3 * NS, 4 * NS]


def test_what_was_dropped_is_told_before_what_took_its_place(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path / "tape.mcap", pictures="lossless", live=True, hop_s=1.0)
    writer.write(snippet(0))
    writer.dropped(snippet(0))
    writer.write(snippet(1))
    writer.close()
    assert played(tmp_path / "tape.mcap") == [snippet(0), Dropped("cam", 0), snippet(1)]


def test_a_recording_cut_anywhere_plays_up_to_the_cut(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.mcap", stream()).read_bytes()
    torn = tmp_path / "torn.mcap"
    lengths, told = set(), set()
    for size in [*range(len(whole) // 3, len(whole), 61), len(whole) - 1]:
        torn.write_bytes(whole[:size])
        reader = TapeReader(torn)
        back = [one.message for one in reader.play()]
        assert back == stream()[: len(back)]
        lengths.add(len(back))
        told.add(reader.cut_short is None)
    assert lengths >= set(range(4, 10))
    assert told == {True, False}


def test_what_is_written_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "tape.mcap"
    writer = TapeWriter(path, pictures="lossless", live=True, hop_s=1.0)
    writer.write(snippet(0))
    assert played(path) == [snippet(0)]  # as a crash would leave it
    writer.close()


def test_other_programs_can_read_it(tmp_path: Path) -> None:
    path = written(tmp_path / "tape.mcap", stream(2))
    with path.open("rb") as file:
        read = [
            (channel.topic, msgpack.unpackb(m.data)) for _, channel, m in make_reader(file).iter_messages()
        ]
    assert [topic for topic, _ in read] == ["/cam/preview", "/cam/snippet"] * 2 + ["/cam/end"]
    source, header, picture, _ = read[1][1]
    assert (source, msgpack.unpackb(header)["seq"], picture[1:4]) == (b"cam", 0, b"PNG")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not an MCAP file, expected a recording by `record`"),
        (b"\x89MCAP0\r\n", "found no snippet in it"),
        (b"RIFF....AVI ", "expected a recording by `record`"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_recording_is_told_in_one_line(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "x.mcap"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=told) as caught:
        TapeReader(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damage_inside_is_told_and_not_played(tmp_path: Path) -> None:
    path = tmp_path / "tape.mcap"
    writer = TapeWriter(path, pictures="lossless", live=True, hop_s=1.0)
    writer.write(snippet(0))
    writer._add("cam", "snippet", 8, [b"cam", b"\xc1", b"no picture", b""])
    writer.close()
    with pytest.raises(UserError, match=r"/cam/snippet: found what is no message"):
        played(path)


def test_a_full_disk_is_told_and_what_was_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tape.mcap"
    writer = TapeWriter(path, pictures="lossless", live=True, hop_s=1.0)
    writer.write(snippet(0))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer._writer, "add_message", full)
    with pytest.raises(UserError, match="No space left on device"):
        writer.write(snippet(1))
    assert played(path) == [snippet(0)]
    with pytest.raises(UserError, match="cannot be written"):
        TapeWriter(tmp_path, pictures="jpeg", live=True, hop_s=1.0)


def test_an_end_is_an_end(tmp_path: Path) -> None:
    *_, last = played(written(tmp_path / "tape.mcap", stream(1)))
    assert isinstance(last, End)
    assert last.reason == end(1).reason
