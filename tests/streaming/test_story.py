"""What sounds now, and what sounded when, gathered from results."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streaming.messages import Result
from streaming.story import (
    NAMES_TOLD,
    NOW_TOLD,
    SPANS_TOLD,
    UNNAMED,
    UNSEEN_TOLD,
    Story,
    sounding_now,
    told_offscreen,
)
from tests.nodes.samples import NS, result


def heard(t_s: float, *names: str | None, **changes: Any) -> Result:
    """The result of the second from `t_s` on, in which these sound."""
    whole = result(0, list(range(1, len(names) + 1)), t_ns=round(t_s * NS), **changes)
    return replace(
        whole, tracks=[{**track, "label": name} for track, name in zip(whole.tracks, names, strict=True)]
    )


def story_of(*results: Result) -> dict[str, Any]:
    story = Story()
    for one in results:
        story.add(one)
    return story.told()


def spans(told: dict[str, Any]) -> dict[str, list[list[float]]]:
    return {name: times["spans"] for name, times in told["named"]}


def test_seconds_that_follow_each_other_are_one_stretch() -> None:
    told = story_of(
        heard(0), heard(1, "dog"), heard(2, "dog", "cat"), heard(3, "cat"), heard(4), heard(5, "dog")
    )
    assert spans(told) == {"dog": [[1.0, 3.0], [5.0, 6.0]], "cat": [[2.0, 4.0]]}
    assert told["silence"] == {"spans": [[0.0, 1.0], [4.0, 5.0]], "more": 0, "total_s": 2.0}
    assert told["offscreen"]["spans"] == []


def test_what_is_heard_and_not_seen_is_no_silence() -> None:
    told = story_of(heard(0), heard(1, offscreen=True), heard(2, offscreen=True), heard(3, "dog"))
    assert told["offscreen"] == {"spans": [[1.0, 3.0]], "more": 0, "total_s": 2.0}
    assert told["silence"]["spans"] == [[0.0, 1.0]]


def test_windows_that_overlap_count_once() -> None:
    told = story_of(*(heard(t_s, "dog") for t_s in (0, 0.5, 1.0, 4.0, 4.5)))
    assert told["named"] == [["dog", {"spans": [[0.0, 2.0], [4.0, 5.5]], "more": 0, "total_s": 3.5}]]


def test_two_of_one_name_count_once_and_what_has_no_name_counts() -> None:
    told = story_of(heard(0, "dog", "dog", None))
    assert spans(told) == {"dog": [[0.0, 1.0]], UNNAMED: [[0.0, 1.0]]}
    assert all(times["total_s"] == 1.0 for _, times in told["named"])


def test_a_stream_whose_time_goes_back_goes_on_being_told() -> None:
    told = story_of(heard(100, "dog"), heard(3, "dog", generation=1), heard(4, "dog", generation=1))
    assert spans(told) == {"dog": [[100.0, 101.0], [3.0, 5.0]]}


def test_what_is_lost_between_two_results_is_no_part_of_a_stretch() -> None:
    assert spans(story_of(heard(0, "dog"), heard(2, "dog"))) == {"dog": [[0.0, 1.0], [2.0, 3.0]]}


def test_of_many_stretches_the_first_are_told_and_all_are_counted() -> None:
    told = story_of(*(heard(2 * number, "dog") for number in range(1000)))
    ((_, dog),) = told["named"]
    assert dog["spans"] == [[2.0 * number, 2.0 * number + 1] for number in range(SPANS_TOLD)]
    assert (dog["more"], dog["total_s"]) == (1000 - SPANS_TOLD, 1000.0)


def test_of_many_names_those_that_sounded_longest_are_told_in_order_of_appearance() -> None:
    names = [f"word {number}" for number in range(NAMES_TOLD + 5)]
    late = [heard(1000 + number, name) for number, name in enumerate(names[5:])]
    told = story_of(*(heard(number, name) for number, name in enumerate(names)), *late)
    assert [name for name, _ in told["named"]] == names[5:]
    assert told["more_names"] == 5


def test_what_sounds_now_is_told_once_by_name_the_surest_first() -> None:
    one = heard(0, "dog", "cat", "dog", None)
    for track, p in zip(one.tracks, (0.4, 0.61234, 0.7, 0.9), strict=True):
        track["labels"] = [{"name": "bird", "p": 0.95}, {"name": track["label"] or "dog", "p": p}]
    assert sounding_now(one) == {
        "named": [["dog", 0.7], ["cat", 0.612], [UNNAMED, None]], "more": 0, "offscreen": False,
        "offscreen_text": None,
    }  # fmt: skip
    assert sounding_now(heard(0)) == {"named": [], "more": 0, "offscreen": False, "offscreen_text": None}


def test_what_is_heard_and_not_seen_is_told_by_what_it_is_where_that_is_known() -> None:
    unknown, known = heard(0, offscreen=True), heard(0, offscreen=True, offscreen_text="church bell")
    assert [sounding_now(one)["offscreen"] for one in (unknown, known)] == [True, True]
    assert [sounding_now(one)["offscreen_text"] for one in (unknown, known)] == [None, "church bell"]
    told = [told_offscreen(one) for one in (heard(0, "dog"), unknown, known)]
    assert told == [None, "offscreen sound", "offscreen: church bell"]


def test_the_story_tells_what_was_heard_and_not_seen_where_that_was_known() -> None:
    rows = [("music", 0), ("vehicle", 1), (None, 2), ("music", 3)]
    told = story_of(*(heard(t_s, offscreen=True, offscreen_text=text) for text, t_s in rows), heard(4, "dog"))
    assert told["offscreen"]["spans"] == [[0.0, 4.0]]
    assert [(text, one["spans"]) for text, one in told["unseen"]] == [
        ("music", [[0.0, 1.0], [3.0, 4.0]]), ("vehicle", [[1.0, 2.0]]),
    ]  # fmt: skip
    assert "unseen" not in story_of(heard(0, offscreen=True))
    many = story_of(*(heard(i, offscreen=True, offscreen_text=f"sound {i}") for i in range(UNSEEN_TOLD + 3)))
    assert len(many["unseen"]) == UNSEEN_TOLD


def test_however_many_sound_now_few_are_told() -> None:
    told = sounding_now(heard(0, *(f"name {i}" for i in range(10))))
    assert (len(told["named"]), told["more"]) == (NOW_TOLD, 10 - NOW_TOLD)
