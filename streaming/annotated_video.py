"""The source's moving picture and sound with the answers drawn in: `annotated.mp4`.

Picture and sound of a hop (`Preview`) come long before the answer about it (`Result`), so they wait, as JPEG,
until it is there. What sounds in a hop is said by the result of its own snippet; where it is, by whichever of
that result and the one before it saw the object nearest in time.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from model.level import SILENCE_DBFS
from model.rle import decode_mask
from streaming.errors import UserError
from streaming.film_times import Stretch, note
from streaming.messages import Message, Preview, Result
from streaming.mp4 import Mp4Writer
from streaming.overlay import DrawnTrack, Layer, compose, draw_strip
from streaming.overlay.layer import Picture
from streaming.story import told_offscreen

NS = 1_000_000_000
SOUND_SLACK_S = 0.001
METER_SPAN_S = 0.08
METER_FALL_DB_PER_S = 40.0

Place = tuple[int, int]
"""Generation and number of a snippet: the order of the stream."""


class AnnotatedVideo:
    """Writes the annotated video of one source from its previews and results, in whatever order they come.

    A hop whose result was dropped is written bare as soon as a later result shows that, or when too much
    waits; what is left when the stream ends shows the last masks. A new generation goes on right behind the
    old one: the time for which a source was lost is not in the video. Pictures of another size than the first
    are letterboxed. A source without sound gives a video without a sound track, one without pictures none.

    Args:
        notice: a caption in every picture.
        times: a file that is told where in the film each stretch of the stream begins (`film_times.py`).
        waiting_limit: how many hops may wait for their results.
        waiting_bytes: how many bytes of JPEG and sound may wait.

    Attributes:
        pictures: how many pictures have been written.
        bare_hops: how many hops were written without the result that they waited for.
        damaged: how many JPEGs could not be decoded.

    Raises:
        UserError: from any method, once, when the file cannot be written; calls after that do nothing, so
            that the run and its other files go on.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        notice: str = "",
        times: Path | None = None,
        waiting_limit: int = 120,
        waiting_bytes: int = 256 << 20,
    ) -> None:
        self.path = Path(path)
        self.pictures = self.bare_hops = self.damaged = 0
        self._notice = notice
        self._times = times
        self._untold: list[Stretch] = []  # stretches that the file does not have yet
        self._told = False
        self._waiting_limit = waiting_limit
        self._waiting_bytes = waiting_bytes
        self._waiting: deque[Preview] = deque()
        self._results: dict[Place, Result] = {}
        self._newest_preview: Place = (-1, -1)
        self._newest_result: Place = (-1, -1)
        self._seen: _Sighting | None = None
        self._early: list[tuple[Preview, Fraction]] = []
        self._timeline = _Timeline()
        self._meter = _Meter()
        self._canvas = (0, 0)
        self._writer: Mp4Writer | None = None
        self._done = False

    def add_preview(self, preview: Preview) -> None:
        """Takes the picture and sound of a hop; one that is not newer than those before is left out."""
        if self._done or _place(preview) <= self._newest_preview:
            return
        self._newest_preview = _place(preview)
        self._waiting.append(preview)
        self._write_ready()

    def add_result(self, result: Result) -> None:
        """Takes the result of a snippet."""
        if self._done:
            return
        self._newest_result = max(self._newest_result, _place(result))
        self._results[_place(result)] = result
        if len(self._results) > self._waiting_limit:
            del self._results[min(self._results)]
        self._write_ready()

    def close(self) -> None:
        """Writes what waits and finishes the file; a second call does nothing."""
        while self._waiting:
            self._write_hop(last=_place(self._waiting[0]) > self._newest_result)
        if self._writer is not None and not self._done:
            self._done = True
            self._writer.close(self._timeline.end_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _write_ready(self) -> None:
        while self._waiting and (_place(self._waiting[0]) <= self._newest_result or self._too_much_waits()):
            self._write_hop()

    def _too_much_waits(self) -> bool:
        held = sum(sum(map(len, hop.jpegs)) + hop.audio.nbytes for hop in self._waiting)
        return len(self._waiting) > self._waiting_limit or held > self._waiting_bytes

    def _write_hop(self, *, last: bool = False) -> None:
        """Writes the hop that has waited longest; one beyond the last result takes that one's masks."""
        hop = self._waiting.popleft()
        result = self._results.get(_place(hop))
        self._results = {place: kept for place, kept in self._results.items() if place > _place(hop)}
        try:
            self._write(hop, result, last)
        except UserError:
            self._done = True
            self._waiting.clear()
            self._results.clear()
            if self._writer is not None:
                self._writer.abandon()
            raise

    def _write(self, hop: Preview, result: Result | None, last: bool) -> None:
        begins = hop.generation != self._timeline.generation
        start_s = self._timeline.place(hop)
        if begins:
            self._untold.append(Stretch(hop.generation, hop.t_ns, round(float(start_s), 6)))
        pictures = [
            (picture, t_ns)
            for jpeg, t_ns in zip(hop.jpegs, hop.frame_t_ns, strict=True)
            if (picture := self._decode(jpeg)) is not None
        ]
        if self._writer is None:
            if not pictures:
                self._early.append((hop, start_s))  # its sound is wanted once there is a picture
                return
            self._open(pictures[0][0], hop)
        self._tell_times()
        self._write_sound(hop, start_s)
        scene = self._scene(hop, result, last)
        for picture, t_ns in pictures:
            self._write_picture(picture, t_ns, hop, scene)

    def _decode(self, jpeg: bytes | memoryview) -> Picture | None:
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
        if picture is None:
            self.damaged += 1
            return None
        return np.asarray(picture, np.uint8)

    def _open(self, first: Picture, hop: Preview) -> None:
        height, width = first.shape[:2]
        self._canvas = max(2, height - height % 2), max(2, width - width % 2)
        rates = [one.audio_rate_hz for one in (*(hop for hop, _ in self._early), hop) if len(one.audio)]
        self._writer = Mp4Writer(
            self.path,
            *self._canvas,
            sound_hz=rates[0] if rates else 0,
            channels=hop.audio.shape[1],
        )
        for early, start_s in self._early:
            self._write_sound(early, start_s)
        self._early.clear()

    def _tell_times(self) -> None:
        """With the first picture, so that a film that never begins leaves an earlier one's times alone."""
        if self._times is not None:
            for stretch in self._untold:
                note(self._times, stretch, first=not self._told)
                self._told = True
        self._untold.clear()

    def _write_sound(self, hop: Preview, start_s: Fraction) -> None:
        """Appends the hop's sound; where hops are missing before it, silence keeps its place.

        What of it has been heard before is left out: a source that was opened again may go back a little.
        """
        assert self._writer is not None
        missing = round((start_s - self._timeline.sound_s) * hop.audio_rate_hz)
        audio = hop.audio[max(0, -missing) :] if missing < -SOUND_SLACK_S * hop.audio_rate_hz else hop.audio
        if len(hop.audio) and missing > SOUND_SLACK_S * hop.audio_rate_hz:
            silence = np.zeros((missing, hop.audio.shape[1]), np.int16)
            self._writer.sound(silence, hop.audio_rate_hz)
            self._timeline.sound_s += Fraction(missing, hop.audio_rate_hz)
        self._writer.sound(audio, hop.audio_rate_hz)
        self._timeline.sound_s += Fraction(len(audio), hop.audio_rate_hz)

    def _scene(self, hop: Preview, result: Result | None, last: bool) -> _Scene:
        before = self._seen if self._seen is not None and self._seen.generation == hop.generation else None
        if result is not None:
            self._seen = _Sighting(result, self._canvas)
            return _Scene(self._seen, before, self._canvas, self._notice)
        if last and before is not None:
            return _Scene(before, None, self._canvas, self._notice)
        self.bare_hops += 1
        return _Scene(None, None, self._canvas, self._notice)

    def _write_picture(self, picture: Picture, t_ns: int, hop: Preview, scene: _Scene) -> None:
        assert self._writer is not None
        drawn = scene.layer(t_ns).over(fit(picture, self._canvas))
        level_dbfs = self._meter.level_dbfs(hop, t_ns) if len(hop.audio) else None
        draw_strip(drawn, t_s=t_ns / NS, level_dbfs=level_dbfs)
        self.pictures += self._writer.picture(drawn, self._timeline.at(t_ns))


def fit(image: NDArray[np.uint8], canvas: tuple[int, int]) -> NDArray[np.uint8]:
    """Returns an image, (H, W) or (H, W, 3) uint8, on a canvas of (height, width): scaled to fit, centred.

    An image that is one line or column larger, as an odd one is, loses it instead.
    """
    height, width = image.shape[:2]
    if 0 <= height - canvas[0] <= 1 and 0 <= width - canvas[1] <= 1:
        return np.ascontiguousarray(image[: canvas[0], : canvas[1]])
    scale = min(canvas[0] / height, canvas[1] / width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    scaled = cv2.resize(image, inner[::-1], interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (canvas[0] - inner[0]) // 2, (canvas[1] - inner[1]) // 2
    fitted = np.zeros((*canvas, *image.shape[2:]), np.uint8)
    fitted[top : top + inner[0], left : left + inner[1]] = scaled
    return fitted


class _Sighting:
    """A result with its masks on the canvas."""

    def __init__(self, result: Result, canvas: tuple[int, int]) -> None:
        self.result = result
        self.generation = result.generation
        self.t_ns = result.frame_t_ns
        self.masks = {
            track["id"]: fit(decode_mask(track["mask"]).astype(np.uint8) * np.uint8(255), canvas) > 127
            for track in result.tracks
        }


@dataclass
class _Scene:
    """What is drawn over one hop: layers made when the first picture asks for them."""

    now: _Sighting | None
    before: _Sighting | None
    canvas: tuple[int, int]
    notice: str
    _layers: dict[bool, Layer] = field(default_factory=dict)

    def layer(self, t_ns: int) -> Layer:
        now, before = self.now, self.before
        earlier = now is not None and before is not None and abs(t_ns - before.t_ns) < abs(t_ns - now.t_ns)
        if earlier not in self._layers:
            masks = {} if now is None else now.masks
            if earlier and before is not None:
                masks = masks | before.masks
            self._layers[earlier] = compose(
                [] if now is None else [_drawn(track, masks[track["id"]]) for track in now.result.tracks],
                *self.canvas,
                offscreen=None if now is None else told_offscreen(now.result),
                notice=self.notice,
            )
        return self._layers[earlier]


def _drawn(track: dict, mask: NDArray[np.bool_]) -> DrawnTrack:
    label = track["label"] or f"track {track['id']}"
    p = next((one["p"] for one in track["labels"] if one["name"] == label), None)
    return DrawnTrack(id=track["id"], label=label, p=p, sounding=track["sounding"], mask=mask)


@dataclass
class _Timeline:
    """Where stream time lies in the file: generations follow each other without a pause.

    Attributes:
        end_s: where the picture so far ends.
        sound_s: where the sound so far ends.
        generation: of the newest hop, -1 before the first.
    """

    end_s: Fraction = Fraction(0)
    sound_s: Fraction = Fraction(0)
    generation: int = -1
    _zero_s: Fraction = Fraction(0)

    def place(self, hop: Preview) -> Fraction:
        """Takes a hop in; returns where it starts in the file, in seconds."""
        if hop.generation != self.generation:
            self.generation = hop.generation
            self._zero_s = self.end_s - Fraction(hop.t_ns, NS)
        self.end_s = max(self.end_s, self.at(hop.t_ns + hop.dur_ns))
        return self.at(hop.t_ns)

    def at(self, t_ns: int) -> Fraction:
        """Where a moment of the newest generation lies in the file, in seconds."""
        return self._zero_s + Fraction(t_ns, NS)


class _Meter:
    """A level meter that rises at once and falls slowly, so that the eye can follow."""

    def __init__(self) -> None:
        self._shown_dbfs = SILENCE_DBFS
        self._t_ns = 0

    def level_dbfs(self, hop: Preview, t_ns: int) -> float:
        """The level to show at a moment of the hop."""
        middle = (t_ns - hop.t_ns) * hop.audio_rate_hz // NS
        reach = int(METER_SPAN_S * hop.audio_rate_hz / 2)
        near = hop.audio[max(0, middle - reach) : max(1, middle + reach)].astype(np.float64) / 32768
        power = float(np.mean(near**2)) if near.size else 0.0
        level = 10 * math.log10(max(power, 10 ** (SILENCE_DBFS / 10)))
        fall = METER_FALL_DB_PER_S * abs(t_ns - self._t_ns) / NS
        self._shown_dbfs, self._t_ns = max(level, self._shown_dbfs - fall), t_ns
        return self._shown_dbfs


def _place(message: Message) -> Place:
    return message.generation, message.seq
