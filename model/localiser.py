"""Universal sound source localisation (Section 3.3): the first stage of Figure 2, box by box.

    images -> backbone --\
                          early fusion -> pixel decoder -> AudioMaskDec -> sounding scores and masks
    audio embeddings -----/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.alignment import Alignment
from model.audio_mask_dec import AudioMaskDec, Sounding
from model.early_fusion import EarlyFusion
from model.layers import Conv
from model.memory import Memory, joined, unflatten
from model.options import Backbone, LocaliserOptions, Precision
from model.pixel_decoder import PixelDecoder, Pixels
from model.precision import dtype_of
from model.resnet import ResNet
from model.swin import Swin

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
STRIDE = 32
BACKBONES: dict[Backbone, Callable[[], ResNet | Swin]] = {
    "r50": lambda: ResNet(),
    "swinb": lambda: Swin(),
    "tiny": lambda: ResNet((2, 2, 2, 1), stem=32),
}


def standardise(images: Tensor) -> Tensor:
    """RGB (B, 3, H, W), 0 to 255, with the mean and spread of photographs taken out; float32."""
    mean = torch.tensor(PIXEL_MEAN, device=images.device)[:, None, None]
    std = torch.tensor(PIXEL_STD, device=images.device)[:, None, None]
    return (images.float() - mean) / std


def padded_size(size: tuple[int, int]) -> tuple[int, int]:
    """What `padded` makes of a picture of this height and width."""
    return size[0] + -size[0] % STRIDE, size[1] + -size[1] % STRIDE


def padded(x: Tensor) -> Tensor:
    """Pictures or masks (..., H, W), zero-padded right and bottom to multiples of 32."""
    return F.pad(x, (0, -x.shape[-1] % STRIDE, 0, -x.shape[-2] % STRIDE))


def normalise(images: Tensor) -> Tensor:
    """RGB (B, 3, H, W) uint8 as the localiser takes it: standardised, then padded."""
    return padded(standardise(images))


class Localiser(nn.Module):
    """Where sounding objects are, whatever they are.

    `observe` is everything that concerns one snippet alone, `decode` what concerns a window of T of them; the
    whole-clip forward pass is one after the other.
    """

    def __init__(self, options: LocaliserOptions) -> None:
        super().__init__()
        self.options = options
        self.backbone = BACKBONES[options.backbone]()
        res2, *coarser = self.backbone.widths
        aligned = options.aligned
        self.alignment = Alignment(coarser, options.tags, options.audio_channels) if aligned else None
        self.early_fusion = EarlyFusion(coarser[::-1], options)
        self.pixel_decoder = PixelDecoder(res2, options)
        self.audio_mask_dec = AudioMaskDec(options)

    def stretch(self, window: int) -> None:
        """Be for windows of so many snippets, where it was for single ones. Raises `ValueError`."""
        self.audio_mask_dec.stretch(window)
        self.options = replace(self.options, window=window)

    def represent(self, images: Tensor, audio: Tensor) -> tuple[list[Tensor], Pixels, Tensor, list[Tensor]]:
        """Backbone maps, pixel decoder output, fused audio, and what the sound head compares, if anything, of
        images (B, 3, H, W) and audio (B, A)."""
        dtype = self.pixel_decoder.level_embed.dtype
        images, audio = images.to(dtype, memory_format=torch.channels_last), audio.to(dtype)
        maps = self.backbone(images)
        res2, res3, res4, res5 = maps
        sizes = [(x.shape[-2], x.shape[-1]) for x in (res5, res4, res3)]
        fits, aligned = None, []
        if self.alignment is not None:
            seen = self.alignment([res3, res4, res5]).flatten(2).transpose(1, 2)  # (B, P, D)
            fits = (self.alignment.meaning(seen) @ audio[..., None])[..., 0].unflatten(1, sizes[-1])
            aligned = [seen, audio]
        tokens, audio = self.early_fusion(
            [res5, res4, res3], audio, fits if self.options.fusion == "similarity" else None
        )
        return maps, self.pixel_decoder(tokens, sizes, res2, images), audio, aligned

    def observe(self, images: Tensor, audio: Tensor) -> Memory:
        """Snippets alone: images (B, 3, H, W) normalised and padded, audio (B, A) -> what is kept of each."""
        _, pixels, audio, aligned = self.represent(images, audio)
        return self.audio_mask_dec.remember(pixels, audio, aligned)

    def decode(self, window: Memory, with_earlier: bool = False) -> Sounding:
        """A window (B, T, ...) -> its sounding objects."""
        return self.audio_mask_dec(window, with_earlier, self.alignment and self.alignment.meaning)

    def forward(self, images: Tensor, audio: Tensor, with_earlier: bool = False) -> Sounding:
        """Whole clips: images (B, T, 3, H, W), audio (B, T, A) -> their sounding objects.

        In evaluation snippets are observed one at a time, as in a stream. Batches round differently, and
        where a mask that guides attention is thresholded, a last digit can decide a pixel: so both answers
        are the same.
        """
        b, t = images.shape[:2]
        batch = b * t if self.training else 1
        parts = zip(images.flatten(0, 1).split(batch), audio.flatten(0, 1).split(batch), strict=True)
        memory = joined([self.observe(*part) for part in parts])
        return self.decode(unflatten(memory, b, t), with_earlier)

    def for_inference(
        self, precision: Precision = "float32", device: torch.device | str = "cpu"
    ) -> Localiser:
        """Evaluation mode on a device, no gradients, frozen normalisations folded into the convolutions.

        Places in the picture, and how well sights fit sounds, are computed in float32 whatever the precision.
        """
        self.eval().requires_grad_(False)
        for module in self.modules():
            if isinstance(module, Conv):
                module.fold()
        self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.to(device, dtype_of(precision, device))
        if self.options.sound_head == "relations":
            self.audio_mask_dec.sound_head.float()  # few numbers, of which much is made
        return self
