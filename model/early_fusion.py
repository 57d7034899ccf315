"""Audio-visual early fusion (Section 3.3, Eq. 1 and 2): sound and picture meet before anything is decoded.

The maps of strides 32, 16 and 8 are projected to one width and laid out as one sequence. The snippet's
audio token attends to the pixels (Eq. 1), and the pixels attend to the audio token (Eq. 2).

As published, each side is layer-normalised first, both directions share one attention matrix, a learnt gate
scales what is added, and it is added to the *normalised* input. And since a snippet has a single audio
token, the softmax of Eq. 2 runs over one key and is always 1: every pixel receives the same vector.

`similarity`, which is not the paper's, puts in the place of that 1 how probable it is that the pixel shows
what is heard (`alignment.py`): sound reaches the pixels it may come from.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.options import LocaliserOptions

LOGIT_LIMIT = 50_000.0


class BiAttention(nn.Module):
    """Cross-attention both ways of one audio token (B, A) and pixels (B, P, C); returns both, updated."""

    def __init__(self, visual: int, audio: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (inner // heads) ** -0.5
        self.norm_visual = nn.LayerNorm(visual)
        self.norm_audio = nn.LayerNorm(audio)
        self.visual_query = nn.Linear(visual, inner)
        self.audio_key = nn.Linear(audio, inner)
        self.visual_value = nn.Linear(visual, inner)
        self.audio_value = nn.Linear(audio, inner)
        self.visual_out = nn.Linear(inner, visual)
        self.audio_out = nn.Linear(inner, audio)
        self.gate_visual = nn.Parameter(torch.full((visual,), 1 / 6))
        self.gate_audio = nn.Parameter(torch.full((audio,), 1 / 6))

    def forward(self, pixels: Tensor, audio: Tensor, fits: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`fits` (B, P), 0 to 1, is how much of the sound each pixel takes in Eq. 2; without, all of it."""
        pixels, audio = self.norm_visual(pixels), self.norm_audio(audio)
        heard = self.attend_to_pixels(pixels, audio)
        told = (self.gate_visual * self.visual_out(self.audio_value(audio)))[:, None]
        if fits is not None:
            told = told * fits[..., None]
        return pixels + told, audio + self.gate_audio * heard

    def attend_to_pixels(self, pixels: Tensor, audio: Tensor) -> Tensor:
        """Eq. 1: (B, P, C), (B, A) -> (B, A).

        With a single query the projections of the pixels can be moved to its side: the logits are pixels @
        (Wq' k), and the values are projected after they have been averaged. The same function, without a
        pass of P x C x inner.
        """
        wq, bq = self._per_head(self.visual_query)
        wv, bv = self._per_head(self.visual_value)
        key = self.audio_key(audio).float().unflatten(-1, (self.heads, -1)) * self.scale  # (B, heads, d)
        seen_from = pixels.float()
        logits = torch.einsum("bpc,bhc->bhp", seen_from, torch.einsum("hdc,bhd->bhc", wq, key))
        logits = (logits + torch.einsum("hd,bhd->bh", bq, key)[..., None]).clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
        seen = torch.einsum("bhp,bpc->bhc", logits.softmax(dim=-1), seen_from)
        values = torch.einsum("hdc,bhc->bhd", wv, seen) + bv
        return self.audio_out(values.flatten(1).to(pixels.dtype))

    def _per_head(self, layer: nn.Linear) -> tuple[Tensor, Tensor]:
        """Weight (heads, d, C) and bias (heads, d), in float32: thousands of logits want the digits."""
        shape = (self.heads, -1)
        return layer.weight.float().unflatten(0, shape), layer.bias.float().unflatten(0, shape)


class Add(nn.Module):
    """The one-way baseline of Table 3: the audio embedding, projected, is added to every pixel."""

    def __init__(self, visual: int, audio: int) -> None:
        super().__init__()
        self.projection = nn.Linear(audio, visual)

    def forward(self, pixels: Tensor, audio: Tensor, fits: None = None) -> tuple[Tensor, Tensor]:
        return pixels + self.projection(audio)[:, None], audio


class EarlyFusion(nn.Module):
    """Maps [res5, res4, res3] and audio (B, A) to a fused sequence (B, P, C) and fused audio (B, A).

    With `similarity`, also told is `fits` (B, H / 8, W / 8): how well each place fits what is heard.
    """

    def __init__(self, widths: list[int], options: LocaliserOptions) -> None:
        super().__init__()
        c = options.channels
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, c, 1), nn.GroupNorm(32, c)) for width in widths
        )
        self.multi_level = options.fusion_levels == "multi"
        match options.fusion:
            case "bi-attention" | "similarity":
                self.exchange: nn.Module | None = BiAttention(
                    c, options.audio_channels, options.fusion_channels, options.heads
                )
            case "add":
                self.exchange = Add(c, options.audio_channels)
            case "none":
                self.exchange = None

    def forward(self, maps: list[Tensor], audio: Tensor, fits: Tensor | None = None) -> tuple[Tensor, Tensor]:
        levels = [
            project(x).flatten(2).transpose(1, 2) for project, x in zip(self.projections, maps, strict=True)
        ]
        shares = None
        if fits is not None:
            shares = [F.adaptive_avg_pool2d(fits, (x.shape[-2], x.shape[-1])).flatten(1) for x in maps]
        if self.exchange is None:
            return torch.cat(levels, dim=1), audio
        if self.multi_level:
            share = None if shares is None else torch.cat(shares, dim=1)
            return self.exchange(torch.cat(levels, dim=1), audio, share)
        # Table 3 without multi-level: sound meets the strongest semantics only, the map of stride 32.
        coarse, audio = self.exchange(levels[0], audio, None if shares is None else shares[0])
        return torch.cat([coarse, *levels[1:]], dim=1), audio
