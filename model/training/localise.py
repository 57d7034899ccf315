"""The paper's training (Section 3.5 and 4.1): the localiser learns from a set laid out as AVSBench-OV is.

The audio encoder is frozen and heard through as it is; CLIP has no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from model.audio_mask_dec import Sounding
from model.data.augment import Augmentation, TrainingClips, augmented
from model.data.clips import Clip, ClipSet
from model.localiser import Localiser
from model.options import AudioGrid
from model.training.clip_batch import ClipBatch
from model.training.examining import masks_told, overlaps, side_by_side
from model.training.losses import Criterion, Losses, LossOptions, Totals
from model.training.task import Task, seed_for
from model.window import clip_windows


class Localising(nn.Module):
    """The localiser with ears, called as the trainer calls."""

    def __init__(self, localiser: Localiser, audio_encoder: nn.Module, options: LossOptions) -> None:
        super().__init__()
        self.localiser = localiser
        self.audio_encoder = audio_encoder.requires_grad_(False).eval()
        self.options = options

    def train(self, mode: bool = True) -> Localising:
        """What is frozen stays in evaluation."""
        super().train(mode)
        self.audio_encoder.eval()
        return self

    def hear(self, examples: Tensor) -> Tensor:
        """Log-mel examples (B, T, 96, 64) to audio embeddings (B, T, A), in float32."""
        with torch.no_grad(), torch.autocast(examples.device.type, enabled=False):
            return self.audio_encoder(examples.flatten(0, 1)).unflatten(0, examples.shape[:2])

    def forward(self, batch: ClipBatch, totals: Tensor | None) -> dict[str, Tensor]:
        """The share of a batch in the losses of its step (Eq. 7), and their sum."""
        audio = self.hear(batch.examples)
        criterion = Criterion(self.options, torch.Generator(audio.device))
        assert totals is not None
        divisors = Totals(*totals.tolist())
        losses: Losses | None = None
        for chosen in batch.alike():
            sounding = self.localiser(batch.images(chosen), audio[chosen], with_earlier=True)
            seeds = [batch.seeds[b] for b in chosen]
            found = criterion(sounding, batch.targets_of(chosen), divisors, seeds)
            losses = found if losses is None else losses + found
        assert losses is not None
        return {"loss": losses.total} | losses.terms()


@dataclass(frozen=True, kw_only=True)
class LocaliseOptions:
    """What is shown to the localiser, and how it is judged."""

    batch_size: int = 1
    seed: int = 42
    audio_grid: AudioGrid = "clip"
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: LossOptions = field(default_factory=LossOptions)
    # Clips and pictures for validation are brought to this size, as a stream is.
    short_side: int = 360
    max_side: int = 1333
    validation_clips: int = 50


class Localise(Task):
    """Trains a localiser on `clips`; `held_out` are looked at in validation.

    An epoch is all clips, in an order of its own; a run is the endless row of epochs.
    """

    def __init__(
        self,
        localiser: Localiser,
        audio_encoder: nn.Module,
        clips: ClipSet,
        held_out: ClipSet | None = None,
        options: LocaliseOptions | None = None,
    ) -> None:
        self.options = options or LocaliseOptions()
        self.module: Localising = Localising(localiser, audio_encoder, self.options.loss)
        self.batch_size = self.options.batch_size
        self.clips = TrainingClips(clips, self.options.augmentation, self.options.seed)
        self.held_out = held_out
        self.facts = {"clips": len(clips)}

    def batch(self, number: int) -> ClipBatch:
        samples = range(number * self.batch_size, (number + 1) * self.batch_size)
        seeds = [seed_for(self.options.seed, sample) for sample in samples]
        return ClipBatch.of([self._clip(sample) for sample in samples], seeds, self.options.audio_grid)

    def _clip(self, sample: int) -> Clip:
        """The clip in a place of the row."""
        epoch, place = divmod(sample, len(self.clips))
        order = np.random.default_rng((self.options.seed, epoch)).permutation(len(self.clips))
        return self.clips.of_epoch(epoch)[int(order[place])]

    def totals(self, batch: ClipBatch) -> Tensor:
        criterion = Criterion(self.options.loss, torch.Generator())
        return torch.tensor(criterion.totals(batch.targets, self.module.localiser.options.queries))

    def parts(self) -> Mapping[str, nn.Module]:
        return {"localiser": self.module.localiser, "audio_encoder": self.module.audio_encoder}

    # Looking at it ---------------------------------------------------------------------------------------

    def validate(self) -> dict[str, float]:
        """`j`: how well all that sounds is covered, whatever it is, in the first clips that are held out."""
        found: list[float] = []
        for files in self.held_out.files[: self.options.validation_clips] if self.held_out else ():
            whole = files.load()
            whole = augmented(whole, self.options.short_side, self.options.max_side, flip=False)
            for positions, first_new in clip_windows(len(whole.frames), self.module.localiser.options.window):
                clip = whole.take(positions)
                batch = ClipBatch.of([clip], [0], self.options.audio_grid).to(self._device)
                told = masks_told(self._answer(batch), whole.size)[first_new:].cpu()
                truth = torch.from_numpy(clip.masks).any(0)[first_new:]
                found += overlaps(told, truth, torch.from_numpy(clip.supervised)[first_new:])
        return {"j": sum(found) / len(found)} if found else {}

    def pictures(self, batch: ClipBatch) -> dict[str, Tensor]:
        """The first clip of a batch: what sounds above, what is told to below."""
        frames, masks = batch.frames[0], batch.targets.masks[0].bool()
        size = (frames.shape[-2], frames.shape[-1])
        if batch.targets.sounding is not None:
            masks = masks & batch.targets.sounding[0][:, :, None, None]
        truth = masks.any(0)[:, : size[0], : size[1]]
        picture = side_by_side(frames, truth, masks_told(self._answer(batch), size))
        return {"truth above, prediction below": picture}

    def _answer(self, batch: ClipBatch) -> Sounding:
        """For the first clip of a batch."""
        return self.module.localiser(batch.images([0]), self.module.hear(batch.examples[:1]))

    @property
    def _device(self) -> torch.device:
        return next(self.module.parameters()).device
