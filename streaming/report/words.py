"""Times, lengths and counts as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


def clock_text(t_s: float, *, tenths: bool = False) -> str:
    """A moment of the stream: `0:07`, `1:02:03`, with tenths `0:07.5`."""
    sign, total = ("-", -t_s) if t_s < 0 else ("", t_s)
    units = round(total * 10) if tenths else int(total + 1e-6) * 10
    seconds, tenth = divmod(units, 10)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    rest = f".{tenth}" if tenths and tenth else ""
    return (
        f"{sign}{hours}:{minutes:02d}:{seconds:02d}{rest}"
        if hours
        else f"{sign}{minutes}:{seconds:02d}{rest}"
    )


def length_text(length_s: float) -> str:
    """How long something lasted: `7 s`, `2 min 5 s`, `3 h 20 min`."""
    if length_s < 60:
        return f"{length_s:.1f} s".replace(".0 s", " s")
    minutes, seconds = divmod(round(length_s), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"


def spans_text(spans: Sequence[tuple[float, float]], more: int = 0, *, tenths: bool = False) -> str:
    """Stretches in seconds: `0:01 to 0:04, 0:18 to 0:20 and 3 more`."""
    told = ", ".join(
        f"{clock_text(start, tenths=tenths)} to {clock_text(end, tenths=tenths)}" for start, end in spans
    )
    return f"{told} and {more:,} more" if more else told


def counted(count: int, one: str, many: str = "") -> str:
    """`1 result`, `20 results`, `100,000 results`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def share_text(p: float) -> str:
    """A probability in per cent; what is small is not zero."""
    if 0 < p < 0.01:
        return "below 1 %"
    return f"{100 * p:.0f} %"


def moment_text(iso: str) -> str:
    """A moment of the wall clock: `1 March 2026, 12:00:05 UTC`; what is none comes back as it is."""
    try:
        at = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{at.day} {at:%B %Y, %H:%M:%S} UTC"
