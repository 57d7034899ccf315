"""The log-mel spectrogram of a hop's sound, for eyes: columns of bytes.

Each column is about 1/32 s long and hears the 1/16 s that ends with it, so nothing of the future is needed;
what that reaches into of the hop before is kept from there. Bands share the power between 20 and 8000 Hz
among them, so a column's powers add up to the level of its sound, in dB of full scale as `audio_dbfs` has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from streaming.messages import Preview

NS = 1_000_000_000
BANDS = 64
LOWEST_HZ, HIGHEST_HZ = 20.0, 8000.0
COLUMNS_HZ = 32
MOST_COLUMNS = 255
WINDOW_S = 1 / 16
FLOOR_DBFS = -90.0  # 0; 255 is 0 dB of full scale
JOIN_NS = 2_000_000  # sound that begins so near the end of what was before goes on from it


@dataclass(frozen=True)
class Mel:
    """The columns of one hop.

    levels: (columns, BANDS) uint8, low band first; 0 is FLOOR_DBFS or less, 255 is 0 dB of full scale.
    t_ns: stream time at which the first column begins.
    """

    levels: NDArray[np.uint8]
    t_ns: int
    column_s: float


class MelSpectrogram:
    """The spectrogram of one source, hop by hop."""

    def __init__(self) -> None:
        self._tail = np.zeros(0, np.float32)
        self._end: tuple[int, int, int] = (-1, 0, 0)  # generation, sampling rate, and time of the tail's end

    def columns(self, preview: Preview) -> Mel | None:
        """The columns of the hop that comes next; None for one without sound."""
        samples, rate_hz = len(preview.audio), preview.audio_rate_hz
        if samples == 0:
            return None
        sound = preview.audio.mean(axis=1, dtype=np.float32) / np.float32(32768)
        count = min(MOST_COLUMNS, max(1, round(samples * COLUMNS_HZ / rate_hz)))
        reach = max(1, round(WINDOW_S * rate_hz))
        heard = np.concatenate([self._before(preview, reach), sound])
        ends = np.round(np.arange(1, count + 1) * samples / count).astype(int)
        spans = np.stack([heard[end : end + reach] for end in ends])
        self._tail = heard[-reach:]
        end_ns = preview.t_ns + samples * NS // rate_hz
        self._end = preview.generation, rate_hz, end_ns
        return Mel(_levels(spans, rate_hz), preview.t_ns, samples / rate_hz / count)

    def _before(self, preview: Preview, reach: int) -> NDArray[np.float32]:
        """What was heard right before the hop, `reach` samples; silence where nothing was."""
        generation, rate_hz, end_ns = self._end
        goes_on = (generation, rate_hz) == (preview.generation, preview.audio_rate_hz)
        if goes_on and abs(preview.t_ns - end_ns) <= JOIN_NS:
            return self._tail
        return np.zeros(reach, np.float32)


def _levels(spans: NDArray[np.float32], rate_hz: int) -> NDArray[np.uint8]:
    """Levels (columns, BANDS) of windows (columns, samples)."""
    window, filters = _window(spans.shape[1]), _filters(spans.shape[1], rate_hz)
    size = _fft_size(spans.shape[1])
    spectrum = np.abs(np.fft.rfft(spans * window, size)) ** 2  # (columns, size / 2 + 1)
    # By Parseval, so that all bands together have the mean square of the samples.
    power = spectrum @ filters / (size * float(np.sum(window**2)))  # (columns, BANDS)
    dbfs = 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DBFS / 10)))
    return np.clip(np.round((dbfs - FLOOR_DBFS) * (255 / -FLOOR_DBFS)), 0, 255).astype(np.uint8)


def _fft_size(samples: int) -> int:
    """The next power of two."""
    return 1 << max(1, samples - 1).bit_length()


@lru_cache(maxsize=8)
def _window(samples: int) -> NDArray[np.float32]:
    """Hann's, periodic."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(samples) + 0.5) / samples)).astype(np.float32)


@lru_cache(maxsize=8)
def _filters(samples: int, rate_hz: int) -> NDArray[np.float64]:
    """What of each bin of a spectrum belongs to each band, (size / 2 + 1, BANDS).

    Neighbouring triangles add up to one, and the two outermost bands have flat shoulders, so that no power
    between the lowest and the highest frequency is lost; each bin but the first and the last counts for its
    mirror image, too.
    """
    size = _fft_size(samples)
    hz = np.arange(size // 2 + 1) * rate_hz / size
    mel = 2595 * np.log10(1 + hz / 700)
    low, high = 2595 * np.log10(1 + np.array([LOWEST_HZ, HIGHEST_HZ]) / 700)
    place = np.clip((mel - low) / (high - low) * BANDS - 0.5, 0, BANDS - 1)  # of each bin, in bands
    filters = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(BANDS)))
    filters[(hz < LOWEST_HZ) | (hz > HIGHEST_HZ)] = 0
    filters[1:-1] *= 2
    return filters
