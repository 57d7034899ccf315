"""From decoded pictures and sound to messages, wherever they come from: what all sources have in common."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np

from streaming.clock import Clock
from streaming.messages import Preview, Snippet
from streaming.snippets import SAMPLE_RATE_HZ, SnippetCutter, Strip, Window
from streaming.sources.base import PreviewSettings, preview_of, snippet_of
from streaming.sources.picture_times import Thinner
from streaming.sources.pictures import JpegEncoder, display_size, upright
from streaming.sources.sound import Resampler

Cut = Window[av.VideoFrame] | Strip

MAX_PREVIEW_RATE_HZ = 48_000


class Ready(NamedTuple):
    """A cut, and the picture (H, W, 3) of its window; None for a strip alone."""

    cut: Cut
    picture: np.ndarray | None


class Cutting:
    """The material of one source, cut and made into messages.

    has_sound: whether sound is to be waited for.
    sound_format: rate in Hz and channels of the sound as it comes.
    preview: how previews are made; None for none.
    origin_ns: where the grid begins; None for where the first thing is.
    generation, seq: number of the first one, and of the first snippet.
    patience_s: how long one track waits for the other.

    Attributes:
        cutter: told of losses and ends by whoever decodes.
        aspect: width of a pixel by its height, as long as pictures have it.
        size: (width, height) of the newest picture.

    Raises `UserError` for a hop that does not divide the second.
    """

    def __init__(
        self,
        source_id: str,
        *,
        clock: Clock,
        hop_s: float,
        has_sound: bool,
        sound_format: tuple[int, int],
        preview: PreviewSettings | None,
        origin_ns: int | None = None,
        generation: int = 0,
        seq: int = 0,
        patience_s: float = 5.0,
    ) -> None:
        self._source_id, self._clock, self._origin_ns = source_id, clock, origin_ns
        rate_hz, channels = sound_format
        self.strip_format = (min(rate_hz, MAX_PREVIEW_RATE_HZ), min(channels, 2))
        self.cutter: SnippetCutter[av.VideoFrame] = SnippetCutter(
            hop_s,
            has_sound=has_sound,
            origin_ns=origin_ns,
            strip=self.strip_format if preview else None,
            generation=generation,
            seq=seq,
            patience_s=patience_s,
        )
        self.aspect = Fraction(1)
        self.size = (1, 1)
        self._frame_size: tuple[int, int] | None = None  # (height, width) of the last picture that was cut
        self._lanes = [(Resampler("flt", "mono", SAMPLE_RATE_HZ), self.cutter.sound)]
        if preview:
            layout = "mono" if channels == 1 else "stereo"
            self._lanes.append((Resampler("s16", layout, self.strip_format[0]), self.cutter.strip_sound))
        self._thinner = Thinner(preview.max_fps) if preview else None
        self._jpeg = JpegEncoder(preview or PreviewSettings())
        self._busy_ns = 0

    def picture(self, t_ns: int, frame: av.VideoFrame, *, dur_ns: int = 0) -> list[Cut]:
        """The cuts that become complete with a picture shown from t_ns on."""
        begun_ns = self._clock.monotonic_ns()
        self.size = (frame.width, frame.height)
        cuts = self.cutter.picture(t_ns, frame, dur_ns=dur_ns, thumbnail=self._thumbnail(frame, t_ns))
        self._busy_ns += self._clock.monotonic_ns() - begun_ns
        return cuts

    def sound(self, frame: av.AudioFrame | None, zero_ns: int = 0) -> Iterator[Cut]:
        """The cuts that become complete with this sound, or with what the resamplers still hold (None).

        zero_ns: the frame's own time at which stream time begins.
        """
        for resampler, put in self._lanes:
            for t_ns, samples in resampler.resample(frame):
                yield from put(t_ns - zero_ns, samples)

    def ready(self, cut: Cut) -> Ready:
        """A cut with its picture upright: what takes time is done before it is due."""
        begun_ns = self._clock.monotonic_ns()
        picture = upright(cut.frame, self.aspect) if isinstance(cut, Window) else None
        if picture is not None:
            self._frame_size = (picture.shape[0], picture.shape[1])
        self._busy_ns += self._clock.monotonic_ns() - begun_ns
        return Ready(cut, picture)

    def messages(self, ready: Ready) -> Iterator[Preview | Snippet]:
        """The messages of a cut, stamped as they are taken."""
        cut, picture = ready
        strip = cut if isinstance(cut, Strip) else cut.strip
        if strip is not None:
            yield preview_of(
                strip,
                source=self._source_id,
                audio_rate_hz=self.strip_format[0],
                frame_size=self._frame_size or display_size(*self.size, self.aspect),
                emitted_ns=self._clock.wall_ns(),
            )
        if picture is not None and isinstance(cut, Window):
            busy_ms, self._busy_ns = self._busy_ns / 1e6, 0
            yield snippet_of(
                cut,
                source=self._source_id,
                frame=picture,
                has_audio=self.cutter.has_sound,
                emitted_ns=self._clock.wall_ns(),
                stage_ms={"capture": busy_ms},
            )

    def _thumbnail(self, frame: av.VideoFrame, t_ns: int) -> bytes | None:
        early = self._origin_ns is not None and t_ns < self._origin_ns
        if self._thinner is None or early or not self._thinner.takes(t_ns):
            return None
        return self._jpeg.encode(frame, self.aspect)
