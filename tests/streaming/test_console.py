"""What a person sees of a run: a live view or lines while it goes on, a table at its end."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from streaming.clock import FakeClock
from streaming.console import DRAW_EVERY_NS, LINE_EVERY_NS, Watcher, print_table, summary
from streaming.node_process import Node
from streaming.supervisor import NODES
from tests.terminals import HARMLESS, Terminal

RUNNING: dict[str, dict[str, Any]] = {
    "capture": {"duration_s": 12.48, "snippets": 5},
    "recorder": {"results": 4, "objects": 2, "latency_p50_ms": 1234.5, "reached_s": 4.0},
}


def nodes_with(
    counters: Mapping[str, dict[str, Any]], state: str = "ready", **states: str
) -> dict[str, Node]:
    return {
        name: Node(name, None, state=states.get(name, state), counters=dict(counters.get(name, {})))
        for name in NODES
    }


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Time that stands still; and no terminal, whatever the tests are run in."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return FakeClock()


# Where it can be watched ----------------------------------------------------------------------------------


@pytest.mark.parametrize("quiet", [False, True])
def test_it_is_told_once_where_a_run_can_be_watched(
    fake: FakeClock, capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    viewer = Node("viewer", None)
    with Watcher(fake, quiet=quiet) as watcher:
        for address in (None, "http://127.0.0.1:1/", "http://127.0.0.1:1/", "http://127.0.0.1:2/"):
            viewer.counters = {} if address is None else {"address": address}
            watcher.watch({**nodes_with(RUNNING), "viewer": viewer})
    assert capsys.readouterr().err.splitlines() == [
        "watch it at http://127.0.0.1:1/", "watch it at http://127.0.0.1:2/",
    ]  # fmt: skip


# While it goes on -----------------------------------------------------------------------------------------


def test_in_a_log_there_is_a_line_every_ten_seconds(
    fake: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Watcher(fake) as watcher:
        for step in range(100):
            if step == 1:
                nodes = nodes_with({}, model="starting", recorder="starting")
            elif step < 60:
                nodes = nodes_with({}, state="starting")
            else:
                nodes = nodes_with(RUNNING)
            watcher.watch(nodes)
            fake.advance(LINE_EVERY_NS // 30)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "starting (capture, feature, model, classification, recorder): no result yet",
        "running: 4.0 of 12.5 s, 4 results, 2 objects, latency 1234 ms",
        "running: 4.0 of 12.5 s, 4 results, 2 objects, latency 1234 ms",
    ]


def test_a_node_that_is_missing_is_named(fake: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    with Watcher(fake) as watcher:
        fake.advance(LINE_EVERY_NS)
        watcher.watch(nodes_with(RUNNING, model="down"))
    assert capsys.readouterr().err.startswith("running without model: 4.0 of 12.5 s")


def test_a_camera_that_is_not_there_is_waited_for_by_name(
    fake: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = {"source": "yard", "connection": "lost", "reason": "Connection refused"}
    with Watcher(fake) as watcher:
        for counters in ({"capture": lost}, RUNNING | {"capture": lost}):
            fake.advance(LINE_EVERY_NS)
            watcher.watch(nodes_with(counters))
    first, second = capsys.readouterr().err.splitlines()
    assert first == "waiting for yard: no result yet"
    assert second.startswith("running: 4.0 s, 4 results")


def test_the_whole_status_is_told_as_often_as_was_asked_for(
    fake: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Watcher(fake, quiet=True, status_s=1.0) as watcher:
        for _ in range(10):
            fake.advance(500_000_000)
            watcher.watch(nodes_with(RUNNING))
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 10
    assert told[8].startswith("source: ready, 0 fps, audio none, latency 1234 / 0 ms")
    assert told[9].startswith("nodes: capture ready, elsewhere; feature ready, elsewhere; ")


@pytest.mark.parametrize("duration_s", [None, 0, 0.0])
def test_where_nobody_says_how_long_it_is_only_what_was_reached_is_told(
    fake: FakeClock, capsys: pytest.CaptureFixture[str], duration_s: float | None
) -> None:
    with Watcher(fake) as watcher:
        fake.advance(LINE_EVERY_NS)
        watcher.watch(nodes_with(RUNNING | {"capture": {"duration_s": duration_s}}))
    assert capsys.readouterr().err == "running: 4.0 s, 4 results, 2 objects, latency 1234 ms\n"


def test_quiet_means_no_progress_but_not_no_complaints(
    fake: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Watcher(fake, quiet=True) as watcher:
        fake.advance(LINE_EVERY_NS)
        watcher.watch(nodes_with(RUNNING))
        watcher.say("model: [out of memory] at /dev/null")
    assert capsys.readouterr().err == "model: [out of memory] at /dev/null\n"


def test_a_long_line_of_a_node_stays_one_line(fake: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    line = "recorder: " + "long " * 100
    with Watcher(fake) as watcher:
        watcher.say(line)
    assert capsys.readouterr().err == line + "\n"


# On a terminal --------------------------------------------------------------------------------------------

WATCHING = """
import logging, sys, time
from streaming.clock import FakeClock
from streaming.console import Watcher, whoever_listens
from streaming.node_process import Node

