"""A tape as a source: the same snippets again, at the pace they came or faster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streaming.clock import FakeClock
from streaming.errors import UserError
from streaming.messages import End, Preview, Snippet
from streaming.sources.base import Place
from streaming.sources.tape import TapeSource
from streaming.tape import TapeWriter
from tests.nodes.samples import NS, end, preview, snippet


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """Four snippets with previews, a second and a half apart, of which the pipeline missed number 2."""
    path = tmp_path / "tape.mcap"
    writer = TapeWriter(path, pictures="lossless", live=True, hop_s=1.0)
    for seq in range(4):
        at_ns = 100 * NS + seq * 3 * NS // 2
        writer.write(preview(seq, [b"jpeg"], emitted_ns=at_ns))
        if seq == 3:
            writer.dropped(snippet(2))
        writer.write(snippet(seq, emitted_ns=at_ns, gap=seq == 1))
    writer.write(end(4, emitted_ns=106 * NS))
    writer.close()
    return path


def numbers(messages: list[Any], kind: type) -> list[int]:
    return [message.seq for message in messages if isinstance(message, kind)]


def test_what_the_live_run_had_comes_again(tape: Path) -> None:
    source = TapeSource(tape, clock=FakeClock())
    assert (source.source_id, source.duration_s) == ("cam", 6.0)
    messages = list(source)
    assert numbers(messages, Snippet) == [0, 1, 3]
    assert numbers(messages, Preview) == [0, 1, 2, 3]
    assert isinstance(messages[-1], End)
    assert messages[-1].reason == end(4).reason
    now = messages[1].emitted_ns
    assert messages[1] == snippet(0, emitted_ns=now)
    assert source.counters == {"frames": 3, "gaps": 1, "left_out": 1}


def test_what_the_live_run_missed_can_be_had_too(tape: Path) -> None:
    messages = list(TapeSource(tape, clock=FakeClock(), everything=True, previews=False))
    assert numbers(messages, Snippet) == [0, 1, 2, 3]
    assert numbers(messages, Preview) == []


def test_the_pace_is_that_of_the_live_run(tape: Path) -> None:
    clock = FakeClock()
    begun_ns = clock.monotonic_ns()
    at = [
        (clock.monotonic_ns() - begun_ns) / NS
        for message in TapeSource(tape, clock=clock, pace="realtime")
        if isinstance(message, Snippet)
    ]
    assert at == [0.0, 1.5, 4.5]


def test_it_begins_where_it_is_told_to(tape: Path) -> None:
    clock = FakeClock()
    messages = list(TapeSource(tape, clock=clock, pace="realtime", start_s=1.5))
    assert numbers(messages, Snippet) == [1, 3]
    with pytest.raises(UserError, match=r"source\.start_s: found 6, expected less than 6"):
        TapeSource(tape, clock=clock, start_s=6.0)


def test_it_goes_on_behind_a_snippet(tape: Path) -> None:
    messages = list(TapeSource(tape, clock=FakeClock(), after=Place(0, 1, NS)))
    assert numbers(messages, Preview) == [2, 3]
    assert numbers(messages, Snippet) == [3]
    last = list(TapeSource(tape, clock=FakeClock(), after=Place(0, 3, 3 * NS)))
    assert [type(message) for message in last] == [End]


def test_a_recording_that_stops_has_an_end_all_the_same(tape: Path) -> None:
    tape.write_bytes(tape.read_bytes()[:-6000])
    *_, before, last = TapeSource(tape, clock=FakeClock())
    assert isinstance(last, End)
    assert (last.seq, last.t_ns) == (before.seq + isinstance(before, Snippet), before.t_ns + before.dur_ns)
    assert "stops here" in last.reason


def test_it_stops_when_told(tape: Path) -> None:
    source = TapeSource(tape, clock=FakeClock())
    messages = iter(source)
    next(messages)
    source.close()
    assert list(messages) == []


def test_of_several_sources_one_is_chosen(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path / "two.mcap", pictures="lossless", live=True, hop_s=1.0)
    for name in ("yard", "hall"):
        writer.write(replace(snippet(0), source=name))
    writer.close()
    with pytest.raises(UserError, match="found several sources, expected one of hall, yard"):
        TapeSource(tmp_path / "two.mcap", clock=FakeClock())
    with pytest.raises(UserError, match="found no source 'attic', expected one of hall, yard"):
        TapeSource(tmp_path / "two.mcap", clock=FakeClock(), source_id="attic")
    (one, _) = TapeSource(tmp_path / "two.mcap", clock=FakeClock(), source_id="hall")
    assert one.source == "hall"


def test_another_hop_is_refused(tape: Path) -> None:
    with pytest.raises(UserError, match=r"source\.hop_s: found 0\.5, expected 1"):
        TapeSource(tape, clock=FakeClock(), hop_s=0.5)
