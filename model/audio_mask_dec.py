"""AudioMaskDec, the audio-conditioned Transformer decoder (Section 3.3, Figure 3), with its sound and mask
heads.

Learnt object queries read the pixels of all snippets of the window, hear its audio, and say for every object
whether it sounds (Eq. 3) and where it is in each snippet (Eq. 4).

What a snippet contributes does not depend on its place in the window, but for a position code of time that is
linear in the keys. So the decoder is in two parts: `remember` projects a snippet once, and `forward` runs
over any window of remembered snippets. A sliding window pays for the second part only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.layers import MLP, sine_2d, sine_axis
from model.memory import Memory
from model.options import LocaliserOptions
from model.pixel_decoder import Pixels
from model.sound_heads import Meaning, sound_head


@dataclass(frozen=True)
class Sounding:
    """What AudioMaskDec says of a window."""

    sound_logits: Tensor  # (B, N, 2): index 0 sounding, 1 not
    mask_embeddings: Tensor  # (B, N, C): a mask is a dot product of these with the mask features
    queries: Tensor  # (B, N, C): the decoded queries, normalised; who an object is, for tracking
    mask_features: Tensor  # (B, T, C, H / 4, W / 4)
    earlier: list[Sounding]  # the same after each earlier layer, first to last; for training and comparison
    gate_logits: Tensor | None = None  # (B, N, T): sounding in this very snippet; None: as the window does
    object_logits: Tensor | None = None  # (B, N): answers for an object; None: the sound logits say that too

    def of_window(self, place: int) -> Sounding:
        """What it says of one window of the batch, as a batch of one."""

        def one(x: Tensor | None) -> Any:
            return None if x is None else x[place : place + 1]

        return Sounding(
            one(self.sound_logits),
            one(self.mask_embeddings),
            one(self.queries),
            one(self.mask_features),
            [earlier.of_window(place) for earlier in self.earlier],
            one(self.gate_logits),
            one(self.object_logits),
        )

    @property
    def scores(self) -> Tensor:
        """(B, N): probability that the query is a sounding object (Eq. 3)."""
        sounding = self.sound_logits.float().softmax(-1)[..., 0]
        return sounding if self.object_logits is None else sounding * self.object_logits.float().sigmoid()

    @property
    def snippet_scores(self) -> Tensor:
        """(B, N, T): probability that the query sounds in each snippet; the paper has one for all."""
        if self.gate_logits is None:
            return self.scores[..., None].expand(-1, -1, self.mask_features.shape[1])
        return self.scores[..., None] * self.gate_logits.float().sigmoid()

    def mask_logits(self, snippets: slice = slice(None), queries: Tensor | slice = slice(None)) -> Tensor:
        """(B, N', T', H / 4, W / 4): masks of the chosen queries in the chosen snippets (Eq. 4)."""
        return torch.einsum(
            "bnc,btchw->bnthw", self.mask_embeddings[:, queries], self.mask_features[:, snippets]
        )


class Attention(nn.Module):
    """Multi-head attention with a residual and a normalisation after it; keys and values can be prepared."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * channels, channels))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * channels))
        self.out_proj = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def project(self, which: int, x: Tensor) -> Tensor:
        """Query (0), key (1) or value (2) projection of x."""
        rows = slice(which * x.shape[-1], (which + 1) * x.shape[-1])
        return F.linear(x, self.in_proj_weight[rows], self.in_proj_bias[rows])

    def shift_keys(self, x: Tensor) -> Tensor:
        """What adding x to the keys' input adds to the keys."""
        c = x.shape[-1]
        return F.linear(x, self.in_proj_weight[c : 2 * c])

    def forward(
        self, x: Tensor, place: Tensor, keys: Tensor, values: Tensor, allowed: Tensor | None = None
    ) -> Tensor:
        """x: (B, N, C) at position `place`; keys, values: (B, S, C), projected; allowed: (B, N, S) bool."""

        def split(y: Tensor) -> Tensor:
            return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        mask = None if allowed is None else allowed[:, None]
        seen = F.scaled_dot_product_attention(
            split(self.project(0, x + place)), split(keys), split(values), attn_mask=mask
        )
        return self.norm(x + self.out_proj(seen.transpose(1, 2).flatten(2)))

    def attend(self, x: Tensor, place: Tensor, memory: Tensor, memory_place: Tensor) -> Tensor:
        """The same over a memory (B, S, C) that is not prepared; its position goes to the keys only."""
        return self(x, place, self.project(1, memory + memory_place), self.project(2, memory))


