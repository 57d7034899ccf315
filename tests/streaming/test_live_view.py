"""The live view of a run: what it says, and that it fits whatever terminal it is drawn on."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from streaming.live_view import METER_CELLS, LiveView, Progress, hours, meter

HALF = Progress("running", 6.0, 12.5, "6 results, 3 objects", 75.0)


def camera(**about: Any) -> dict[str, Any]:
    whole = {"state": "ready", "connection": "live", "fps": 24.9, "has_audio": True, "audio_dbfs": -30.0}
    return whole | {"generation": 0, "restarts": 0} | about


def heard(*named: list[Any], more: int = 0, **unseen: bool | str) -> dict[str, Any]:
    now = {"named": list(named), "more": more, **unseen}
    return {"results": 4, "latency_p50_ms": 80.0, "latency_p95_ms": 120.0, "now": now}


TOLD: dict[str, dict[str, Any]] = {
    "capture-front": camera(dropped=7, gaps=1),
    "capture-yard": camera(connection="lost", reason="[no route]", fps=0.0),
    "capture-new": {"state": "starting"},
    "model": {"state": "ready", "restarts": 1},
    "recorder": {
        "state": "ready",
        "sources": {
            "front": heard(["dog", 0.931], ["steam train", 0.7], more=2),
            "yard": heard(["dog", 0.9]),
            "new": {"results": 0, "now": None},
        },
    },
}


def drawn(
    told: dict[str, dict[str, Any]], progress: Progress = HALF, *, columns: int = 140, rows: int = 25
) -> list[str]:
    """The lines of the view, without colours."""
    text = io.StringIO()
    # As the console that it is drawn on in a run, which leaves lines as long as they are.
    console = Console(file=text, width=columns, height=rows, soft_wrap=True, highlight=False)
    console.print(LiveView(told, progress))
    return [line.rstrip() for line in text.getvalue().splitlines()]


def words(lines: list[str]) -> list[str]:
    return [" ".join(line.split()) for line in lines]


def test_a_wide_terminal_is_told_all() -> None:
    assert words(drawn(TOLD))[:-1] == [
        "source state fps audio latency p50 / p95 lost now",
        "front live 24.9 ████ -30 dBFS 80 / 120 ms 7 dropped, 1 gaps dog 93 %, steam train 70 % and 2 more",
        "yard lost 0.0 ████ -30 dBFS 80 / 120 ms none",  # what it heard last is not what sounds now
        "new starting none none",
        "yard: lost: [no route]",
    ]


def test_a_terminal_of_eighty_columns_is_told_nearly_as_much() -> None:
    told = {"capture": camera(source="front"), "recorder": heard(["steam train", 0.7])}
    assert words(drawn(told, columns=80))[:2] == [
        "source state fps audio p50 / p95 lost now",
        "front live 24.9 ████ 80 / 120 ms none steam train 70 %",
    ]


@pytest.mark.parametrize(
    ("columns", "heads"),
    [
        (78, "source state audio p50 / p95 lost now"),
        (64, "source state audio p50 / p95 now"),
        (44, "source state audio now"),
        (30, "source now"),
        (14, "source now"),
    ],
)
def test_the_narrower_the_less_but_never_without_what_sounds(columns: int, heads: str) -> None:
    assert words(drawn(TOLD, columns=columns))[0] == heads


@pytest.mark.parametrize("columns", [*range(8, 40), 50, 79, 80, 81, 99, 100, 101, 140, 250])
@pytest.mark.parametrize("progress", [HALF, Progress("starting (a, b, c)", 0.0, None, "", 3.0)])
def test_no_line_is_wider_than_the_terminal(columns: int, progress: Progress) -> None:
    """With words of wide characters, and causes that are long stories."""
    told = TOLD | {
        "capture-front": camera(overruns=10**9, corrupt_packets=10**9, audio_dbfs=0.0),
        "capture-a_name_of_a_source_that_goes_on_and_on": camera(audio_dbfs=-59.0),
        "feature": {"state": "down", "died": "was killed; its last words: " + "很长" * 100},
    }
    sources = {"front": heard(["小提琴と太鼓" * 8, 0.93], ["е\u0301" * 30, 0.5])}
    lines = drawn(told | {"recorder": {"sources": sources}}, progress, columns=columns)
    assert max(map(cell_len, lines)) <= columns


def test_columns_stay_in_line_below_wide_characters() -> None:
    told = {f"capture-{name}": camera(source=name, connection=state) for name, state in
            {"a": "小提琴", "b": "live"}.items()}  # fmt: skip
    told["recorder"] = {"sources": {"a": heard(["小提琴", 0.9]), "b": heard(["dog", 0.9])}}
    head, *rows = drawn(told, columns=100)[:3]
    assert {cell_len(row.partition(" 90 %")[0].rpartition("  ")[0]) for row in rows} == {
        head.index("now") - 2
    }


def test_what_does_not_fit_is_said_to_be_there() -> None:
    told = {
        f"capture-{i}": camera(source=f"cam{i}", connection="lost" if i == 30 else "live") for i in range(40)
    }
    told["recorder"] = {"sources": {}}
    lines = drawn(told, columns=80, rows=12)
    assert len(lines) == 11
    assert lines[-2] == "and 32 more sources, 1 of them not well"
    assert len(drawn(told, columns=80, rows=60)) == 1 + 40 + 1


@pytest.mark.parametrize("rows", range(1, 30))
def test_it_is_never_as_high_as_the_terminal(rows: int) -> None:
    told = {f"capture-{i}": camera(source=f"cam{i}", connection="lost", reason="gone") for i in range(40)}
    lines = drawn(told | {"recorder": {"sources": {}}}, columns=80, rows=rows)
    assert 1 <= len(lines) <= max(1, rows - 1)


def test_nodes_that_are_not_well_are_named_with_what_they_died_of_before_sources_that_are_not() -> None:
    told = TOLD | {
        "model": {"state": "down", "died": "was killed by SIGKILL"},
        "feature": {"state": "starting", "restarts": 1, "died": "ended early with exit code 1"},
        "classification": {"state": "starting", "restarts": 0},
        "viewer": {"state": "failed", "died": "died 3 times"},
    }
    assert drawn(told)[4:-1] == [
        "model: down: was killed by SIGKILL",
        "feature: starting again: ended early with exit code 1",
        "viewer: failed: died 3 times",
        "yard: lost: [no route]",
    ]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (heard(), "silence"),
        (heard(offscreen=True), "offscreen"),
        (heard(offscreen=True, offscreen_text="church bell"), "offscreen: church bell"),
        (heard(["something without a name", None]), "something without a name"),
        (heard(["[bold]dog\x1b[2J\n", 0.5]), "[bold]dog?[2J? 50 %"),
        ({"results": 0, "now": None}, ""),
        ({}, ""),
    ],
)
def test_what_sounds_now(now: dict[str, Any], told: str) -> None:
    row = drawn({"capture": camera(), "recorder": now})[1]
    assert row.endswith(told or "none")


def test_of_a_recording_there_is_a_bar_and_it_is_full_when_no_whole_second_is_left() -> None:
    def last(reached_s: float) -> str:
        return drawn(TOLD, Progress("running", reached_s, 12.48, "23 results, 1 objects", 3.0))[-1]

    assert last(6.0).startswith("running  ━━━")
    assert last(6.0).endswith("  50 %  0:03, 23 results, 1 objects")
    assert "100 %" in last(12.0)


@pytest.mark.parametrize("columns", [140, 80])
def test_of_what_has_no_end_the_time_is_told(columns: int) -> None:
    progress = Progress("running", 4000.0, None, "4000 results, 9 objects", 4013.0)
    assert drawn(TOLD, progress, columns=columns)[-1] == "running  1:06:53, 4000 results, 9 objects"


@pytest.mark.parametrize(
    ("dbfs", "bar"),
    [
        (None, ""),
        (-100.0, ""),
        (-60.0, ""),
        (-59.0, "▏"),
        (-30.0, "████"),
        (0.0, "████████"),
        (6.0, "████████"),
    ],
)
def test_a_level_is_a_bar(dbfs: float | None, bar: str) -> None:
    assert meter(dbfs) == bar.ljust(METER_CELLS)


def test_a_terminal_of_few_characters_has_a_bar_too() -> None:
    assert meter(-30.0, ascii_only=True) == "####    "


@pytest.mark.parametrize(
    ("t_s", "told"),
    [(0.0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (7205.0, "2:00:05"), (360000.0, "100:00:00")],
)
def test_a_length_of_time(t_s: float, told: str) -> None:
    assert hours(t_s) == told
