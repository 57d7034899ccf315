"""What is told of results: who appeared, who is called otherwise, who fell silent, and when."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from streaming.outputs.events import Events
from tests.nodes.samples import NS, result

DOC = Path(__file__).parents[3] / "docs" / "outputs.md"
WALL_NS = 1_700_000_000_000_000_000


def heard(seq: int, *labels: tuple[int, str | None], **changes: Any) -> Any:
    """A result in which tracks of these names sound."""
    whole = result(seq, [track for track, _ in labels], **changes)
    for track, (_, label) in zip(whole.tracks, labels, strict=True):
        track["label"] = label
        track["labels"] = [{"name": label, "p": 0.91234567}] if label else []
    return whole


def short(events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Of events, what happened to which track, called what, and when."""
    return [(event["event"], event["track"], event["label"], event["t_s"]) for event in events]


def told(events: Events, *results: Any) -> list[list[tuple[Any, ...]]]:
    return [short(events.add(one, WALL_NS)) for one in results]


def test_an_event_says_all_that_is_known() -> None:
    events = Events()
    assert events.add(heard(5, (1, "dog")), WALL_NS) == [
        {
            "v": 1,
            "event": "appeared",
            "source": "cam",
            "generation": 0,
            "seq": 5,
            "t_s": 5.0,
            "wall_time": "2023-11-14T22:13:20.000Z",
            "track": 1,
            "label": "dog",
            "p": 0.9123,
            "sounding": 0.8,
            "box": [4, 8, 12, 16],
            "frame_size": [48, 64],
        }
    ]
    (changed,) = events.add(heard(6, (1, "wolf")), WALL_NS)
    assert (changed["event"], changed["label"], changed["was"], changed["t_s"]) == (
        "changed",
        "wolf",
        "dog",
        6.0,
    )
    (silent,) = events.silence("cam", WALL_NS)
    assert (silent["event"], silent["label"], silent["t_s"], silent["sounded_s"]) == (
        "silent",
        "wolf",
        7.0,
        2.0,
    )


def test_a_sound_that_goes_on_is_no_event() -> None:
    events = Events()
    assert told(events, *(heard(seq, (1, "dog")) for seq in range(4))) == [
        [("appeared", 1, "dog", 0.0)], [], [], [],
    ]  # fmt: skip


def test_one_result_without_a_sound_is_no_event_and_two_are() -> None:
    """`silent_s` is 1, and a result a second comes: a single miss is no silence yet."""
    events = Events(1.0)
    assert told(events, heard(0, (1, "dog")), heard(1), heard(2, (1, "dog")), heard(3), heard(4)) == [
        [("appeared", 1, "dog", 0.0)], [], [], [], [("silent", 1, "dog", 3.0)],
    ]  # fmt: skip
    assert told(events, heard(5), heard(6, (1, "dog"))) == [[], [("appeared", 1, "dog", 6.0)]]


def test_silence_can_be_told_at_once() -> None:
    events = Events(0.0)
    assert told(events, heard(0, (1, "dog")), heard(1)) == [
        [("appeared", 1, "dog", 0.0)], [("silent", 1, "dog", 1.0)],
    ]  # fmt: skip


@pytest.mark.parametrize("hop_s", [1.0, 0.5, 0.25, 0.2, 0.125, 0.1])
def test_silence_is_measured_in_stream_time_whatever_the_hop(hop_s: float) -> None:
    """Windows overlap; a sound lasts to the end of the last one that has it."""
    events = Events(1.0)
    hop_ns = round(hop_s * NS)
    events.add(heard(0, (1, "dog")), WALL_NS)
    results = [heard(seq, t_ns=seq * hop_ns) for seq in range(1, 30)]
    rang = [seq for seq, one in enumerate(results, start=1) if events.add(one, WALL_NS)]
    (seq,) = rang
    assert seq == round(1.0 / hop_s) + 1, "the first whose window ends more than a second later"


def test_results_that_were_dropped_are_no_silence() -> None:
    events = Events()
    assert told(events, heard(0, (1, "dog")), heard(9, (1, "dog")))[1] == []
    assert told(events, heard(19))[0] == [("silent", 1, "dog", 10.0)]


def test_what_fell_silent_is_told_before_what_appeared() -> None:
    events = Events(0.0)
    assert told(events, heard(0, (1, "dog")), heard(1, (2, "cat"))) == [
        [("appeared", 1, "dog", 0.0)],
        [("silent", 1, "dog", 1.0), ("appeared", 2, "cat", 1.0)],
    ]


def test_a_name_may_come_later_and_go_again() -> None:
    events = Events()
    named = [events.add(heard(seq, (1, label)), WALL_NS) for seq, label in enumerate([None, "dog", None])]
    assert [short(some) for some in named] == [
        [("appeared", 1, None, 0.0)],
        [("changed", 1, "dog", 1.0)],
        [("changed", 1, None, 2.0)],
    ]
    assert [some[0].get("was", "-") for some in named] == ["-", None, "dog"]
    assert [some[0]["p"] for some in named] == [None, 0.9123, None]


def test_what_is_heard_and_not_seen_has_no_track_and_no_name() -> None:
    events = Events()
    (appeared,) = events.add(heard(0, offscreen=True), WALL_NS)
    assert [appeared[key] for key in ("track", "label", "p", "sounding", "box")] == [None] * 5
    assert events.state("cam", WALL_NS)["offscreen"] is True
    assert events.state("cam", WALL_NS)["tracks"] == []
    assert told(events, heard(1, (3, "dog")), heard(2, (3, "dog"))) == [
        [("appeared", 3, "dog", 1.0)], [("silent", None, None, 1.0)],
    ]  # fmt: skip
    assert events.state("cam", WALL_NS)["offscreen"] is False