evil = "\\x1b[2J\\x1b]0;mine\\x07[red]\\u202edog" + "\u5c0f\u63d0\u7434" * 30
now = {"named": [[evil, 0.9]], "more": 0, "offscreen": False}
counters = {
    "capture": {"duration_s": 100.0, "connection": "lost", "reason": evil, "source": evil},
    "capture-2": {"connection": "live", "source": "two"},
    "model": {},
    "recorder": {"results": 1, "reached_s": 50.0, "sources": {evil: {"results": 1, "now": now},
                 "two": {"results": 1, "now": now}}},
}
nodes = {name: Node(name, None, state="ready", counters=told) for name, told in counters.items()}
nodes["model"].state, nodes["model"].reason = "down", evil
clock = FakeClock()
with whoever_listens(), Watcher(clock, quiet="quiet" in sys.argv) as watcher:
    for step in range(int(sys.argv[1])):
        watcher.watch(nodes)
        clock.advance(int(sys.argv[2]))
    if "wait" in sys.argv:
        watcher.say("waiting")
        while sys.stdout.isatty():
            time.sleep(0.01)
        for step in range(3):
            clock.advance(10**9)
            watcher.watch(nodes)
            watcher.say("nobody hears this")
    watcher.say("model: a line " + evil)
    logging.getLogger("x").warning("a log %s", evil)
    print("a stray line", file=sys.stderr)
