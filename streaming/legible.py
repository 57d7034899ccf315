"""Text of strangers, made fit to be shown: labels, names of devices, what a camera answered."""

from __future__ import annotations

import logging
import unicodedata


def legible(text: str) -> str:
    """The text with a space for every kind of space, and "?" for whatever else cannot be printed.

    So no escape sequence reaches a terminal, nothing moves its cursor or turns its text around, and a line
    stays a line.

    >>> legible("a\\tdog\\x1b[2J")
    'a dog?[2J'
    """
    return "".join(sign if sign.isprintable() else " " if _is_space(sign) else "?" for sign in text)


def _is_space(sign: str) -> bool:
    return sign == "\t" or unicodedata.category(sign) == "Zs"


class LegibleLog(logging.Formatter):
    """Log lines that can be shown, with the tracebacks that belong to them."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(legible, super().format(record).split("\n")))