def test_what_is_heard_and_not_seen_is_told_by_what_it_is_where_that_is_known() -> None:
    events = Events()
    assert "offscreen_text" not in events.state("cam", WALL_NS)
    (appeared,) = events.add(heard(0, offscreen=True, offscreen_text="church bell"), WALL_NS)
    assert (appeared["track"], appeared["text"]) == (None, "church bell")
    assert events.state("cam", WALL_NS)["offscreen_text"] == "church bell"
    assert events.add(heard(1, offscreen=True), WALL_NS) == [], "it goes on"
    assert "offscreen_text" not in events.state("cam", WALL_NS)


def test_in_a_new_generation_nothing_of_the_old_one_sounds() -> None:
    events = Events()
    events.add(heard(0, (1, "dog"), (2, "cat")), WALL_NS)
    happened = events.add(heard(1, (3, "dog"), generation=1, t_ns=50 * NS), WALL_NS)
    assert short(happened) == [
        ("silent", 1, "dog", 1.0), ("silent", 2, "cat", 1.0), ("appeared", 3, "dog", 50.0),
    ]  # fmt: skip
    assert [event["generation"] for event in happened] == [0, 0, 1]


def test_at_the_end_of_a_stream_all_falls_silent_once_its_last_result_was_there() -> None:
    """The end may be told before: the moving picture is ahead of its results."""
    events = Events()
    events.add(heard(0, (1, "dog")), WALL_NS)
    assert events.end("cam", 3, WALL_NS) == []
    assert told(events, heard(1, (1, "dog")), heard(2, (1, "dog"))) == [[], [("silent", 1, "dog", 3.0)]]
    assert events.end("cam", 3, WALL_NS) == []


def test_the_end_is_told_after_the_last_result() -> None:
    events = Events()
    events.add(heard(0, (1, "dog")), WALL_NS)
    assert short(events.end("cam", 1, WALL_NS)) == [("silent", 1, "dog", 1.0)]
    assert events.end("never seen", 0, WALL_NS) == []


def test_sources_have_nothing_to_do_with_each_other() -> None:
    events = Events()
    events.add(heard(0, (1, "dog"), source="front"), WALL_NS)
    assert told(events, heard(7, (1, "cat"), source="back"), heard(8, source="back", generation=1)) == [
        [("appeared", 1, "cat", 7.0)], [("silent", 1, "cat", 8.0)],
    ]  # fmt: skip
    assert [track["label"] for track in events.state("front", WALL_NS)["tracks"]] == ["dog"]


def test_the_state_is_what_sounds_now() -> None:
    events = Events()
    assert events.state("cam", WALL_NS) == {
        "v": 1,
        "source": "cam",
        "generation": 0,
        "seq": None,
        "t_s": None,
        "wall_time": "2023-11-14T22:13:20.000Z",
        "tracks": [],
        "offscreen": False,
        "frame_size": None,
    }
    events.add(heard(3, (1, "dog")), WALL_NS)
    events.add(heard(4, (1, "dog"), (2, "cat")), WALL_NS)
    state = events.state("cam", WALL_NS)
    assert (state["seq"], state["t_s"], state["frame_size"]) == (4, 4.0, [48, 64])
    assert state["tracks"] == [
        {"track": 1, "label": "dog", "p": 0.9123, "sounding": 0.8, "box": [4, 8, 12, 16], "since_s": 3.0},
        {"track": 2, "label": "cat", "p": 0.9123, "sounding": 0.8, "box": [8, 8, 12, 16], "since_s": 4.0},
    ]


def test_the_state_follows_from_the_events() -> None:
    """Whoever has heard all events knows the state."""
    script: list[list[tuple[int, str]]] = [
        [(1, "dog")], [(1, "dog"), (2, "cat")], [(2, "cat")], [(2, "lion")], [], [], [(1, "dog")], [],
    ]  # fmt: skip
    events, known = Events(), {}
    for seq, labels in enumerate(script):
        for event in events.add(heard(seq, *labels), WALL_NS):
            if event["event"] == "silent":
                del known[event["track"]]
            else:
                known[event["track"]] = event["label"]
        state = events.state("cam", WALL_NS)
        assert {track["track"]: track["label"] for track in state["tracks"]} == known


def test_a_name_may_be_any_text() -> None:
    name = 'a "dog"\\ {}\N{DOG FACE}\N{RIGHT-TO-LEFT OVERRIDE}</script>\N{LINE SEPARATOR}'
    events = Events()
    (event,) = events.add(heard(0, (1, name)), WALL_NS)
    assert json.loads(json.dumps(event, ensure_ascii=False))["label"] == name


def test_the_text_describes_what_is_told() -> None:
    """The examples have the keys, in their order, and every key of an event has its row."""
    text = DOC.read_text(encoding="utf-8")
    event, state = (json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", text, re.M | re.S))
    events = Events()
    happened = events.add(heard(0, (1, "dog")), WALL_NS)
    told = events.state("cam", WALL_NS)
    assert list(event) == list(happened[0])
    assert (list(state), list(state["tracks"][0])) == (list(told), list(told["tracks"][0]))
    happened += events.add(heard(1, (1, "cat")), WALL_NS) + events.silence("cam", WALL_NS)
    happened += events.add(heard(2, offscreen=True, offscreen_text="church bell"), WALL_NS)
    table = text[text.index("### An event") : text.index("Values of `silent`")]
    rows = {key for row in re.findall(r"^\| (`.*?`) \|", table, re.M) for key in re.findall(r"`(\w+)`", row)}
    assert rows == {key for event in happened for key in event}
