"""The first stage of Figure 2 as a whole: snippets by themselves, then the window."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from model.checkpoint import StandInWeights
from model.layers import Conv, FrozenBatchNorm
from model.localiser import PIXEL_MEAN, PIXEL_STD, normalise
from model.memory import single, window_of
from model.options import Backbone
from tests.model.small import HEIGHT, SMALL, WIDTH, pictures, small_localiser, sounds, untrained

BACKBONES: list[Backbone] = ["r50", "swinb"]


def clip(count: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    return normalise(pictures(count, seed=seed)), sounds(count, seed=seed)


@pytest.mark.parametrize(
    ("height", "width", "padded"),
    [(64, 96, (64, 96)), (65, 96, (96, 96)), (360, 480, (384, 480)), (1, 33, (32, 64))],
)
def test_pictures_are_normalised_and_then_padded(height: int, width: int, padded: tuple[int, int]) -> None:
    images = pictures(2, height=height, width=width)
    found = normalise(images)
    assert found.shape == (2, 3, *padded)
    assert found.dtype == torch.float32
    for channel in range(3):
        expected = (images[:, channel].double() - PIXEL_MEAN[channel]) / PIXEL_STD[channel]
        inside = found[:, channel, :height, :width].double()
        torch.testing.assert_close(inside, expected, rtol=1e-6, atol=1e-6)
    assert not found[..., height:, :].any()
    assert not found[..., width:].any()


@pytest.mark.parametrize("backbone", BACKBONES)
@torch.inference_mode()
def test_shapes(backbone: Backbone) -> None:
    localiser = small_localiser(backbone=backbone)
    images, audio = clip(3)
    maps, pixels, fused, _ = localiser.represent(images, audio)
    assert [tuple(x.shape[2:]) for x in maps] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    assert [tuple(x.shape) for x in pixels.maps] == [(3, 32, 2, 3), (3, 32, 4, 6), (3, 32, 8, 12)]
    assert pixels.mask_features.shape == (3, 32, 16, 24)
    assert fused.shape == (3, SMALL.audio_channels)
    images, audio = clip()
    sounding = localiser(images[None], audio[None])
    assert sounding.sound_logits.shape == (1, SMALL.queries, 2)
    assert sounding.mask_logits().shape == (1, SMALL.queries, 5, 16, 24)
    assert sounding.queries.shape == (1, SMALL.queries, SMALL.channels)


@pytest.mark.parametrize("backbone", BACKBONES)
@torch.inference_mode()
def test_a_whole_clip_is_its_snippets_observed_one_by_one(backbone: Backbone) -> None:
    localiser = small_localiser(backbone=backbone)
    images, audio = clip()
    whole = localiser(images[None], audio[None])
    one_by_one = [single(localiser.observe(images[i, None], audio[i, None])) for i in range(5)]
    sounding = localiser.decode(window_of(one_by_one))
    torch.testing.assert_close(sounding.sound_logits, whole.sound_logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(sounding.mask_logits(), whole.mask_logits(), rtol=1e-5, atol=1e-4)


@torch.inference_mode()
def test_clips_of_a_batch_are_independent() -> None:
    localiser = small_localiser()
    (images, audio), (more, heard) = clip(seed=1), clip(seed=2)
    together = localiser(torch.stack((images, more)), torch.stack((audio, heard)))
    alone = localiser(more[None], heard[None])
    torch.testing.assert_close(together.sound_logits[1:], alone.sound_logits, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(together.sound_logits[0], alone.sound_logits[0], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_made_for_inference_it_is_the_same_function(backbone: Backbone) -> None:
    localiser = small_localiser(backbone=backbone)
    plain = untrained(backbone=backbone)
    StandInWeights(1).fill("localiser", plain)
    images, audio = clip()
    with torch.no_grad():
        expected, found = plain.eval()(images[None], audio[None]), localiser(images[None], audio[None])
    torch.testing.assert_close(found.sound_logits, expected.sound_logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.mask_logits(), expected.mask_logits(), rtol=1e-5, atol=1e-4)
    assert not any(isinstance(module, FrozenBatchNorm) for module in localiser.modules())
    assert not any(p.requires_grad for p in localiser.parameters())
    assert all(module.norm is None for module in localiser.backbone.modules() if isinstance(module, Conv))


@pytest.mark.parametrize("backbone", BACKBONES)
@torch.inference_mode()
def test_bfloat16_stays_close(backbone: Backbone) -> None:
    exact = small_localiser(backbone=backbone)
    quick = small_localiser(backbone=backbone).for_inference("bfloat16")
    assert {p.dtype for p in quick.parameters()} == {torch.bfloat16}
    images, audio = clip()
    expected, found = exact(images[None], audio[None]), quick(images[None], audio[None])
    masks, reference = found.mask_logits().float(), expected.mask_logits()
    assert masks.isfinite().all()
    assert found.scores.isfinite().all()
    assert found.scores.dtype == torch.float32
    assert ((masks > 0) == (reference > 0)).float().mean() > 0.95
    assert F.cosine_similarity(masks.flatten(), reference.flatten(), dim=0) > 0.98


@torch.inference_mode()
def test_how_sights_fit_sounds_is_told_in_float32_whatever_the_precision() -> None:
    ours: dict[str, Any] = {"fusion": "similarity", "sound_head": "relations", "sound_gate": True}
    exact = small_localiser(**ours)
    quick = small_localiser(**ours).for_inference("bfloat16")
    head = quick.audio_mask_dec.sound_head
    assert {p.dtype for p in head.parameters()} == {torch.float32}
    others = {id(p) for p in quick.parameters()} - {id(p) for p in head.parameters()}
    assert {p.dtype for p in quick.parameters() if id(p) in others} == {torch.bfloat16}
    images, audio = clip()
    expected, found = exact(images[None], audio[None]), quick(images[None], audio[None])
    assert found.sound_logits.dtype == torch.float32
    torch.testing.assert_close(found.snippet_scores, expected.snippet_scores, rtol=0, atol=0.02)


def test_every_weight_can_be_trained() -> None:
    localiser = untrained()
    StandInWeights(1).fill("localiser", localiser)
    images, audio = clip()
    sounding = localiser(images[None], audio[None], with_earlier=True)
    loss = sum(
        (answer.sound_logits**2).sum() + (answer.mask_logits().sigmoid() ** 2).sum()
        for answer in (*sounding.earlier, sounding)
    )
    assert isinstance(loss, torch.Tensor)
    loss.backward()
    gradients = {name: p.grad for name, p in localiser.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.any()] == []
    assert all(gradient.isfinite().all() for gradient in gradients.values() if gradient is not None)


def test_a_window_of_another_length_is_refused() -> None:
    localiser = small_localiser(window=3)
    images, audio = clip()
    with pytest.raises(ValueError, match="window of 5 snippets, but the model was made for 3"):
        localiser(images[None], audio[None])


def test_the_picture_size_is_free() -> None:
    localiser = small_localiser()
    with torch.inference_mode():
        for height, width in ((HEIGHT, WIDTH), (WIDTH, HEIGHT), (33, 64), (33, 130)):
            images = normalise(pictures(5, height=height, width=width))
            masks = localiser(images[None], sounds(1, 5)).mask_logits()
            assert masks.shape[-2:] == (-(-height // 32) * 8, -(-width // 32) * 8)
            assert masks.isfinite().all()
