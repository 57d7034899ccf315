"""What waits is bounded and in order, and an old state never comes behind a new one."""

from __future__ import annotations

from streaming.outputs.outbox import Letter, Outbox


def event(number: int) -> Letter:
    return Letter("events", b"%d" % number)


def state(number: int, topic: str = "state") -> Letter:
    return Letter(topic, b"%d" % number, lasting=True)


def emptied(outbox: Outbox) -> list[tuple[str, int]]:
    letters = iter(outbox.take, None)
    return [(letter.topic, int(letter.payload)) for letter in letters]


def test_letters_come_out_in_the_order_they_went_in() -> None:
    outbox = Outbox(10)
    for letter in (event(1), state(2), event(3)):
        outbox.put(letter)
    assert len(outbox) == 3
    assert emptied(outbox) == [("events", 1), ("state", 2), ("events", 3)]
    assert (outbox.take(), len(outbox), outbox.dropped) == (None, 0, 0)


def test_of_what_lasts_the_newest_is_kept_behind_what_led_to_it() -> None:
    outbox = Outbox(10)
    for letter in (event(1), state(1), event(2), state(2), state(1, "other")):
        outbox.put(letter)
    assert emptied(outbox) == [("events", 1), ("events", 2), ("state", 2), ("other", 1)]
    assert outbox.dropped == 0


def test_the_oldest_events_make_room_and_are_counted() -> None:
    outbox = Outbox(3)
    outbox.put(state(0))
    for number in range(10):
        outbox.put(event(number))
    assert outbox.dropped == 7
    assert emptied(outbox) == [("state", 0), ("events", 7), ("events", 8), ("events", 9)]
    for number in range(3):
        outbox.put(event(number))
    assert (outbox.dropped, len(outbox)) == (7, 3)


def test_a_letter_may_go_before_the_others() -> None:
    outbox = Outbox(3)
    outbox.put(event(1))
    outbox.put(state(1))
    outbox.put(state(2, "status"), first=True)
    outbox.put(state(2), first=True)
    assert emptied(outbox) == [("state", 2), ("status", 2), ("events", 1)]
