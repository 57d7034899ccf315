"""The audio front end against its definition written out in loops, and the network against plain products."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.checkpoint import StandInWeights
from model.vggish import (
    EXAMPLE_SAMPLES,
    GRID_SAMPLES,
    RATE_HZ,
    GridExamples,
    VGGish,
    clip_examples,
    log_mel,
    mel_triangles,
    second_examples,
)


def noise(seconds: float, seed: int = 0) -> Tensor:
    """Noise whose loudness wanders, so that no two examples are alike."""
    t = torch.arange(int(seconds * RATE_HZ), dtype=torch.float64) / RATE_HZ
    generator = torch.Generator().manual_seed(seed)
    loudness = 0.3 + 0.2 * torch.sin(2 * math.pi * 0.37 * t)
    return (loudness * torch.rand(len(t), generator=generator, dtype=torch.float64) * 2 - loudness).float()


def tone(hz: float, seconds: float = 1.0) -> Tensor:
    return 0.5 * torch.sin(2 * math.pi * hz * torch.arange(int(seconds * RATE_HZ)) / RATE_HZ)


def mel(hz: float) -> float:
    return 1127.0 * math.log(1.0 + hz / 700.0)


def plain_log_mel(wave: np.ndarray) -> np.ndarray:
    """The definition, sample by sample and bin by bin: (samples,) -> (frames, 64)."""
    hann = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / 400) for n in range(400)])
    edges = [mel(125.0) + i * (mel(7500.0) - mel(125.0)) / 65 for i in range(66)]
    rows = []
    for start in range(0, len(wave) - 400 + 1, 160):
        magnitude = np.abs(np.fft.fft(np.pad(wave[start : start + 400] * hann, (0, 112))))
        row = []
        for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False):
            energy = 0.0
            for k in range(1, 257):
                at = mel(k * 16000 / 512)
                if low < at < high:
                    rise, fall = (at - low) / (centre - low), (high - at) / (high - centre)
                    energy += min(rise, fall) * magnitude[k]
            row.append(math.log(energy + 0.01))
        rows.append(row)
    return np.array(rows)


def test_log_mel_is_its_definition() -> None:
    wave = noise(0.1)
    expected = plain_log_mel(wave.double().numpy())
    found = log_mel(wave)
    assert found.dtype == torch.float32
    assert found.shape == expected.shape == (8, 64)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)


def test_silence_is_the_logarithm_of_the_offset_and_constants_are_not_heard() -> None:
    assert torch.equal(log_mel(torch.zeros(800)), torch.full((3, 64), math.log(0.01)))
    assert mel_triangles()[0].abs().sum() == 0


@pytest.mark.parametrize("hz", [200.0, 440.0, 1000.0, 3000.0, 7000.0])
def test_a_tone_is_loudest_in_the_band_around_it(hz: float) -> None:
    band = log_mel(tone(hz)).mean(0).argmax().item()
    width = (mel(7500.0) - mel(125.0)) / 65
    centre = mel(125.0) + (band + 1) * width
    assert abs(centre - mel(hz)) < width


def test_log_mel_takes_any_leading_dimensions() -> None:
    waves = torch.stack((noise(0.2, 1), noise(0.2, 2))).view(1, 2, -1)
    found = log_mel(waves)
    assert found.shape == (1, 2, 18, 64)
    torch.testing.assert_close(found[0, 1], log_mel(waves[0, 1]), rtol=0, atol=1e-6)


def test_a_snippet_hears_the_start_of_its_own_second() -> None:
    wave = noise(2.0)
    found = second_examples(wave.view(2, RATE_HZ))
    assert found.shape == (2, 96, 64)
    later = wave.clone()
    later[EXAMPLE_SAMPLES:RATE_HZ] = 0
    torch.testing.assert_close(second_examples(later[:RATE_HZ]), found[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(found[1], log_mel(wave[RATE_HZ:])[:96], rtol=0, atol=1e-6)


def test_a_clip_is_cut_every_0_96_seconds() -> None:
    wave = noise(5.0)
    found = clip_examples(wave, 5)
    assert found.shape == (5, 96, 64)
    for i in range(5):
        part = wave[i * GRID_SAMPLES : i * GRID_SAMPLES + EXAMPLE_SAMPLES]
        torch.testing.assert_close(found[i], log_mel(part), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "heard"),
    [(0, 0), (399, 0), (15_599, 0), (15_600, 1), (30_959, 1), (30_960, 2), (80_000, 5), (160_000, 5)],
)
def test_examples_that_the_clip_is_too_short_for_are_zero(samples: int, heard: int) -> None:
    found = clip_examples(noise(samples / RATE_HZ), 5)
    assert found.shape == (5, 96, 64)
    assert [bool(example.any()) for example in found] == [i < heard for i in range(5)]


@pytest.mark.parametrize("per_second", [1, 2, 4])
@pytest.mark.parametrize("clip", [1, 3, 5, 10])
def test_a_stream_hears_exactly_the_examples_of_whole_clips(clip: int, per_second: int) -> None:
    clips = 2
    hop = RATE_HZ // per_second
    wave = noise(clips * clip + 1, seed=clip)
    grid = GridExamples(clip, per_second)
    snippets = clips * clip * per_second
    streamed = [grid.example(wave[k * hop : k * hop + RATE_HZ], k) for k in range(snippets)]
    for start in range(per_second):  # the interleaved seconds, each a sequence of clips of its own
        for number in range(clips):
            first = start + number * clip * per_second
            whole = clip_examples(wave[first * hop : first * hop + clip * RATE_HZ], clip)
            own = torch.stack(streamed[first : first + clip * per_second : per_second])
            torch.testing.assert_close(own, whole, rtol=0, atol=1e-6)


def test_a_stream_on_the_clip_grid_differs_from_one_by_seconds() -> None:
    wave = noise(2.0)
    grid = GridExamples(5)
    first, second = (grid.example(x, k) for k, x in enumerate(wave.view(2, RATE_HZ)))
    torch.testing.assert_close(first, second_examples(wave[:RATE_HZ]), rtol=0, atol=1e-6)
    assert not torch.allclose(second, second_examples(wave[RATE_HZ:]), rtol=0, atol=1e-2)


# The network ---------------------------------------------------------------------------------------------


def skeleton() -> VGGish:
    """The network without its 275 MiB of numbers."""
    with torch.device("meta"):
        return VGGish()


def test_has_the_published_entries() -> None:
    vggish = skeleton()
    assert sum(p.numel() for p in vggish.parameters()) == 72_141_184
    entries = {f"features.{i}" for i in (0, 3, 6, 8, 11, 13)} | {f"embeddings.{i}" for i in (0, 2, 4)}
    assert {name.rpartition(".")[0] for name in vggish.state_dict()} == entries


def test_the_convolutions_are_flattened_with_channels_last() -> None:
    vggish = skeleton()
    vggish.features = nn.Sequential(nn.AdaptiveMaxPool2d((6, 4)), nn.Conv2d(1, 512, 1))
    vggish.embeddings = nn.Sequential()
    examples = torch.rand(2, 96, 64, generator=torch.Generator().manual_seed(1))
    maps = vggish.features(examples[:, None])
    found = vggish(examples)
    assert found.shape == (2, 12_288)
    for y, x, channel in ((0, 0, 0), (0, 0, 511), (0, 1, 0), (1, 0, 7), (5, 3, 511)):
        assert torch.equal(found[:, (y * 4 + x) * 512 + channel], maps[:, channel, y, x])


@pytest.mark.slow
def test_whole_network_is_its_chain_of_products() -> None:
    vggish = VGGish()
    StandInWeights(4).fill("audio_encoder", vggish)
    weights = {name: value.double() for name, value in vggish.state_dict().items()}
    examples = clip_examples(noise(2.0), 2)
    x = examples[:, None].double()
    for i, pool in ((0, True), (3, True), (6, False), (8, True), (11, False), (13, True)):
        x = F.conv2d(x, weights[f"features.{i}.weight"], weights[f"features.{i}.bias"], padding=1).relu()
        if pool:
            x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((-1, -2))
    x = x.movedim(1, -1).reshape(2, -1)
    for i in (0, 2, 4):
        x = (x @ weights[f"embeddings.{i}.weight"].T + weights[f"embeddings.{i}.bias"]).clamp(min=0)
    with torch.inference_mode():
        found = vggish(examples)
    assert (found == 0).any()
    assert (found > 0).any()
    assert (found - x).norm() / x.norm() < 1e-5
