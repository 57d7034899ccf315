"""AudioMaskDec against the published order of operations, spelt out with PyTorch's own attention."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.audio_mask_dec import Attention, AudioMaskDec
from model.checkpoint import checkpoint_name
from model.memory import single, unflatten, window_of
from model.options import AudioPrompt, LocaliserOptions
from model.pixel_decoder import Pixels
from model.standin import fill_with_stand_in
from tests.model.small import SMALL

SIZES = [(2, 3), (4, 6), (8, 12)]
FINE = (16, 24)


def decoder(options: LocaliserOptions = SMALL, salt: int = 9) -> AudioMaskDec:
    made = AudioMaskDec(options)
    fill_with_stand_in(made, salt, name_of=lambda own: checkpoint_name("localiser", f"audio_mask_dec.{own}"))
    return made.requires_grad_(False)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def snippets(count: int = SMALL.window, seed: int = 0) -> tuple[Pixels, Tensor]:
    """What the pixel decoder says of `count` snippets, and their fused audio."""
    c, a = SMALL.channels, SMALL.audio_channels
    maps = [random(count, c, h, w, seed=seed + i) for i, (h, w) in enumerate(SIZES)]
    return Pixels(maps, random(count, c, *FINE, seed=seed + 7)), random(count, a, seed=seed + 8)


def attention(ours: Attention) -> nn.MultiheadAttention:
    """PyTorch's attention with the same packed weights."""
    theirs = nn.MultiheadAttention(ours.out_proj.in_features, ours.heads, batch_first=True)
    state = {name: value for name, value in ours.state_dict().items() if not name.startswith("norm.")}
    theirs.load_state_dict(state)
    return theirs.to(ours.in_proj_weight.dtype).requires_grad_(False)


def attend(
    ours: Attention,
    query: Tensor,
    query_place: Tensor,
    memory: Tensor,
    place: Tensor,
    blocked: Tensor | None = None,
) -> Tensor:
    seen, _ = attention(ours)(
        query + query_place, memory + place, memory, attn_mask=blocked, need_weights=False
    )
    return ours.norm(query + seen)