"""


def test_nothing_of_strangers_does_anything_to_the_terminal() -> None:
    told = Terminal(WATCHING, "3", "1000000000").to_its_end()
    assert "model: a line ?[2J?]0;mine?[red]?dog" in told
    assert "a log ?[2J" in told
    assert "a stray line" in told
    assert "50 %" in told
    assert HARMLESS.sub("", told).isprintable()


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (20, 5), (140, 50)])
def test_the_view_is_drawn_a_few_times_a_second_however_often_there_is_news(columns: int, rows: int) -> None:
    told = Terminal(
        WATCHING, "100", "10000000", columns=columns, rows=rows
    ).to_its_end()  # 1 s in steps of 10 ms
    above = told.partition("model: a line")[0]
    assert above.count("running") == 1_000_000_000 // DRAW_EVERY_NS


def test_at_the_end_the_view_is_gone_and_the_lines_of_nodes_are_left() -> None:
    told = Terminal(WATCHING, "1", "1").to_its_end()
    after = told.rpartition("results, 0 objects")[2]
    assert HARMLESS.sub("", after) == ""
    assert after.count("\x1b[1A\x1b[2K") == 6  # heads, two sources, two troubles, the progress


def test_quiet_draws_nothing() -> None:
    told = Terminal(WATCHING, "3", "1000000000", "quiet").to_its_end()
    assert "running" not in told
    assert "model: a line" in told


def test_a_terminal_that_cannot_be_drawn_on_has_lines() -> None:
    told = Terminal(WATCHING, "3", "10000000000", term="dumb").to_its_end()
    assert "\x1b" not in told
    assert "running without model: 50.0 of 100.0 s, 1 results, 0 objects" in told


def test_a_run_outlives_its_terminal() -> None:
    terminal = Terminal(WATCHING, "1", "1", "wait")
    terminal.wait_for("waiting")
    terminal.close()
    assert terminal.process.wait(60) == 0


# At its end -----------------------------------------------------------------------------------------------


def rows(counters: Mapping[str, Mapping[str, Any]], wall_s: float, startup_s: float | None) -> dict[str, str]:
    """The table as a person reads it: name and value of every row."""
    text = io.StringIO()
    Console(file=text, width=200).print(summary(counters, wall_s, startup_s))
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    width = len("seconds processed") + 2
    return {line[:width].strip(): line[width:] for line in lines}


def test_the_summary_tells_what_was_done_found_saved_and_lost() -> None:
    found = rows(
        {
            "capture": {"seconds": 31.7, "snippets": 61, "dropped": 2, "corrupt_packets": 3, "gaps": 1},
            "feature": {"refused": 1},
            "model": {"refused": 4},
            "classification": {"clip_calls": 7, "clip_calls_saved": 93},
            "recorder": {
                "results": 59,
                "seconds": 30.0,
                "objects": 3,
                "stage_ms": {"classify": 30.4, "observe": 250.0, "weigh": 1.0, "capture": 9.6},
                "latency_p50_ms": 900.4,
                "latency_p95_ms": 1500.0,
            },
        },
        wall_s=25.0,
        startup_s=10.0,
    )
    assert found == {
        "seconds processed": "30.0 (59 results)",
        "real-time factor": "2.00 (15.0 s after 10.0 s of start-up)",
        "objects found": "3",
        "CLIP calls": "7, 93 saved by the label cache",
        "ms per snippet": "capture 10, observe 250, classify 30, weigh 1",
        "latency": "p50 900 ms, p95 1500 ms",
        "drops": "2 dropped (the model was busy), 3 corrupt packets, 1 gaps, 5 messages refused",
    }


@pytest.mark.parametrize("counters", [{}, {name: {} for name in NODES}])
def test_a_run_that_came_to_nothing_has_a_summary_too(counters: dict[str, dict[str, Any]]) -> None:
    assert rows(counters, 3.0, None) == {
        "seconds processed": "0.0 (0 results)",
        "real-time factor": "0.00 (3.0 s after 0.0 s of start-up)",
        "objects found": "0",
        "CLIP calls": "0, 0 saved by the label cache",
        "ms per snippet": "none",
        "latency": "p50 0 ms, p95 0 ms",
        "drops": "none",
    }


def times(*spans: tuple[float, float], more: int = 0, total_s: float = 0) -> dict[str, Any]:
    return {"spans": [list(span) for span in spans], "more": more, "total_s": total_s}


def told(reached_s: float, **story: Any) -> list[str]:
    """What the summary says below its figures, a line a row."""
    text = io.StringIO()
    table = summary({"recorder": {"results": 1, "reached_s": reached_s, "story": story}}, 2.0, 1.0)
    Console(file=text, width=200).print(table)
    _, _, below = text.getvalue().partition("drops")
    return [re.sub(r"  +", "  ", line.rstrip()) for line in below.splitlines()[1:]]


def test_below_the_figures_stands_what_sounded_when() -> None:
    dog, train = times((1.0, 4.0), (18.0, 20.0), total_s=5), times((4.5, 9.0), total_s=4.5)
    assert told(
        20.0, named=[["dog", dog], ["steam train", train]], more_names=0,
        offscreen=times((16.0, 18.0), total_s=2), silence=times((0.0, 1.0), (9.0, 16.0), total_s=8),
    ) == [
        "",
        "what sounded  when",
        "  dog  1-4, 18-20 s",
        "  steam train  4.5-9 s",
        "heard, not seen  16-18 s",
        "silence  0-1, 9-16 s",
    ]  # fmt: skip


def test_what_was_heard_and_not_seen_stands_below_it() -> None:
    unseen = [["music", times((0.0, 3.0), total_s=3)], ["telephone", times((3.0, 4.0), total_s=1)]]
    assert told(4.0, offscreen=times((0.0, 4.0), total_s=4), unseen=unseen, silence=times())[2:] == [
        "heard, not seen  0-4 s",
        "  music  0-3 s",
        "  telephone  3-4 s",
    ]


def test_of_a_long_run_little_is_told_in_hours() -> None:
    dog = times((59.6, 70.0), (7205.0, 7206.4), more=3, total_s=4000.0)
    assert told(90_000.0, named=[["dog", dog]], more_names=7, offscreen=times(), silence=times()) == [
        "",
        "what sounded  when",
        "  dog  1:00-1:10, 2:00:05-2:00:06 and 3 times more, 1:06:40 in all",
        "  and  7 other names, each for a shorter time",
    ]


@pytest.mark.parametrize(
    "story", [{}, {"named": [], "more_names": 0, "offscreen": times(), "silence": times()}]
)
def test_where_there_is_no_story_none_is_told(story: dict[str, Any]) -> None:
    assert told(0.0, **story) == []


def test_words_that_look_like_markup_are_told_as_they_are() -> None:
    named = [["[bold]dog", times((0.0, 1.0))], ["[/cat]", times((1.0, 2.0))]]
    assert told(2.0, named=named, more_names=0)[2:] == ["  [bold]dog  0-1 s", "  [/cat]  1-2 s"]


def test_a_table_in_a_log_is_not_broken_at_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    stage_ms = {f"stage{i}": 1000.0 for i in range(10)}
    print_table(summary({"recorder": {"results": 1, "stage_ms": stage_ms}}, 2.0, 1.0))
    lines = capsys.readouterr().out.splitlines()
    assert any(line.rstrip().endswith(", ".join(f"stage{i} 1000" for i in range(10))) for line in lines)


# Several sources ------------------------------------------------------------------------------------------


def test_each_source_has_rows_of_its_own() -> None:
    story = {"named": [["dog", {"spans": [[1.0, 4.0]], "more": 0, "total_s": 3.0}]]}
    one = {
        "seconds": 5.0,
        "results": 5,
        "objects": 1,
        "latency_p50_ms": 90,
        "latency_p95_ms": 120,
        "reached_s": 5.0,
    }
    counters = {
        "capture-front": {"dropped": 2, "overruns": 1},
        "capture-back": {"dropped": 1},
        "recorder": {
            "results": 8, "seconds": 8.0, "reached_s": 5.0, "objects": 1,
            "sources": {"front": one | {"story": story}, "back": one | {"results": 3, "story": {}}},
        },
    }  # fmt: skip
    text = io.StringIO()
    Console(file=text, width=200).print(summary(counters, 6.0, 1.0))
    lines = [" ".join(line.split()) for line in text.getvalue().splitlines()]
    assert "drops 3 dropped (the model was busy), 1 microphone overruns" in lines
    front, back = (
        lines.index("front 5.0 s (5 results), 1 objects"),
        lines.index("back 5.0 s (3 results), 1 objects"),
    )
    assert lines[front + 1 : front + 4] == [
        "latency p50 90 ms, p95 120 ms",
        "drops 2 dropped (the model was busy), 1 microphone overruns",
        "dog 1-4 s",
    ]
    assert lines[back + 2] == "drops 1 dropped (the model was busy)"
