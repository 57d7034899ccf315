"""Audio representation (Section 3.2): log-mel examples and the frozen VGGish network.

VGGish hears 0.975 s at a time. Its front end differs from the usual one in three ways that matter to the
numbers: magnitude instead of power, triangles drawn on the mel axis, and no area normalisation.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RATE_HZ = 16_000
WINDOW = 400  # 25 ms
HOP = 160  # 10 ms
FFT = 512
MELS = 64
MEL_MIN_HZ, MEL_MAX_HZ = 125.0, 7500.0
LOG_OFFSET = 0.01
EXAMPLE_FRAMES = 96  # 0.96 s
EXAMPLE_SAMPLES = WINDOW + (EXAMPLE_FRAMES - 1) * HOP
GRID_SAMPLES = EXAMPLE_FRAMES * HOP  # examples of a whole clip start 0.96 s apart


@cache
def mel_triangles() -> Tensor:
    """(257, 64) float64: triangles that are straight on the HTK mel axis."""

    def mel(hz: Tensor) -> Tensor:
        return 1127.0 * torch.log1p(hz / 700.0)

    bins = mel(torch.linspace(0, RATE_HZ / 2, FFT // 2 + 1, dtype=torch.float64))[:, None]
    first, last = mel(torch.tensor([MEL_MIN_HZ, MEL_MAX_HZ], dtype=torch.float64))
    edges = torch.linspace(float(first), float(last), MELS + 2, dtype=torch.float64)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    return torch.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clamp(min=0)


def log_mel(wave: Tensor) -> Tensor:
    """Log-mel frames of a waveform in [-1, 1]: (..., samples) -> (..., frames, 64) float32, 100 frames a
    second.

    Computed in float64: it costs a millisecond and removes rounding from every later comparison.
    """
    hann = torch.hann_window(WINDOW, periodic=True, dtype=torch.float64)
    magnitude = torch.fft.rfft(wave.double().unfold(-1, WINDOW, HOP) * hann, n=FFT).abs()
    return torch.log(magnitude @ mel_triangles() + LOG_OFFSET).float()


def second_examples(wave: Tensor) -> Tensor:
    """One example per one-second snippet, from its start: (..., 16000) -> (..., 96, 64)."""
    return log_mel(wave[..., :EXAMPLE_SAMPLES])


def clip_examples(wave: Tensor, count: int) -> Tensor:
    """The examples the reference cuts from a whole clip, 0.96 s apart: (samples,) -> (count, 96, 64).

    Where the clip is too short for `count` examples the rest is zero in the log-mel domain, as in the
    reference.
    """
    if wave.shape[-1] < WINDOW:
        return torch.zeros(count, EXAMPLE_FRAMES, MELS)
    frames = log_mel(wave)
    whole = min(count, frames.shape[0] // EXAMPLE_FRAMES)
    examples = frames[: whole * EXAMPLE_FRAMES].reshape(whole, EXAMPLE_FRAMES, MELS)
    return F.pad(examples, (0, 0, 0, 0, 0, count - whole))


class GridExamples:
    """The whole-clip grid, over a stream: every T snippets are a clip, and its examples start 0.96 s apart.

    Snippet i of a clip therefore hears from 0.04 i seconds before its own start, as a model trained on
    whole clips did. The little of the past that takes is kept here. Snippets of one source, in order; with
    `per_second` > 1 the clips of the interleaved seconds run side by side.
    """

    def __init__(self, clip: int, per_second: int = 1) -> None:
        self.clip, self.per_second = clip, per_second
        self._count = 0
        self._last_seq = -1
        self._past = torch.zeros(0)

    def example(self, wave: Tensor, seq: int) -> Tensor:
        """The log-mel example (96, 64) of snippet number `seq`, given its second of sound (16000,).

        Where a number is missing, the sound before is not the one before: a new clip begins.
        """
        if self._count and seq != self._last_seq + 1:
            self._count, self._past = 0, torch.zeros(0)
        self._last_seq = seq
        i = self._count // self.per_second % self.clip
        early = i * (RATE_HZ - GRID_SAMPLES)
        sound = torch.cat((self._past, wave))[-(RATE_HZ + early) :]
        if len(sound) < RATE_HZ + early:
            sound = F.pad(sound, (RATE_HZ + early - len(sound), 0))
        self._count += 1
        self._past = torch.cat((self._past, wave[: RATE_HZ // self.per_second]))[-2 * RATE_HZ :]
        return log_mel(sound[:EXAMPLE_SAMPLES])


class VGGish(nn.Module):
    """Log-mel examples to audio embeddings: (B, 96, 64) -> (B, 128), rectified, without PCA."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for width in (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool"):
            if isinstance(width, str):
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096), nn.ReLU(inplace=True),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True),
            nn.Linear(4096, 128), nn.ReLU(inplace=True),
        )  # fmt: skip

    def forward(self, examples: Tensor) -> Tensor:
        x = self.features(examples[:, None])  # (B, 512, 6, 4)
        # The weights come from a channels-last framework, so the flattening does too.
        return self.embeddings(x.permute(0, 2, 3, 1).flatten(1))
