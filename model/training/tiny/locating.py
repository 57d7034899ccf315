"""The last lesson, the paper's training (Section 3.5): which objects there are, where, and which sound.

All that is visible is matched and drawn, silent or not, for a silent object is none the less an object; what
sounds, and when, is told apart. What sees and what hears is frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy, deepcopy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.ears import Ears
from model.layers import Conv
from model.localiser import STRIDE, Localiser
from model.training.clip_batch import ClipBatch
from model.training.localise import Localise, LocaliseOptions, Localising
from model.training.losses import Targets
from model.training.task import seed_for
from model.training.tiny.stock import Stock

SIGHT = ("backbone", "alignment")


class Locating(Localise):
    """Trains a localiser on a stock, of which each clip is shown with one of its sound tracks.

    What sees is frozen, and so can be folded (`Conv.fold`) and in another precision while it is looked
    through; what is kept of it in the end is what came.
    """

    def __init__(
        self,
        localiser: Localiser,
        ears: Ears,
        stock: Stock,
        options: LocaliseOptions,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.options, self.stock, self.held_out = options, stock, None
        self.module: Localising = Localising(localiser, ears, options.loss)
        self.batch_size = options.batch_size
        self.facts = {"clips": len(stock)}
        self.sight = {name: part for name, part in localiser.named_children() if name in SIGHT}
        for name, part in self.sight.items():
            localiser.add_module(name, folded(part).to(precision))

    def batch(self, number: int) -> ClipBatch:
        count = self.batch_size
        rng = np.random.default_rng((self.options.seed, number))
        frames, masks, sounding, examples = [], [], [], []
        for clip, flip in zip(
            rng.integers(len(self.stock), size=count), rng.random(count) < 0.5, strict=True
        ):
            track = int(rng.integers(self.stock.plan.soundtracks))
            pictures = torch.from_numpy(self.stock.frames[clip].copy()).permute(0, 3, 1, 2)
            drawn = torch.from_numpy(self.stock.masks(clip))
            frames.append(pictures.flip(-1) if flip else pictures)
            masks.append(padded(drawn.flip(-1) if flip else drawn))
            sounding.append(torch.from_numpy(self.stock.sounding(clip, track).copy()))
            examples.append(torch.from_numpy(self.stock.examples[clip, track].astype(np.float32)))
        seen = torch.ones(count, len(frames[0]), dtype=torch.bool)
        return ClipBatch(
            frames=frames,
            examples=torch.stack(examples),
            targets=Targets(masks=masks, supervised=seen, sounding=sounding),
            seeds=[seed_for(self.options.seed, number, place) for place in range(count)],
        )

    def parts(self) -> Mapping[str, nn.Module]:
        whole = copy(self.module.localiser)
        whole._modules = self.module.localiser._modules | self.sight
        return {"localiser": whole}


def folded(module: nn.Module) -> nn.Module:
    """A frozen copy, in which no normalisation is left that could be a part of a convolution."""
    made = deepcopy(module).requires_grad_(False).eval()
    for part in made.modules():
        if isinstance(part, Conv):
            part.fold()
    return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def padded(masks: Tensor) -> Tensor:
    """To multiples of 32, right and bottom, as the pictures will be."""
    return F.pad(masks, (0, -masks.shape[-1] % STRIDE, 0, -masks.shape[-2] % STRIDE))
