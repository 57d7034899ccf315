"""Spectra for eyes: where a tone is, how loud it is, and that hops join without a seam."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streaming.messages import Preview
from streaming.viewer.mel import BANDS, FLOOR_DBFS, Mel, MelSpectrogram
from tests.nodes.samples import NS, preview


def sounding(wave: np.ndarray, rate_hz: int, **changes: object) -> Preview:
    """A hop with this sound, (samples,) or (samples, channels) in [-1, 1]."""
    samples = np.round(wave * 32767).astype(np.int16)
    audio = samples[:, None] if samples.ndim == 1 else samples
    dur_ns = len(audio) * NS // rate_hz
    return replace(preview(0, [b"x"]), audio=audio, audio_rate_hz=rate_hz, dur_ns=dur_ns, **changes)  # type: ignore[arg-type]


def tone(hz: float, rate_hz: int, seconds: float = 1.0, start_s: float = 0.0) -> np.ndarray:
    times_s = start_s + np.arange(round(seconds * rate_hz)) / rate_hz
    return 0.5 * np.sin(2 * np.pi * hz * times_s)


def mel_of(hop: Preview) -> Mel:
    mel = MelSpectrogram().columns(hop)
    assert mel is not None
    return mel


def dbfs(levels: np.ndarray) -> np.ndarray:
    """All bands of each column together."""
    power = 10 ** ((FLOOR_DBFS + levels.astype(float) * -FLOOR_DBFS / 255) / 10)
    return 10 * np.log10(power.sum(axis=1))


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("hz", [60.0, 440.0, 1000.0, 5000.0])
def test_a_tone_is_in_its_band_at_its_level(rate_hz: int, hz: float) -> None:
    levels = mel_of(sounding(tone(hz, rate_hz), rate_hz)).levels
    assert levels.shape == (32, BANDS)
    low, high = (2595 * np.log10(1 + edge / 700) for edge in (20, 8000))
    expected = (2595 * np.log10(1 + hz / 700) - low) / (high - low) * BANDS - 0.5
    loudest = levels[4:].argmax(axis=1)
    assert (abs(loudest - expected) < 1.5).all()
    # Half of full scale, as a sine: -9 dBFS. What lies under the floor counts as the floor.
    np.testing.assert_allclose(dbfs(levels[4:]), -9.03, atol=0.7)


@pytest.mark.parametrize(
    ("hop_s", "columns"), [(1.0, 32), (0.5, 16), (0.25, 8), (0.2, 6), (0.125, 4), (0.1, 3)]
)
def test_a_hop_has_columns_of_about_a_thirty_second_that_fill_it(hop_s: float, columns: int) -> None:
    mel = mel_of(sounding(tone(440, 48_000, hop_s), 48_000, t_ns=5 * NS))
    assert mel.levels.shape == (columns, BANDS)
    assert mel.column_s * columns == pytest.approx(hop_s)
    assert mel.t_ns == 5 * NS


def test_silence_is_nothing_and_no_sound_has_no_columns() -> None:
    assert mel_of(sounding(np.zeros(8000), 8000)).levels.max() == 0
    assert MelSpectrogram().columns(sounding(np.zeros((0, 2)), 8000)) is None


def test_bands_that_the_sound_cannot_hold_are_empty() -> None:
    levels = mel_of(sounding(np.random.default_rng(0).uniform(-1, 1, 8000), 8000)).levels
    assert levels[:, :40].min() > 60
    assert levels[:, -10:].max() == 0  # above 4 kHz


def test_channels_are_heard_together() -> None:
    both = np.stack([tone(440, 48_000), tone(440, 48_000)], axis=1)
    np.testing.assert_array_equal(
        mel_of(sounding(both, 48_000)).levels, mel_of(sounding(both[:, 0], 48_000)).levels
    )


def test_hops_join_without_a_seam_and_a_gap_does_not() -> None:
    whole = mel_of(sounding(tone(300, 44_100, 2.0), 44_100)).levels
    spectrogram = MelSpectrogram()
    parts = [
        spectrogram.columns(sounding(tone(300, 44_100, 0.5, start_s), 44_100, t_ns=round(start_s * NS)))
        for start_s in (0.0, 0.5, 1.0, 1.5)
    ]
    joined = np.concatenate([part.levels for part in parts if part is not None])
    assert abs(joined.astype(int) - whole).max() <= 1
    after = spectrogram.columns(sounding(tone(300, 44_100, 0.5), 44_100, t_ns=9 * NS))
    assert after is not None
    np.testing.assert_array_equal(after.levels, mel_of(sounding(tone(300, 44_100, 0.5), 44_100)).levels)


def test_a_hop_of_a_single_sample_is_a_column() -> None:
    assert mel_of(sounding(np.ones(1), 8000)).levels.shape == (1, BANDS)
