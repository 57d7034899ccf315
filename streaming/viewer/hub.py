"""What is known of every source, and who is told of it. For use by one thread: the event loop's."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from streaming.clock import Clock
from streaming.messages import Message, Preview, Result
from streaming.viewer import wire
from streaming.viewer.mel import Mel
from streaming.viewer.standing import standing
from streaming.viewer.wire import Watch

NS = 1_000_000_000
KEPT_S = 30.0  # previews and results, for clips
TIMELINE_S = 120.0
STILL_EVERY_NS = NS // 2  # pictures that the timeline shows
NEAR_NS = 3 * NS // 2  # a picture further from the time asked for is another one
KEPT_BYTES = 256 << 20  # pictures and sound, of all sources together
GRID_FPS = 12.0  # what a page is sent before it says what it wants


class Viewer(Protocol):
    """Somebody who looks: what there is to tell is put here, and never waited for."""

    @property
    def wants(self) -> Watch: ...

    def put(self, frame: str | bytes) -> None: ...

    def put_sound(self, frame: bytes) -> None: ...

    def put_pictures(self, source: str, pictures: Sequence[tuple[int, bytes]], now_ns: int) -> None: ...


@dataclass(frozen=True)
class About:
    """What does not change while a run lasts.

    sources: their ids, in the order of their numbers.
    presets: vocabularies to choose from, by name.
    notice: what a person has to know of the run; "" for nothing.
    """

    sources: tuple[str, ...]
    hop_s: float
    model: str = ""
    presets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notice: str = ""


class Kept:
    """What is kept of one source: half a minute of everything, two minutes of the timeline."""

    def __init__(self, hop_s: float, room_bytes: int) -> None:
        self.results: deque[Result] = deque(maxlen=round(KEPT_S / hop_s))
        self.hops: deque[dict[str, Any]] = deque(maxlen=round(TIMELINE_S / hop_s))
        self.mels: deque[bytes] = deque(maxlen=round(TIMELINE_S / hop_s))  # as they were sent
        self._previews: deque[Preview] = deque(maxlen=round(KEPT_S / hop_s))
        self._stills: deque[tuple[int, int, bytes]] = deque(
            maxlen=round(TIMELINE_S / max(hop_s, STILL_EVERY_NS / NS))
        )
        self._newest = (-1, -1)
        self._room_bytes = room_bytes

    def add_preview(self, preview: Preview) -> None:
        self._previews.append(preview)
        while sum(map(_size, self._previews)) > self._room_bytes and len(self._previews) > 1:
            self._previews.popleft()
        generation, t_ns, _ = self._stills[-1] if self._stills else (-1, 0, b"")
        if preview.jpegs and (
            generation != preview.generation or preview.frame_t_ns[-1] - t_ns >= STILL_EVERY_NS
        ):
            self._stills.append((preview.generation, preview.frame_t_ns[-1], bytes(preview.jpegs[-1])))

    def add_result(self, result: Result) -> bool:
        """Whether it is news: one that is no newer than those before was told already."""
        place = result.generation, result.seq
        if place <= self._newest:
            return False
        self._newest = place
        self.results.append(result)
        self.hops.append(wire.hop(result))
        return True

    def still(self, generation: int, t_ns: int) -> bytes | None:
        """The JPEG nearest to a time; None when there is none near it any more."""
        pictures = [
            (abs(frame_ns - t_ns), jpeg)
            for hop in self._previews
            if hop.generation == generation
            for frame_ns, jpeg in zip(hop.frame_t_ns, hop.jpegs, strict=True)
        ]
        pictures += [(abs(at - t_ns), jpeg) for of, at, jpeg in self._stills if of == generation]
        away_ns, jpeg = min(pictures, key=lambda one: one[0], default=(NEAR_NS + 1, b""))
        return bytes(jpeg) if away_ns <= NEAR_NS else None

    def last(self, seconds: float) -> tuple[list[Preview], list[Result]]:
        """Previews of the last seconds, as far as they are kept, and their results."""
        previews: list[Preview] = []
        left_ns = round(seconds * NS)
        for preview in reversed(self._previews):
            if left_ns <= 0:
                break
            previews.insert(0, preview)
            left_ns -= preview.dur_ns
        places = {(one.generation, one.seq) for one in previews}
        return previews, [one for one in self.results if (one.generation, one.seq) in places]


class Hub:
    """Takes in what comes of the run, keeps what viewers may ask for, and tells every viewer.

    Args:
        words: the vocabulary that the run begins with, as far as is known here.
    """

    def __init__(self, about: About, words: Sequence[str], clock: Clock) -> None:
        self.about = about
        self.viewers: set[Viewer] = set()
        self.revision, self.words = 1, list(words)
        self.seen: Counter[str] = Counter()  # in how many results something was called so
        self.stands = standing({}, about.sources)
        self.again: str | None = None  # what tells that the run is over and its end is played again
        self._clock = clock
        room_bytes = KEPT_BYTES // max(1, len(about.sources))
        self.kept = {name: Kept(about.hop_s, room_bytes) for name in about.sources}
        self._number = {name: number for number, name in enumerate(about.sources)}
        self._seen_told = 0

    def first_wants(self) -> Watch:
        """What a viewer is sent before it has said what it wants."""
        return Watch(frozenset(self.about.sources), GRID_FPS, None)

    def join(self, viewer: Viewer) -> None:
        """Tell a viewer what it missed, and from now on what comes."""
        about = self.about
        viewer.put(
            wire.text(
                type="hello",
                v=wire.VERSION,
                sources=[{"id": name, "number": number} for name, number in self._number.items()],
                hop_s=about.hop_s,
                window_s=1.0,
                vocabulary={"revision": self.revision, "words": self.words},
                presets=[{"name": name, "words": list(words)} for name, words in about.presets.items()],
                model=about.model,
                notice=about.notice,
            )
        )
        for name, kept in self.kept.items():
            viewer.put(wire.text(type="history", source=name, hops=list(kept.hops)))
            for frame in kept.mels:
                viewer.put(frame)
        self.viewers.add(viewer)
        if self.again is not None:
            viewer.put(self.again)
        viewer.put(self._status())
        viewer.put(self._vocabulary())

    def leave(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)

    def take(self, message: Message, mel: Mel | None = None) -> None:
        """A message that was broadcast; `mel`, the spectrogram of a preview. One of no source known here is
        passed over."""
        if message.source not in self.kept:
            return
        if isinstance(message, Result):
            self._take_result(message)
        elif isinstance(message, Preview):
            self._take_preview(message, mel)

    def remember(self, result: Result) -> None:
        """A result of before this hub was there."""
        kept = self.kept.get(result.source)
        if kept is not None and kept.add_result(result):
            self._note_seen(result)

    def play_again(self, reason: str, seconds: float) -> None:
        """The run is over. What is taken in from now on are its last seconds, once more."""
        self.again = wire.text(type="again", reason=reason, seconds=seconds)
        self.tell(self.again)

    def tell(self, frame: str | bytes) -> None:
        """Tell everybody."""
        for viewer in list(self.viewers):
            viewer.put(frame)

    def use_vocabulary(self, revision: int, words: Sequence[str]) -> None:
        """The vocabulary is this one now."""
        if (revision, list(words)) == (self.revision, self.words):
            return
        self.revision, self.words = revision, list(words)
        known = set(words)
        self.seen = Counter({name: count for name, count in self.seen.items() if name in known})
        self.tell(self._vocabulary())

    def tell_seen(self) -> None:
        """Tell how often each word was seen, if that has changed."""
        if self.seen.total() != self._seen_told:
            self._seen_told = self.seen.total()
            self.tell(self._vocabulary())

    def stand(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        """How the run is, as the answer to the request `status` has it."""
        self.stands = standing(told, self.about.sources)

    def tell_status(self) -> None:
        """Tell everybody how the run is, as far as that is known."""
        self.tell(self._status())

    def status(self) -> dict[str, Any]:
        """How the run was a moment ago."""
        return {**self.stands, "viewers": len(self.viewers)}

    def _status(self) -> str:
        return wire.text(type="status", **self.status())

    def _vocabulary(self) -> str:
        return wire.text(type="vocabulary", revision=self.revision, words=self.words, seen=dict(self.seen))

    def _take_result(self, result: Result) -> None:
        if not self.kept[result.source].add_result(result):
            return
        if self.again is None:
            self._note_seen(result)
        self.tell(wire.result(result, (self._clock.wall_ns() - result.emitted_ns) / 1e6))

    def _note_seen(self, result: Result) -> None:
        self.seen.update({track["label"] for track in result.tracks if track["label"] is not None})

    def _take_preview(self, preview: Preview, mel: Mel | None) -> None:
        source, number, now_ns = preview.source, self._number[preview.source], self._clock.monotonic_ns()
        self.kept[source].add_preview(preview)
        if mel is not None:
            frame = wire.mel(number, preview.generation, mel)
            self.kept[source].mels.append(frame)
            self.tell(frame)
        if listening := [one for one in self.viewers if one.wants.sound == source and len(preview.audio)]:
            frame = wire.sound(number, preview)
            for viewer in listening:
                viewer.put_sound(frame)
        if looking := [one for one in self.viewers if source in one.wants.sources]:
            pictures = [
                (t_ns, wire.picture(number, preview, index)) for index, t_ns in enumerate(preview.frame_t_ns)
            ]
            for viewer in looking:
                viewer.put_pictures(source, pictures, now_ns)


def _size(preview: Preview) -> int:
    return sum(map(len, preview.jpegs)) + preview.audio.nbytes
