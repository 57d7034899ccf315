"""Decoded sound in one format, whatever came in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np

from streaming.sources.base import nanoseconds


class Resampler:
    """Sound in one format, with the stamps of what went in."""

    def __init__(self, sample_format: str, layout: str, rate_hz: int):
        self._format, self._layout, self._rate_hz = sample_format, layout, rate_hz
        self._channels = av.AudioLayout(layout).nb_channels
        self._resampler: av.AudioResampler | None = None
        self._input: tuple[Any, ...] = ()

    def resample(self, frame: av.AudioFrame | None) -> Iterator[tuple[int, np.ndarray]]:
        """(time in ns, samples) of what this frame completes; None flushes.

        Samples: (n,) float32 within [-1, 1] for "flt", (n, channels) int16 for "s16".
        """
        if frame is None:
            yield from self._flush()
            return
        given = (frame.sample_rate, frame.layout.name, frame.format.name, frame.time_base)
        if self._resampler is None or given != self._input:
            yield from self._flush()
            self._input = given
            # FFmpeg keeps a downmix within [-1, 1] only when it writes integers; floats must be told to.
            self._resampler = av.AudioResampler(
                self._format, self._layout, self._rate_hz, options={"rematrix_maxval": "1.0"}
            )
        for resampled in self._resampler.resample(frame):
            yield self._unpacked(resampled)

    def _flush(self) -> Iterator[tuple[int, np.ndarray]]:
        resampler, self._resampler = self._resampler, None
        if resampler is not None:
            for resampled in resampler.resample(None):
                if resampled is not None:
                    yield self._unpacked(resampled)

    def _unpacked(self, frame: av.AudioFrame) -> tuple[int, np.ndarray]:
        samples = frame.to_ndarray().reshape(-1, self._channels)
        if samples.dtype == np.float32:
            samples = np.clip(np.nan_to_num(samples[:, 0]), -1.0, 1.0)
        assert frame.pts is not None, "what went in was stamped"
        return nanoseconds(frame.pts, frame.time_base), samples
