"""Universal sound source localisation (Section 3.3): the first stage of Figure 2, box by box.

    images -> backbone --\
                          early fusion -> pixel decoder -> AudioMaskDec -> sounding scores and masks
    audio embeddings -----/
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.audio_mask_dec import AudioMaskDec, Memory, Sounding, joined
from model.early_fusion import EarlyFusion
from model.layers import Conv
from model.options import LocaliserOptions, Precision
from model.pixel_decoder import PixelDecoder, Pixels
from model.precision import dtype_of
from model.resnet import ResNet
from model.swin import Swin

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
STRIDE = 32


def normalise(images: Tensor) -> Tensor:
    """RGB (B, 3, H, W) uint8 to float32, then zero-padded right and bottom to multiples of 32."""
    mean = torch.tensor(PIXEL_MEAN, device=images.device)[:, None, None]
    std = torch.tensor(PIXEL_STD, device=images.device)[:, None, None]
    h, w = images.shape[-2:]
    return F.pad((images.float() - mean) / std, (0, -w % STRIDE, 0, -h % STRIDE))


class Localiser(nn.Module):
    """Where sounding objects are, whatever they are.

    `observe` is everything that concerns one snippet alone, `decode` what concerns a window of T of them; the
    whole-clip forward pass is one after the other.
    """

    def __init__(self, options: LocaliserOptions) -> None:
        super().__init__()
        self.options = options
        self.backbone = ResNet() if options.backbone == "r50" else Swin()
        res2, *coarser = self.backbone.widths
        self.early_fusion = EarlyFusion(coarser[::-1], options)
        self.pixel_decoder = PixelDecoder(res2, options)
        self.audio_mask_dec = AudioMaskDec(options)

    def represent(self, images: Tensor, audio: Tensor) -> tuple[list[Tensor], Pixels, Tensor]:
        """Backbone maps, pixel decoder output and fused audio of images (B, 3, H, W) and audio (B, A)."""
        dtype = self.pixel_decoder.level_embed.dtype
        images, audio = images.to(dtype, memory_format=torch.channels_last), audio.to(dtype)
        maps = self.backbone(images)
        res2, res3, res4, res5 = maps
        sizes = [(x.shape[-2], x.shape[-1]) for x in (res5, res4, res3)]
        tokens, audio = self.early_fusion([res5, res4, res3], audio)
        return maps, self.pixel_decoder(tokens, sizes, res2), audio

    def observe(self, images: Tensor, audio: Tensor) -> Memory:
        """Snippets alone: images (B, 3, H, W) normalised and padded, audio (B, A) -> what is kept of each."""
        _, pixels, audio = self.represent(images, audio)
        return self.audio_mask_dec.remember(pixels, audio)

    def decode(self, window: Memory, with_earlier: bool = False) -> Sounding:
        """A window (B, T, ...) -> its sounding objects."""
        return self.audio_mask_dec(window, with_earlier)

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

        Places in the picture are computed in float32 whatever the precision.
        """
        self.eval().requires_grad_(False)
        for module in self.modules():
            if isinstance(module, Conv):
                module.fold()
        self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self.to(device, dtype_of(precision, device))


def unflatten(memory: Memory, b: int, t: int) -> Memory:
    """(B * T, ...) to (B, T, ...) in every tensor of a memory."""
    return memory.mapped(lambda x: x.unflatten(0, (b, t)))
