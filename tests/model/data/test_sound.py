from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.data.sound import read_sound
from model.errors import ModelError
from tests.model.data.laid_out import save_sound

TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8_000) / 16_000)


@pytest.mark.parametrize(
    ("samples", "step"),
    [
        ((TONE * 2**15).astype(np.int16), 2**-15),
        ((TONE * 2**31).astype(np.int32), 2**-24),
        ((TONE * 2**7 + 128).astype(np.uint8), 2**-7),
        (TONE.astype(np.float32), 1e-7),
    ],
    ids=["int16", "int32", "uint8", "float32"],
)
def test_every_kind_of_number_becomes_a_share_of_full_scale(
    tmp_path: Path, samples: np.ndarray, step: float
) -> None:
    save_sound(tmp_path / "a.wav", samples)
    sound = read_sound(tmp_path / "a.wav")
    assert sound.dtype == np.float32
    np.testing.assert_allclose(sound, TONE, atol=step)


def test_channels_are_averaged(tmp_path: Path) -> None:
    save_sound(tmp_path / "a.wav", np.stack((TONE, np.zeros_like(TONE)), axis=1).astype(np.float32))
    np.testing.assert_allclose(read_sound(tmp_path / "a.wav"), TONE / 2, atol=1e-6)


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 8_000])
def test_other_rates_are_resampled(tmp_path: Path, rate_hz: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)
    save_sound(tmp_path / "a.wav", tone.astype(np.float32), rate_hz)
    sound = read_sound(tmp_path / "a.wav")
    assert len(sound) == 16_000
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(sound[1000:-1000], expected[1000:-1000], atol=1e-3)


def test_what_no_lower_rate_can_hold_is_filtered_out(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 11_000 * np.arange(48_000) / 48_000)
    save_sound(tmp_path / "a.wav", tone.astype(np.float32), 48_000)
    assert np.abs(read_sound(tmp_path / "a.wav")[1000:-1000]).max() < 1e-3


def test_what_is_no_sound_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with pytest.raises(ModelError, match=r"a\.wav: not found; expected the clip's sound"):
        read_sound(path)
    path.write_bytes(b"ID3 an mp3")
    with pytest.raises(ModelError, match=r"a\.wav: cannot be read as WAV: .*convert it to 16-bit PCM"):
        read_sound(path)
    save_sound(path, np.zeros(0, np.int16))
    with pytest.raises(ModelError, match=r"a\.wav: holds no sound: found 0 samples at 16000 Hz"):
        read_sound(path)
    save_sound(path, np.array([0, np.nan], np.float32))
    with pytest.raises(ModelError, match=r"a\.wav: found samples that are no numbers"):
        read_sound(path)
    save_sound(path, (TONE * 2**15).astype(np.int16))
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(ModelError, match=r"a\.wav: cannot be read as WAV"):
        read_sound(path)
