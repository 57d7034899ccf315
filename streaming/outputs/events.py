"""From results to events: what sounds has appeared, is called otherwise, has fallen silent.

Pure: results in, events out, as dictionaries with the keys of docs/outputs.md. What sounds is a track, or
what is heard and not seen, which has no track and no name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from streaming.messages import Result
from streaming.results import iso_utc, rounded

EVENTS_VERSION = 1

Event = dict[str, Any]
Kind = Literal["appeared", "changed", "silent"]


@dataclass
class _Sound:
    """Something that sounds."""

    since_ns: int  # start of the first window that it sounded in
    until_ns: int  # end of the newest one
    about: dict[str, Any]  # track, label, p, sounding, box: as they were in the newest one


@dataclass
class _Source:
    generation: int = 0
    seq: int | None = None  # of the newest result
    t_ns: int | None = None
    frame_size: list[int] | None = None  # height, width
    last_seq: int | None = None  # of the stream, once its end is known
    sounds: dict[int | None, _Sound] = field(default_factory=dict)  # by track; None is out of sight

    @property
    def over(self) -> bool:
        """Whether the last result has been there."""
        return self.last_seq is not None and (self.seq is None or self.seq >= self.last_seq)


class Events:
    """Follows what sounds, in any number of sources.

    silent_s: what has not sounded for longer than this, in seconds of stream time, has fallen silent; so one
        result that misses a sound is no event.

    All times `wall_ns` are those of telling.
    """

    def __init__(self, silent_s: float = 1.0) -> None:
        self._silent_ns = round(silent_s * 1e9)
        self._sources: dict[str, _Source] = {}

    def add(self, result: Result, wall_ns: int) -> list[Event]:
        """What has happened with this result: what fell silent first, then what appeared or changed."""
        source = self._sources.setdefault(result.source, _Source())
        told = []
        if result.generation != source.generation:
            told = self.silence(result.source, wall_ns)
        source.generation, source.seq, source.t_ns = result.generation, result.seq, result.t_ns
        source.frame_size = list(result.frame_size)

        heard: dict[int | None, dict[str, Any]] = {track["id"]: _about(track) for track in result.tracks}
        if result.offscreen:
            heard[None] = dict.fromkeys(("track", "label", "p", "sounding", "box"))
            if result.offscreen_text:
                heard[None]["text"] = result.offscreen_text
        end_ns = result.t_ns + result.dur_ns
        for id, sound in list(source.sounds.items()):
            if id not in heard and end_ns - sound.until_ns > self._silent_ns:
                told.append(self._silent(result.source, id, wall_ns))
        for id, about in heard.items():
            known = source.sounds.get(id)
            if known is None:
                source.sounds[id] = _Sound(result.t_ns, end_ns, about)
                told.append(_event("appeared", result.source, source, about, result.t_ns, wall_ns))
                continue
            was = known.about["label"]
            known.until_ns, known.about = end_ns, about
            if about["label"] != was:
                event = _event("changed", result.source, source, about, result.t_ns, wall_ns)
                told.append(event | {"was": was})
        return told + (self.silence(result.source, wall_ns) if source.over else [])

    def end(self, name: str, seq: int, wall_ns: int) -> list[Event]:
        """A stream ends whose last result has, or will have, the number before `seq`: then all is silent."""
        source = self._sources.setdefault(name, _Source())
        source.last_seq = seq - 1
        return self.silence(name, wall_ns) if source.over else []

    def silence(self, name: str, wall_ns: int) -> list[Event]:
        """Nothing sounds any more, as far as anybody knows."""
        source = self._sources.setdefault(name, _Source())
        return [self._silent(name, id, wall_ns) for id in list(source.sounds)]

    def state(self, name: str, wall_ns: int) -> dict[str, Any]:
        """What sounds now, for whoever has missed the events."""
        source = self._sources.setdefault(name, _Source())
        unseen = source.sounds.get(None)
        return {
            "v": EVENTS_VERSION,
            "source": name,
            "generation": source.generation,
            "seq": source.seq,
            "t_s": None if source.t_ns is None else _seconds(source.t_ns),
            "wall_time": iso_utc(wall_ns),
            "tracks": [
                sound.about | {"since_s": _seconds(sound.since_ns)}
                for id, sound in source.sounds.items()
                if id is not None
            ],
            "offscreen": unseen is not None,
            **({"offscreen_text": unseen.about["text"]} if unseen and "text" in unseen.about else {}),
            "frame_size": source.frame_size,
        }

    def _silent(self, name: str, id: int | None, wall_ns: int) -> Event:
        source = self._sources[name]
        sound = source.sounds.pop(id)
        event = _event("silent", name, source, sound.about, sound.until_ns, wall_ns)
        return event | {"sounded_s": _seconds(sound.until_ns - sound.since_ns)}


def _event(
    kind: Kind, name: str, source: _Source, about: dict[str, Any], t_ns: int, wall_ns: int
) -> dict[str, Any]:
    return {
        "v": EVENTS_VERSION,
        "event": kind,
        "source": name,
        "generation": source.generation,
        "seq": source.seq,
        "t_s": _seconds(t_ns),
        "wall_time": iso_utc(wall_ns),
        **about,
        "frame_size": source.frame_size,
    }


def _about(track: dict[str, Any]) -> dict[str, Any]:
    """What an event says of a track, rounded as in results.jsonl."""
    label = track["label"]
    p = next((known["p"] for known in track["labels"] if known["name"] == label), None)
    return {
        "track": track["id"],
        "label": label,
        "p": None if p is None else rounded(p, 4),
        "sounding": rounded(track["sounding"], 4),
        "box": [int(side) for side in track["box"]],
    }


def _seconds(t_ns: int) -> float:
    return rounded(t_ns / 1e9, 6)
