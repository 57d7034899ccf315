"""The end of a run is played again: all of it, in order, at its own pace, for whoever comes."""

from __future__ import annotations

from streaming.clock import FakeClock
from streaming.messages import Message, Preview, Result
from streaming.viewer.again import PAUSE_NS, Again
from tests.nodes.samples import NS, preview, result

Place = tuple[str, str, int, int]


def kept(*seqs: int, source: str = "cam", generation: int = 0) -> tuple[list[Preview], list[Result]]:
    """Of a source that gives a hop each second."""
    return (
        [preview(seq, [b"jpeg"], source=source, generation=generation) for seq in seqs],
        [result(seq, source=source, generation=generation) for seq in seqs],
    )


def places(messages: list[Message]) -> list[Place]:
    return [(type(one).__name__, one.source, one.generation, one.seq) for one in messages]


def played(again: Again, clock: FakeClock, seconds: int) -> list[list[Place]]:
    """What is shown in the next seconds, second by second."""
    found = []
    for _ in range(seconds):
        found.append(places(again.due(watched=True)))
        clock.advance(NS)
    return found


def test_hops_come_at_their_pace_and_then_from_the_beginning_in_another_generation() -> None:
    clock = FakeClock()
    again = Again({"cam": kept(4, 5)}, 1.0, 60.0, clock)
    assert again.length_s == 2.0

    def hop(generation: int, seq: int) -> list[Place]:
        return [("Preview", "cam", generation, seq), ("Result", "cam", generation, seq)]

    assert PAUSE_NS == NS
    assert played(again, clock, 7) == [[], hop(1, 4), hop(1, 5), [], hop(2, 4), hop(2, 5), []]


def test_generations_stay_apart() -> None:
    clock = FakeClock()
    (one, two), (three, four) = kept(0, generation=3), kept(0, generation=5)
    again = Again({"cam": (one + three, two + four)}, 1.0, 60.0, clock)
    shown = [place[2] for second in played(again, clock, 7) for place in second]
    assert shown == [6, 6, 8, 8, 9, 9, 11, 11]


def test_all_sources_end_together() -> None:
    clock = FakeClock()
    again = Again({"cam": kept(0, 1), "door": kept(9, source="door")}, 1.0, 60.0, clock)
    shown = [[(place[1], place[3]) for place in second[::2]] for second in played(again, clock, 3)]
    assert shown == [[], [("cam", 0)], [("cam", 1), ("door", 9)]]


def test_who_comes_when_nobody_watched_sees_it_from_the_beginning() -> None:
    clock = FakeClock()
    again = Again({"cam": kept(0, 1, 2)}, 1.0, 60.0, clock)
    played(again, clock, 3)
    assert again.due(watched=False) == []
    clock.advance(NS)
    assert places(again.due(watched=True))[0] == ("Preview", "cam", 2, 0)


def test_results_are_as_fresh_as_they_are_shown() -> None:
    clock = FakeClock()
    again = Again({"cam": kept(0)}, 1.0, 60.0, clock)
    clock.advance(PAUSE_NS)
    assert {one.emitted_ns for one in again.due(watched=True)} == {clock.wall_ns()}


def test_it_is_over_when_nobody_has_watched_for_a_while() -> None:
    clock = FakeClock()
    again = Again({"cam": kept(0)}, 1.0, 3.0, clock)
    for _ in range(5):
        again.due(watched=True)
        clock.advance(NS)
    assert not again.over
    again.due(watched=False)
    clock.advance(2 * NS)
    assert again.over


def test_of_nothing_nothing_is_played() -> None:
    clock = FakeClock()
    again = Again({"cam": ([], [])}, 1.0, 3.0, clock)
    clock.advance(10 * NS)
    assert again.due(watched=True) == []
    assert again.length_s == 0.0