def place_in_space_and_time(t: int, h: int, w: int, channels: int) -> Tensor:
    """Position codes of all pixels of all snippets, that of time added on top: (t * h * w, C)."""

    def waves(place: int, length: int, width: int) -> list[float]:
        angle = place / (length + 1e-6) * 2 * math.pi
        angles = [angle / 10_000 ** (2 * (i // 2) / width) for i in range(width)]
        return [math.cos(a) if i % 2 else math.sin(a) for i, a in enumerate(angles)]

    rows = []
    for z in range(1, t + 1):
        time = torch.tensor(waves(z, t, channels))
        for y in range(1, h + 1):
            for x in range(1, w + 1):
                space = torch.tensor(waves(y, h, channels // 2) + waves(x, w, channels // 2))
                rows.append(space + time)
    return torch.stack(rows)


@dataclass
class Reference:
    """The decoder in its published order, on one clip: every layer's sound logits and masks."""

    dec: AudioMaskDec
    sound_logits: list[Tensor] = field(default_factory=list)  # (N, 2) each
    masks: list[Tensor] = field(default_factory=list)  # (N, T, H / 4, W / 4) each
    unblocked: int = 0  # rows of the attention masks that were full

    def run(self, pixels: Pixels, audio: Tensor) -> None:
        dec = self.dec
        t, heads = len(audio), dec.layers[0].pixels.heads
        memories, places = [], []
        for level, x in enumerate(pixels.maps):
            h, w = x.shape[-2:]
            memories.append(x.permute(0, 2, 3, 1).reshape(1, t * h * w, -1) + dec.level_embed.weight[level])
            places.append(place_in_space_and_time(t, h, w, x.shape[1]).to(x.dtype)[None])
        x, place = dec.query_feat.weight[None], dec.query_embed.weight[None]
        heard = dec.audio_proj.layers[1](dec.audio_proj.layers[0](audio).clamp(min=0))[None]
        audio_place = dec.audio_place.weight[None]

        x = attend(dec.audio_into_queries, x, place, heard, audio_place)
        blocked = self.predict(x, pixels, 0)
        heard = attend(dec.audio_self, heard, audio_place, heard, audio_place)
        for i, layer in enumerate(dec.layers):
            level = i % len(pixels.maps)
            full = blocked.all(-1)
            self.unblocked += int(full.sum())
            blocked[full] = False
            per_head = blocked[None].repeat(heads, 1, 1)
            x = attend(layer.pixels, x, place, memories[level], places[level], per_head)
            x = attend(layer.objects, x, place, x, place)
            x = attend(layer.audio, x, place, heard, audio_place)
            ff = layer.feed_forward
            x = ff.norm(x + ff.linear2(ff.linear1(x).clamp(min=0)))
            blocked = self.predict(x, pixels, (i + 1) % len(pixels.maps))

    def predict(self, x: Tensor, pixels: Pixels, next_level: int) -> Tensor:
        """Note the present answer; (N, T * P) bool: what the next layer must not read."""
        x = self.dec.decoder_norm(x)[0]
        self.sound_logits.append(F.linear(x, self.dec.sound_head.weight, self.dec.sound_head.bias))
        first, second, third = self.dec.mask_head.layers
        embeddings = third(second(first(x).clamp(min=0)).clamp(min=0))
        masks = torch.einsum("nc,tchw->nthw", embeddings, pixels.mask_features)
        self.masks.append(masks)
        size = pixels.maps[next_level].shape[-2:]
        small = F.interpolate(masks, size=size, mode="bilinear", align_corners=False)
        return small.sigmoid().flatten(1) < 0.5


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-6)])
@pytest.mark.parametrize("salt", [9, 10])
def test_equals_the_published_order_of_operations(dtype: torch.dtype, bound: float, salt: int) -> None:
    dec = decoder(salt=salt).to(dtype)
    pixels, audio = snippets()
    pixels = Pixels([x.to(dtype) for x in pixels.maps], pixels.mask_features.to(dtype))
    audio = audio.to(dtype)
    reference = Reference(dec)
    reference.run(pixels, audio)
    found = dec(unflatten(dec.remember(pixels, audio), 1, len(audio)), with_earlier=True)
    assert len(found.earlier) == len(dec.layers)
    for answer, sound_logits, masks in zip(
        [*found.earlier, found], reference.sound_logits, reference.masks, strict=True
    ):
        torch.testing.assert_close(answer.sound_logits[0], sound_logits, rtol=bound, atol=bound)
        error = (answer.mask_logits()[0] - masks).norm() / masks.norm()
        assert error < bound


def test_a_query_without_a_mask_reads_everywhere() -> None:
    dec = decoder()
    pixels, audio = snippets()
    dec.mask_head.layers[-1].weight.zero_()
    dec.mask_head.layers[-1].bias.copy_(-pixels.mask_features.mean((0, 2, 3)))
    alike = pixels.mask_features.mean((0, 2, 3), keepdim=True).expand_as(pixels.mask_features)
    pixels = Pixels(pixels.maps, alike)
    reference = Reference(dec)
    reference.run(pixels, audio)
    assert reference.unblocked == len(dec.layers) * SMALL.queries
    found = dec(unflatten(dec.remember(pixels, audio), 1, len(audio)))
    torch.testing.assert_close(found.sound_logits[0], reference.sound_logits[-1], rtol=1e-5, atol=1e-5)


def test_where_to_look_is_the_mask_or_everything() -> None:
    features = torch.eye(4).view(1, 1, 4, 4)  # one snippet of four pixels, each a channel of its own
    embeddings = torch.tensor([[[1.0, -1.0, 0.0, -2.0], [-1.0, -1.0, -1.0, -1.0]]])
    found = AudioMaskDec.where_to_look(embeddings, features)
    # A probability of exactly one half is inside.
    assert found.tolist() == [[[True, False, True, False], [True, True, True, True]]]


@pytest.mark.parametrize("heads", [1, 4])
def test_attention_with_prepared_keys_is_attention(heads: int) -> None:
    layer = Attention(32, heads)
    fill_with_stand_in(layer, 1)
    layer.requires_grad_(False)
    x, place = random(2, 5, 32), random(2, 5, 32, seed=1)
    memory, memory_place, shift = random(2, 9, 32, seed=2), random(2, 9, 32, seed=3), random(2, 9, 32, seed=4)
    allowed = torch.rand(2, 5, 9, generator=torch.Generator().manual_seed(5)) > 0.4
    allowed[..., 0] = True
    keys = layer.project(1, memory + memory_place) + layer.shift_keys(shift)
    found = layer(x, place, keys, layer.project(2, memory), allowed)
    blocked = (~allowed).repeat_interleave(heads, dim=0)
    expected = attend(layer, x, place, memory, memory_place + shift, blocked)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_what_is_remembered_of_a_snippet_depends_on_it_alone() -> None:
    dec = decoder()
    pixels, audio = snippets()
    together = unflatten(dec.remember(pixels, audio), 1, len(audio))
    alone = []
    for i in range(len(audio)):
        own = Pixels([x[i, None] for x in pixels.maps], pixels.mask_features[i, None])
        alone.append(single(dec.remember(own, audio[i, None])))
    window = window_of(alone)
    assert window.audio.shape == (1, SMALL.window, SMALL.audio_channels)
    one, other = dec(together), dec(window)
    torch.testing.assert_close(one.sound_logits, other.sound_logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(one.mask_logits(), other.mask_logits(), rtol=1e-5, atol=1e-5)


def test_order_in_the_window_matters() -> None:
    dec = decoder()
    pixels, audio = snippets()
    forth = dec(unflatten(dec.remember(pixels, audio), 1, 5))
    turned = Pixels([x.flip(0) for x in pixels.maps], pixels.mask_features.flip(0))
    back = dec(unflatten(dec.remember(turned, audio.flip(0)), 1, 5))
    assert not torch.allclose(forth.mask_logits(), back.mask_logits().flip(2), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("window", [1, 3, 8])
def test_any_window_can_be_made_and_no_other_is_taken(window: int) -> None:
    dec = decoder(replace(SMALL, window=window))
    pixels, audio = snippets(window)
    reference = Reference(dec)
    reference.run(pixels, audio)
    found = dec(unflatten(dec.remember(pixels, audio), 1, window))
    assert found.mask_logits().shape == (1, SMALL.queries, window, *FINE)
    torch.testing.assert_close(found.mask_logits()[0], reference.masks[-1], rtol=1e-5, atol=1e-4)
    pixels, audio = snippets(window + 1)
    with pytest.raises(ValueError, match=f"window of {window + 1} snippets, .* was made for {window}"):
        dec(unflatten(dec.remember(pixels, audio), 1, window + 1))


@pytest.mark.parametrize("prompt", ["audio-mask-dec", "cross-attention", "concat-add", "none"])
def test_a_decoder_of_single_snippets_stretched_hears_as_before_what_goes_on(prompt: AudioPrompt) -> None:
    single_snippets = decoder(replace(SMALL, window=1, audio_prompt=prompt))
    stretched = decoder(replace(SMALL, window=1, audio_prompt=prompt))
    stretched.stretch(5)
    made_so = AudioMaskDec(replace(SMALL, audio_prompt=prompt)).state_dict()
    assert {k: x.shape for k, x in stretched.state_dict().items()} == {k: x.shape for k, x in made_so.items()}
    x, place = random(1, 3, SMALL.channels), random(1, 3, SMALL.channels, seed=1)
    audio = random(1, 1, SMALL.audio_channels, seed=2)
    before, _, _ = single_snippets.listen(x, place, audio)
    after, _, _ = stretched.listen(x, place, audio.expand(-1, 5, -1))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)
    pixels, heard = snippets(5)
    found = stretched(unflatten(stretched.remember(pixels, heard), 1, 5))
    assert found.mask_logits().shape == (1, SMALL.queries, 5, *FINE)
    with pytest.raises(ValueError, match="made for 5 snippets, expected a decoder for single ones"):
        stretched.stretch(7)


def test_clips_of_a_batch_do_not_hear_each_other() -> None:
    dec = decoder()
    clips = [snippets(seed=0), snippets(seed=50)]
    maps = [torch.cat(levels) for levels in zip(*(pixels.maps for pixels, _ in clips), strict=True)]
    both = Pixels(maps, torch.cat([pixels.mask_features for pixels, _ in clips]))
    together = dec(unflatten(dec.remember(both, torch.cat([audio for _, audio in clips])), 2, 5))
    for i, (pixels, audio) in enumerate(clips):
        alone = dec(unflatten(dec.remember(pixels, audio), 1, 5))
        torch.testing.assert_close(together.sound_logits[i], alone.sound_logits[0], rtol=1e-5, atol=1e-5)


def test_scores_and_chosen_masks() -> None:
    dec = decoder()
    pixels, audio = snippets()
    found = dec(unflatten(dec.remember(pixels, audio), 1, 5))
    odds = (found.sound_logits[..., 0] - found.sound_logits[..., 1]).sigmoid()
    torch.testing.assert_close(found.scores, odds, rtol=1e-5, atol=1e-6)
    every = found.mask_logits()
    chosen = torch.tensor([7, 2])
    torch.testing.assert_close(
        found.mask_logits(slice(-1, None), chosen), every[:, chosen, -1:], rtol=1e-5, atol=1e-5
    )
    assert not found.earlier
