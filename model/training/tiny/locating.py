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

from model.ears import Ears
from model.layers import Conv
from model.localiser import STRIDE, Localiser, padded
from model.training.clip_batch import ClipBatch
from model.training.localise import Localise, LocaliseOptions, Localising
from model.training.losses import Targets
from model.training.task import seed_for
from model.training.tiny.colours import recoloured
from model.training.tiny.stock import Stock

SIGHT = ("backbone", "alignment")
OBLONG = 0.3  # share of batches that show a part of the pictures
YOUNG = 0.3  # share of windows that are not full yet


class Locating(Localise):
    """Trains a localiser on a stock, of which each clip is shown with one of its sound tracks.

    What sees is frozen, and so can be folded (`Conv.fold`) and in another precision while it is looked
    through; what is kept of it in the end is what came.

    colours: how strangely pictures are coloured, 0 to 1.
    doubt: `Alignment.doubt`.
    """

    def __init__(
        self,
        localiser: Localiser,
        ears: Ears,
        stock: Stock,
        options: LocaliseOptions,
        precision: torch.dtype = torch.float32,
        colours: float = 0.0,
        doubt: float = 0.0,
    ) -> None:
        self.options, self.stock, self.held_out = options, stock, None
        self.module: Localising = Localising(localiser, ears, options.loss)
        self.batch_size, self.colours = options.batch_size, colours
        self.facts = {"clips": len(stock)}
        self.sight = {name: part for name, part in localiser.named_children() if name in SIGHT}
        for name, part in self.sight.items():
            localiser.add_module(name, folded(part).to(precision))
        if localiser.alignment is not None:
            localiser.alignment.doubt = doubt

    def batch(self, number: int) -> ClipBatch:
        count, stock, window = self.batch_size, self.stock, self.module.localiser.options.window
        rng = np.random.default_rng((self.options.seed, number))
        part = draw_part(rng, stock.plan.side)
        frames, masks, sounding, examples = [], [], [], []
        for clip in rng.integers(len(stock), size=count).tolist():
            track = int(rng.integers(stock.plan.soundtracks))
            slots = draw_slots(rng, stock.plan.seconds, window)
            pictures = torch.from_numpy(stock.frames[clip][(slots, *part)]).permute(0, 3, 1, 2)
            drawn = torch.from_numpy(stock.masks(clip)[:, slots][(slice(None), slice(None), *part)])
            flip = rng.uniform() < 0.5
            frames.append(pictures.flip(-1) if flip else pictures)
            masks.append(padded(drawn.flip(-1) if flip else drawn))
            sounding.append(torch.from_numpy(stock.sounding(clip, track)[:, slots]))
            examples.append(torch.from_numpy(stock.examples[clip, track][slots].astype(np.float32)))
        if self.colours:
            frames = list(alike_recoloured(torch.stack(frames), self.colours, (self.options.seed, number)))
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


def alike_recoloured(clips: Tensor, strength: float, seed: tuple[int, int]) -> Tensor:
    """Clips (B, T, 3, H, W) uint8, each with other colours (`colours.py`), the same in all its pictures."""
    made = [
        recoloured(pictures.float(), strength, torch.Generator().manual_seed(seed_for(*seed)))
        for pictures in clips.unbind(1)
    ]
    return torch.stack(made, dim=1).round().to(torch.uint8)


def draw_part(rng: np.random.Generator, side: int) -> tuple[slice, slice]:
    """Rows and columns of the part of its pictures that a batch shows: at times no square, as films are."""
    lengths = range(STRIDE * -(-3 * side // (5 * STRIDE)), side, STRIDE)
    if rng.uniform() >= OBLONG or not lengths:
        return slice(0, side), slice(0, side)
    shorter = int(rng.choice(lengths))
    start = int(rng.integers(side - shorter + 1))
    narrow, whole = slice(start, start + shorter), slice(0, side)
    return (narrow, whole) if rng.uniform() < 0.7 else (whole, narrow)


def draw_slots(rng: np.random.Generator, seconds: int, window: int) -> list[int]:
    """The second in each slot of a window: all in order, or as when a stream has just begun (`window.py`)."""
    young = window > 1 and rng.uniform() < YOUNG
    last = int(rng.integers(window - 1) if young else rng.integers(window - 1, seconds))
    return [max(0, last - back) for back in reversed(range(window))]


def folded(module: nn.Module) -> nn.Module:
    """A frozen copy, in which no normalisation is left that could be a part of a convolution."""
    made = deepcopy(module).requires_grad_(False).eval()
    for part in made.modules():
        if isinstance(part, Conv):
            part.fold()
    return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