class FeedForward(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, hidden)
        self.linear2 = nn.Linear(hidden, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.linear2(F.relu_(self.linear1(x))))


class DecoderLayer(nn.Module):
    """Figure 3: pixels of all snippets, the other objects, the window's audio, a feed-forward network."""

    pixels: Attention
    objects: Attention
    audio: Attention | None
    feed_forward: FeedForward

    def __init__(self, channels: int, heads: int, hidden: int, hears: bool) -> None:
        super().__init__()
        self.pixels = Attention(channels, heads)
        self.objects = Attention(channels, heads)
        self.audio = Attention(channels, heads) if hears else None
        self.feed_forward = FeedForward(channels, hidden)


class AudioMaskDec(nn.Module):
    """Pixels and audio to sounding objects; the learnt audio positions fix T to `options.window`."""

    def __init__(self, options: LocaliserOptions, levels: int = 3) -> None:
        super().__init__()
        c, prompt = options.channels, options.audio_prompt
        self.window, self.levels, self.prompt = options.window, levels, prompt
        self.query_feat = nn.Embedding(options.queries, c)
        self.query_embed = nn.Embedding(options.queries, c)
        self.level_embed = nn.Embedding(levels, c)
        hears = prompt == "audio-mask-dec"
        self.layers = nn.ModuleList(
            DecoderLayer(c, options.heads, options.decoder_ffn, hears) for _ in range(options.decoder_layers)
        )
        self.audio_proj = MLP(options.audio_channels, c, c) if prompt != "none" else None
        self.audio_place = nn.Embedding(options.window, c) if hears or prompt == "cross-attention" else None
        self.audio_into_queries = Attention(c, options.heads) if self.audio_place else None
        self.audio_self = Attention(c, options.heads) if hears else None
        self.audio_concat = nn.Linear(options.window * c, c) if prompt == "concat-add" else None
        self.decoder_norm = nn.LayerNorm(c)
        self.sound_head = sound_head(options)
        self.mask_head = MLP(c, c, c, c)

    def _figure_3(self) -> Iterator[DecoderLayer]:
        return cast("Iterator[DecoderLayer]", iter(self.layers))

    def stretch(self, window: int) -> None:
        """Be for windows of so many snippets, where it was for single ones.

        At first all sounds of a window count alike.

        Raises `ValueError` if it was for more than one.
        """
        if self.window != 1:
            raise ValueError(f"made for {self.window} snippets, expected a decoder for single ones")
        self.window = window
        if self.audio_place is not None:
            places = self.audio_place.weight.detach().repeat(window, 1)
            self.audio_place = nn.Embedding.from_pretrained(places, freeze=False)
        if self.audio_concat is not None:
            shares = self.audio_concat.weight.detach().repeat(1, window) / window
            joined_up = nn.Linear(shares.shape[1], shares.shape[0])
            joined_up.load_state_dict({"weight": shares, "bias": self.audio_concat.bias.detach()})
            self.audio_concat = joined_up

    # Once per snippet ------------------------------------------------------------------------------------

    def remember(self, pixels: Pixels, audio: Tensor, aligned: list[Tensor] | None = None) -> Memory:
        """Project a batch of snippets for every layer that will read them: (B, ...) each."""
        level_features, prepared = [], []
        for level, x in enumerate(pixels.maps):
            h, w = x.shape[-2:]
            memory = x.flatten(2).transpose(1, 2) + self.level_embed.weight[level]
            prepared.append((memory, memory + sine_2d(h, w, x.shape[1], x.device).to(x.dtype)))
            # Bilinear resizing commutes with the dot product of Eq. 4: the masks that only guide attention
            # can be computed at the level's own size.
            small = F.interpolate(pixels.mask_features, (h, w), mode="bilinear", align_corners=False)
            level_features.append(small.flatten(2))
        keys, values = [], []
        for i, layer in enumerate(self._figure_3()):
            memory, placed = prepared[i % self.levels]
            keys.append(layer.pixels.project(1, placed))
            values.append(layer.pixels.project(2, memory))
        return Memory(audio, keys, values, level_features, pixels.mask_features, aligned or [])

    # Once per window -------------------------------------------------------------------------------------

    def forward(self, memory: Memory, with_earlier: bool = False, meaning: Meaning | None = None) -> Sounding:
        """A window (B, T, ...) to its sounding objects; `with_earlier` also keeps each layer's own answer.

        `meaning` is `Alignment.meaning`, where picture and sound are aligned.
        """
        b, t = memory.audio.shape[:2]
        if t != self.window:
            raise ValueError(f"window of {t} snippets, but the model was made for {self.window}")
        place = self.query_embed.weight.expand(b, -1, -1)
        x = self.query_feat.weight.expand(b, -1, -1)
        time = sine_axis(t, x.shape[-1], x.device).to(x.dtype)  # (T, C)

        x, audio, audio_place = self.listen(x, place, memory.audio)
        answers = [self.answer(x)]
        if self.audio_self is not None and audio is not None:
            audio = self.audio_self.attend(audio, audio_place, audio, audio_place)
        for i, layer in enumerate(self._figure_3()):
            keys = memory.keys[i] + layer.pixels.shift_keys(time)[:, None]
            allowed = self.where_to_look(answers[-1][1], memory.level_features[i % self.levels])
            x = layer.pixels(x, place, keys.flatten(1, 2), memory.values[i].flatten(1, 2), allowed)
            x = layer.objects.attend(x, place, x, place)
            if layer.audio is not None and audio is not None:
                x = layer.audio.attend(x, place, audio, audio_place)
            x = layer.feed_forward(x)
            answers.append(self.answer(x))
        *earlier, final = answers
        judged = [self.judge(*answer, memory, meaning) for answer in (earlier if with_earlier else [])]
        return replace(self.judge(*final, memory, meaning), earlier=judged)

    def listen(self, x: Tensor, place: Tensor, audio: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """How the queries first hear (Table 4): queries (B, N, C), audio memory (B, T, C), its positions."""
        nowhere = x.new_zeros(())
        if self.audio_proj is None:
            return x, None, nowhere
        audio = self.audio_proj(audio)
        if self.audio_concat is not None:
            return x + self.audio_concat(audio.flatten(1))[:, None], None, nowhere
        assert self.audio_place is not None
        assert self.audio_into_queries is not None
        audio_place = self.audio_place.weight.expand_as(audio)
        return self.audio_into_queries.attend(x, place, audio, audio_place), audio, audio_place

    def answer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (B, N, C), normalised, and their mask embeddings (B, N, C)."""
        x = self.decoder_norm(x)
        return x, self.mask_head(x)

    def judge(self, x: Tensor, masks: Tensor, memory: Memory, meaning: Meaning | None) -> Sounding:
        """Whether what the queries stand for sounds."""
        heard = self.sound_head(x, masks, memory, meaning)
        return Sounding(
            heard.sound_logits, masks, x, memory.mask_features, [], heard.gate_logits, heard.object_logits
        )

    @staticmethod
    def where_to_look(masks: Tensor, features: Tensor) -> Tensor:
        """(B, N, T * P) bool: inside the present mask, or everywhere where that is empty."""
        with torch.no_grad():
            logits = masks[:, None] @ features  # (B, T, N, P)
            inside = (logits >= 0).transpose(1, 2).flatten(2)
            return inside | ~inside.any(dim=-1, keepdim=True)
