"""The lessons as stages of a training configuration."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from model.checkpoint import PARTS, CheckpointWeights
from model.ears import Ears
from model.errors import ModelError
from model.localiser import Localiser
from model.options import LocaliserOptions
from model.precision import dtype_of
from model.training.config import Every, LossConfig, Positive, StageConfig
from model.training.fresh import draw_weights
from model.training.initialise import from_mask2former
from model.training.localise import LocaliseOptions
from model.training.losses import Objects
from model.training.stages import Context, Kind
from model.training.task import seed_for
from model.training.tiny.hearing import HearingOptions, HearingTask
from model.training.tiny.locating import Locating
from model.training.tiny.naming import NamingOptions, NamingTask
from model.training.tiny.seeing import SeeingOptions, SeeingTask, Sight
from model.training.tiny.stock import Cast, Stock, StockPlan, stock
from model.training.tiny.tags import sounding_tags


class WorldConfig(StageConfig):
    """A stage that makes its own world to learn from."""

    clips: Positive = 1000
    """How many clips are rendered."""
    world_seed: Every = 0
    """The seed of the world; never that of one to be tested on."""

    def stock(
        self,
        context: Context,
        cast: Cast,
        split: str,
        soundtracks: int = 0,
        seconds: int = StockPlan.seconds,
    ) -> Stock:
        """Raises `ModelError`."""
        plan = StockPlan(
            cast=cast, split=split, seed=self.world_seed, clips=self.clips, soundtracks=soundtracks,
            seconds=seconds,
        )  # fmt: skip
        return stock(context.out / "stock" / plan.name, plan, os.cpu_count() or 1, context.say)


class SeeConfig(WorldConfig):
    """What things look like."""


class NameConfig(WorldConfig):
    """What things are called."""

    begins_with: str | None = None
    """The stage before it whose backbone the image tower begins as; nothing: from the beginning."""


class HearConfig(WorldConfig):
    """What things sound like."""

    soundtracks: Positive = 1
    """How many sound tracks each clip has."""


class LocateConfig(WorldConfig):
    """Where objects are, and which of them sound."""

    soundtracks: Positive = 6
    """How many sound tracks each clip has."""
    loss: LossConfig = LossConfig()
    """What answers cost."""
    objects: Objects = "all"
    """Whether all objects are to be found, silent ones too, or only those that sound, as in the paper."""
    gate: Annotated[float, Field(ge=0)] = 3.0
    """Weight of the gate's loss."""
    colours: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How strangely pictures are coloured, as if by other artists; 0: as they are."""
    doubt: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """How much of the certainty about what is seen may be taken back, at most, for each batch anew."""
    stills: bool = False
    """Whether it learns from single snippets, of scenes that last a second."""
    begins_with: str | None = None
    """The stage before it, of stills, that it goes on from; nothing: from the beginning."""
    mask2former: str | None = None
    """The path of a file from which it takes what a Mask2Former has: what masks need, nothing of sound."""
    object: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the loss of which queries answer for objects."""


def see(config: SeeConfig, context: Context) -> SeeingTask:
    options = SeeingOptions(batch_size=config.batch, batches=_batches(config, context), seed=context.seed)
    return SeeingTask(LocaliserOptions.of(context.model), config.stock(context, "gallery", "mixed"), options)


def hear(config: HearConfig, context: Context) -> HearingTask:
    options = HearingOptions(batch_size=config.batch, seed=context.seed)
    made = config.stock(context, "sounds", "mixed", config.soundtracks)
    return HearingTask(context.model.audio_channels, made, options)


def name(config: NameConfig, context: Context) -> NamingTask:
    """Raises `ModelError` where a stage that it begins with has not come before."""
    options = NamingOptions(batch_size=config.batch, batches=_batches(config, context), seed=context.seed)
    backbone = None
    if config.begins_with is not None:
        sight = Sight(LocaliserOptions.of(context.model))
        CheckpointWeights(_earlier(context, config.begins_with)).fill("localiser", sight)
        backbone = sight.backbone
    return NamingTask(context.model.clip, config.stock(context, "gallery", "mixed"), options, backbone)


def locate(config: LocateConfig, context: Context) -> Locating:
    """Raises `ModelError` where the stages that see and hear have not come before."""
    torch.manual_seed(seed_for(context.seed))
    options = LocaliserOptions.of(context.model)
    sight, ears = Sight(options), Ears(len(sounding_tags()), options.audio_channels)
    CheckpointWeights(_earlier(context, "see")).fill("localiser", sight)
    CheckpointWeights(_earlier(context, "hear")).fill("audio_encoder", ears)
    return Locating(
        _localiser(config, options, sight, context),
        ears,
        config.stock(context, "scenes", "base", config.soundtracks, 1 if config.stills else options.window),
        LocaliseOptions(
            batch_size=config.batch,
            seed=context.seed,
            loss=replace(
                config.loss.options(), objects=config.objects, gate=config.gate, object=config.object
            ),
        ),
        dtype_of(config.precision, "cpu"),
        config.colours,
        config.doubt,
    )


def _localiser(config: LocateConfig, options: LocaliserOptions, sight: Sight, context: Context) -> Localiser:
    """A localiser that sees so, fresh or as an earlier stage has left it."""
    single = config.stills or config.begins_with is not None
    localiser = Localiser(replace(options, window=1) if single else options)
    draw_weights(localiser)
    if config.mask2former is not None:
        from_mask2former(localiser, Path(config.mask2former))
    localiser.backbone, localiser.alignment = sight.backbone, sight.alignment if options.aligned else None
    if config.begins_with is not None:
        CheckpointWeights(_earlier(context, config.begins_with)).fill("localiser", localiser)
    if single and not config.stills:
        localiser.stretch(options.window)
    return localiser


def _batches(config: StageConfig, context: Context) -> int:
    return config.steps * config.accumulation * context.processes


def _earlier(context: Context, stage: str) -> Path:
    if stage not in context.done:
        raise ModelError(f"stages.{context.name}: found no stage `{stage}` before it, expected one")
    return context.done[stage]


KINDS = {
    "see": Kind(SeeConfig, see, ("backbone.", "alignment."), {"backbone", "audio_channels"}),
    "hear": Kind(HearConfig, hear, PARTS["audio_encoder"], {"audio_channels"}),
    "name": Kind(NameConfig, name, PARTS["clip"], {"clip", "backbone", "audio_channels"}),
    "locate": Kind(LocateConfig, locate, PARTS["localiser"]),
}
