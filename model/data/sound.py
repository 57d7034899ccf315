"""A clip's sound: mono, 16 kHz, as the reference reads it (whole numbers / full scale, mean of channels)."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.io import wavfile
from torchaudio.functional import resample

from model.data.files import existing
from model.errors import ModelError
from model.vggish import RATE_HZ


def read_sound(path: Path) -> NDArray[np.float32]:
    """Reads a WAV file, shape (samples,) at 16 kHz in [-1, 1].

    Raises:
        ModelError: the file is not there, is no WAV file or holds no sound.
    """
    existing(path, "the clip's sound")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks that are not sound
            rate_hz, samples = wavfile.read(path)
    except (OSError, ValueError, EOFError, struct.error) as error:
        raise ModelError(f"{path}: cannot be read as WAV: {error}; convert it to 16-bit PCM") from error
    if not samples.size or rate_hz <= 0:
        raise ModelError(f"{path}: holds no sound: found {samples.shape[0]} samples at {rate_hz} Hz")
    mono = _as_float(samples).reshape(len(samples), -1).mean(axis=1)
    if not np.isfinite(mono).all():
        raise ModelError(f"{path}: found samples that are no numbers, expected finite ones")
    return at_16_khz(mono, rate_hz)


def at_16_khz(mono: NDArray[np.float64], rate_hz: int) -> NDArray[np.float32]:
    """Resamples (samples,) with the long Kaiser window that the reference's resampler has by default."""
    wave = torch.from_numpy(mono).float()
    if rate_hz != RATE_HZ:
        wave = resample(
            wave,
            rate_hz,
            RATE_HZ,
            lowpass_filter_width=64,
            rolloff=0.9475937167399596,
            resampling_method="sinc_interp_kaiser",
            beta=14.769656459379492,
        )
    return wave.numpy()


def _as_float(samples: NDArray) -> NDArray[np.float64]:
    if samples.dtype == np.uint8:
        return (samples - 128.0) / 128
    if samples.dtype.kind == "i":
        return samples / -float(np.iinfo(samples.dtype).min)
    return samples.astype(np.float64)
