"""Nothing that a stranger calls something can do anything to a terminal."""

from __future__ import annotations

import logging
import sys

import pytest

from streaming.legible import LegibleLog, legible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("steam train", "steam train"),
        ("小提琴, Ölofen, [red]dog", "小提琴, Ölofen, [red]dog"),
        ("\x1b[2Jdog\x1b]0;title\x07", "?[2Jdog?]0;title?"),
        ("\x9b2Jdog", "?2Jdog"),  # the same in one character
        ("one\ntwo\rthree\x08", "one?two?three?"),
        ("a\tb\u00a0c\u3000d", "a b c d"),
        ("\u202egod", "?god"),  # would be read from the right
        ("a\ud800b", "a?b"),  # cannot be encoded
    ],
)
def test_what_can_be_printed_stays_and_what_cannot_does_not(text: str, shown: str) -> None:
    assert legible(text) == shown


def test_no_character_at_all_can_be_anything_but_print() -> None:
    every = legible("".join(map(chr, range(sys.maxunicode + 1))))
    assert len(every) == sys.maxunicode + 1
    assert every.isprintable()


def test_a_log_keeps_its_lines_and_nothing_else() -> None:
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "camera: %s", ("a\x1b[2J\nb",), None)
    assert LegibleLog().format(record) == "camera: a?[2J\nb"
