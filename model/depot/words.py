"""Sizes as people read them."""

from __future__ import annotations


def size(count: int) -> str:
    """
    >>> size(2_780_051), size(999), size(5 << 30)
    ('2.7 MiB', '999 bytes', '5.0 GiB')
    """
    if count < 1 << 10:
        return f"{count} bytes"
    for unit, shift in (("KiB", 10), ("MiB", 20)):
        if count < 1 << (shift + 10):
            return f"{count / (1 << shift):.1f} {unit}"
    return f"{count / (1 << 30):.1f} GiB"
