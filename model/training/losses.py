"""What the localiser's answer costs (Section 3.5, Eq. 7): sound scores of all queries, masks of matched ones.

Every decoder layer answers, and every answer is matched and judged by itself: sound, mask and dice, 30 terms
for the nine layers and the queries before them. Each sum is divided by what the whole batch holds, counted
over all processes, so a batch costs what its clips cost, however they are shared out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from model.audio_mask_dec import Sounding
from model.errors import ModelError
from model.training.matching import (
    DIVERGED,
    MaskLoss,
    Match,
    Weights,
    at_least_float32,
    cheapest,
    pair_costs,
    penalties,
)
from model.training.points import Draw, PointOptions, random_points, read, sample, uncertain_points

SOUNDING, NOT_SOUNDING = 0, 1  # in the sound logits

# Which objects queries learn to answer for: those that sound, where they sound (the paper); or all, with
# whole masks, a silent one being matched to a query that says so.
Objects = Literal["sounding", "all"]
# What mask and dice sums are divided by: objects (the published code: a clip with five supervised frames
# weighs about five times one with a single one), or masks, one for each object and supervised frame.
Normaliser = Literal["per-object", "per-frame"]


@dataclass(frozen=True, kw_only=True)
class LossOptions:
    """The defaults are the published code's."""

    weights: Weights = field(default_factory=Weights)
    not_sounding: float = 0.1  # weight of a query without an object in the sound loss, whose others weigh 1
    earlier: float = 1.0  # weight of every layer's answer but the last
    mask_loss: MaskLoss = "bce"
    normaliser: Normaliser = "per-object"
    objects: Objects = "sounding"
    gate: float = 3.0  # weight of the gate's loss, where the model has one
    object: float = 1.0  # weight of which queries answer for objects, where the model tells that by itself
    points: PointOptions = field(default_factory=PointOptions)


class ClipObjects(NamedTuple):
    """The objects of one clip in its F supervised frames."""

    masks: Tensor  # (K, F, H, W) bool
    sounds: Tensor  # (K, F) bool

    @property
    def classes(self) -> Tensor:
        """(K,): whether an object sounds at all."""
        return torch.where(self.sounds.any(1), SOUNDING, NOT_SOUNDING)


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The truth of a batch of B clips of T frames; H x W is the padded picture, at any resolution."""

    masks: Sequence[Tensor]  # per clip (K, T, H, W), bool or uint8
    supervised: Tensor  # (B, T) bool: the frames that are annotated; only the first in AVSBench's v1s clips
    sounding: Sequence[Tensor] | None = None  # per clip (K, T) bool; None: an object sounds where it is

    def __post_init__(self) -> None:
        shape = tuple(self.supervised.shape)
        if len(shape) != 2 or self.supervised.dtype != torch.bool:
            raise ModelError(f"supervised: found {shape} {self.supervised.dtype}, expected (B, T) torch.bool")
        counts = {"masks": len(self.masks)} | (
            {"sounding": len(self.sounding)} if self.sounding is not None else {}
        )
        for name, count in counts.items():
            if count != shape[0]:
                raise ModelError(f"{name}: found {count} clips, expected {shape[0]} as in `supervised`")
        for b, (masks, frames) in enumerate(zip(self.masks, self.supervised, strict=True)):
            if masks.ndim != 4 or masks.shape[1] != shape[1]:
                raise ModelError(
                    f"masks of clip {b}: found {tuple(masks.shape)}, expected (K, {shape[1]}, H, W)"
                )
            if masks.dtype not in (torch.bool, torch.uint8):
                raise ModelError(
                    f"masks of clip {b}: found {masks.dtype}, expected torch.bool or torch.uint8"
                )
            if self.sounding is not None and self.sounding[b].shape != masks.shape[:2]:
                raise ModelError(
                    f"sounding of clip {b}: found {tuple(self.sounding[b].shape)}, "
                    f"expected {tuple(masks.shape[:2])} as its masks have"
                )
            if not frames.any():
                raise ModelError(
                    f"clip {b} has no supervised frame, expected one or more: leave the clip out"
                )

    def __len__(self) -> int:
        return len(self.masks)

    def to(self, device: torch.device | str) -> Targets:
        """The same on a device, but for `supervised`, by which work is laid out on the processor."""
        return Targets(
            masks=[x.to(device) for x in self.masks],
            supervised=self.supervised,
            sounding=None if self.sounding is None else [x.to(device) for x in self.sounding],
        )

    def of_clip(self, b: int, objects: Objects) -> ClipObjects:
        """Those objects of clip b that supervised frames show."""
        frames = self.supervised[b]
        masks = self.masks[b][:, frames].bool()
        if self.sounding is not None:
            sounds = self.sounding[b][:, frames].bool()
        elif objects == "all":
            raise ModelError(
                "objects: `all` needs to be told which objects sound, expected `sounding` targets"
            )
        else:
            sounds = masks.flatten(2).any(2)
        if objects == "sounding":
            masks = masks & sounds[..., None, None]
        there = masks.flatten(1).any(1)
        return ClipObjects(masks[there], sounds[there])


class Totals(NamedTuple):
    """What sums are divided by. Those of several batches add up, entry by entry, where gradients do."""

    objects: float
    masks: float  # one for each object and supervised frame
    sound: float  # weights of all queries in the sound loss


@dataclass(frozen=True)
class Losses:
    """Weighted losses of the L answers, first to last: each layer's, the final one at the end."""

    sound: Tensor  # (L,)
    mask: Tensor  # (L,)
    dice: Tensor  # (L,)
    gate: Tensor | None = None  # (L,), of a model that tells snippets apart
    object: Tensor | None = None  # (L,), of a model that tells apart which queries answer for objects

    @property
    def total(self) -> Tensor:
        """The scalar to minimise (Eq. 7, over all answers)."""
        return torch.stack([x.sum() for x in self._parts().values()]).sum()

    def __add__(self, other: Losses) -> Losses:
        """Of the clips of both, where they were divided by the same totals."""
        theirs = other._parts()
        return Losses(**{name: value + theirs[name] for name, value in self._parts().items()})

    def _parts(self) -> dict[str, Tensor]:
        parts = {"sound": self.sound, "mask": self.mask, "dice": self.dice}
        more = {"gate": self.gate, "object": self.object}
        return parts | {name: value for name, value in more.items() if value is not None}

    def terms(self) -> dict[str, Tensor]:
        """Scalars: `sound`, `mask` and `dice` of the final answer, `sound_0` and so on of earlier ones."""
        found = {}
        for name, values in self._parts().items():
            *earlier, final = values.unbind()
            found |= {name: final} | {f"{name}_{i}": value for i, value in enumerate(earlier)}
        return found

    def named(self) -> dict[str, float]:
        """The same as numbers, for a log."""
        return {name: value.item() for name, value in self.terms().items()}


class Matched(NamedTuple):
    """What L answers say of the M objects of a clip that each of them answers for, in F frames."""

    maps: Tensor  # (L, M, F, H / 4, W / 4) mask logits
    drawn: Draw  # for its L * M * F masks
    objects: Tensor  # (L, M) which they are


class Criterion:
    """Judges a `Sounding` by `Targets`.

    `over_processes` averages a small tensor over all processes; DDP averages gradients likewise, so together
    they train as one process with all clips would. `generator` decides every random point.
    """

    def __init__(
        self,
        options: LossOptions,
        generator: torch.Generator,
        over_processes: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> None:
        self.options, self.generator, self.over_processes = options, generator, over_processes

    def totals(self, targets: Targets, queries: int) -> Totals:
        """What a batch is divided by, for a model of so many queries: averages over all processes."""
        clips = [targets.of_clip(b, self.options.objects) for b in range(len(targets))]
        return self._totals(clips, queries)

    def __call__(
        self,
        sounding: Sounding,
        targets: Targets,
        totals: Totals | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Losses:
        """Losses of a batch; `totals` are its own unless given (those of all batches whose gradients add up).

        With `seeds`, one for each clip, its points depend on its seed alone, not on the clips before it.

        Raises `ModelError` where targets do not fit the answer, or the answer is not finite.
        """
        answers = [*sounding.earlier, sounding]
        self._check(sounding, targets)
        targets = targets.to(sounding.mask_features.device)
        clips = [targets.of_clip(b, self.options.objects) for b in range(len(targets))]
        totals = totals or self._totals(clips, sounding.sound_logits.shape[1])

        sound_logits = torch.stack([a.sound_logits for a in answers], dim=1)  # (B, L, N, 2)
        if not sound_logits.isfinite().all():
            raise ModelError("found NaN or infinite sound logits, expected finite ones: " + DIVERGED)
        # Unbound once: indexing clip by clip would fill a whole batch with zeros in every backward step.
        embeddings = torch.stack([a.mask_embeddings for a in answers], dim=1).unbind()  # B of (L, N, C)
        features = sounding.mask_features.unbind()  # B of (T, C, H / 4, W / 4)
        classes = torch.full_like(sound_logits[..., 0], NOT_SOUNDING, dtype=torch.long)  # (B, L, N)
        weights = torch.full_like(classes, self.options.not_sounding, dtype=torch.float32)
        gate_logits = stacked([a.gate_logits for a in answers])  # (B, L, N, T), or None
        object_logits = stacked([a.object_logits for a in answers])  # (B, L, N), or None
        answering = torch.zeros_like(weights)  # (B, L, N)
        matched, gates = [], []
        for b, clip in enumerate(clips):
            if seeds is not None:
                self.generator.manual_seed(seeds[b])
            frames = targets.supervised[b].nonzero()[:, 0]
            pixels = features[b] if len(frames) == len(features[b]) else features[b][frames]
            claims = None if object_logits is None else object_logits[b]
            matches = self.match(sound_logits[b], embeddings[b], pixels, clip, claims)
            queries = torch.stack([m.queries for m in matches]).to(pixels.device)  # (L, M)
            objects = torch.stack([m.objects for m in matches]).to(pixels.device)
            layers = torch.arange(len(answers), device=pixels.device)[:, None]
            classes[b, layers, queries] = clip.classes[objects]
            weights[b, layers, queries] = answering[b, layers, queries] = 1.0
            maps = masks_of(embeddings[b][layers, queries].flatten(0, 1), pixels)  # (L * M, F, H / 4, W / 4)
            drawn = Draw.of(maps.shape[0] * maps.shape[1], self.options.points, self.generator, pixels.device)
            matched.append(Matched(maps.unflatten(0, objects.shape), drawn, objects))
            if gate_logits is not None:
                gate = at_least_float32(gate_logits[b, :, :, frames])[layers, queries]  # (L, M, F)
                gates.append(self._gate_loss(gate, clip.sounds[objects], clip.masks[objects]))

        log_p = at_least_float32(sound_logits).log_softmax(-1)
        surprise = -log_p.gather(-1, classes[..., None])[..., 0]
        sound = (surprise * weights).sum((0, 2)) / totals.sound
        # Without any object the sums are zero, and so is their mean.
        count = (totals.objects if self.options.normaliser == "per-object" else totals.masks) or 1.0
        mask, dice = self._mask_losses(matched, [clip.masks for clip in clips])
        parts = sound, mask / count, dice / count
        share = torch.full_like(sound, self.options.earlier)
        share[-1] = 1.0
        weighted = [w * share * x for w, x in zip(self.options.weights, parts, strict=True)]
        gate = answers_for = None
        if gate_logits is not None:
            gate = self.options.gate * share * torch.stack(gates).sum(0) / (totals.masks or 1.0)
        if object_logits is not None:
            claims = at_least_float32(object_logits)
            surprise = F.binary_cross_entropy_with_logits(
                claims, answering.to(claims.dtype), reduction="none"
            )
            answers_for = self.options.object * share * surprise.sum((0, 2)) / (totals.objects or 1.0)
        return Losses(sound=weighted[0], mask=weighted[1], dice=weighted[2], gate=gate, object=answers_for)

    @staticmethod
    def _gate_loss(logits: Tensor, sounds: Tensor, masks: Tensor) -> Tensor:
        """Sums (L,) over matched queries and the frames that show their objects, whether they sound there."""
        surprise = F.binary_cross_entropy_with_logits(logits, sounds.to(logits.dtype), reduction="none")
        return (surprise * masks.flatten(3).any(3)).sum((1, 2))

    @torch.no_grad()
    def match(
        self,
        sound_logits: Tensor,
        embeddings: Tensor,
        pixels: Tensor,
        clip: ClipObjects,
        object_logits: Tensor | None = None,
    ) -> list[Match]:
        """Each answer's own match: sound logits (L, N, 2), mask embeddings (L, N, C) and the mask features
        (F, C, H / 4, W / 4) of the clip's supervised frames; object logits (L, N), where the model has them.

        A query that says that it answers for an object costs less, as one that says rightly whether it
        sounds does: so of two that show the same, one comes to answer for good.
        """
        options, layers = self.options, len(embeddings)
        points = torch.stack(
            [
                random_points(options.points.count, generator=self.generator, device=pixels.device)
                for _ in range(layers)
            ]
        )
        logits = masks_of(embeddings.flatten(0, 1), pixels).unflatten(0, embeddings.shape[:2])
        costs = pair_costs(
            sound_logits, logits, clip.classes, clip.masks, points, options.weights, options.mask_loss
        )
        if object_logits is not None:
            costs = costs - options.weights.sound * at_least_float32(object_logits).sigmoid()[..., None]
        return [cheapest(x) for x in costs.cpu()]

    def _mask_losses(self, matched: Sequence[Matched], masks: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Sums (L,) of mask and dice losses of what was matched in every clip with its objects' masks."""
        layers = len(matched[0].maps)
        logits = at_least_float32(torch.cat([m.maps.flatten(1, 2) for m in matched], dim=1)).flatten(0, 1)
        drawn = Draw(
            *(
                torch.cat([x.unflatten(0, (layers, -1)) for x in each], dim=1).flatten(0, 1)
                for each in zip(*(m.drawn for m in matched), strict=True)
            )
        )
        which, first = [], 0  # of all clips' true masks, frame by frame
        for m, true in zip(matched, masks, strict=True):
            frames = torch.arange(true.shape[1], device=true.device)
            which.append((first + m.objects[..., None] * len(frames) + frames).flatten(1))
            first += len(true) * len(frames)
        points = uncertain_points(logits.detach(), self.options.points, drawn)
        truth = torch.cat([true.flatten(0, 1) for true in masks])
        share = read(truth, torch.cat(which, dim=1).flatten(), points.to(logits.dtype))
        values = sample(logits, points)  # (L * all matched masks, P)
        inside, outside = penalties(values, self.options.mask_loss)
        mask = (share * inside + (1 - share) * outside).mean(1)
        p = values.sigmoid()
        dice = 1 - (2 * (p * share).sum(1) + 1) / (p.sum(1) + share.sum(1) + 1)
        return mask.view(layers, -1).sum(1), dice.view(layers, -1).sum(1)

    def _totals(self, clips: list[ClipObjects], queries: int) -> Totals:
        matched = [min(len(clip.masks), queries) for clip in clips]
        unmatched = len(clips) * queries - sum(matched)
        own = Totals(
            sum(len(clip.masks) for clip in clips),
            sum(clip.sounds.numel() for clip in clips),
            sum(matched) + self.options.not_sounding * unmatched,
        )
        device = clips[0].masks.device
        return Totals(*self.over_processes(torch.tensor(own, dtype=torch.float64, device=device)).tolist())

    @staticmethod
    def _check(sounding: Sounding, targets: Targets) -> None:
        b, t, _, h, w = sounding.mask_features.shape
        if tuple(targets.supervised.shape) != (b, t):
            found = tuple(targets.supervised.shape)
            raise ModelError(
                f"targets of (clips, frames) {found}, expected {(b, t)} as the model's answer has"
            )
        for i, masks in enumerate(targets.masks):
            height, width = masks.shape[2:]
            if height * w != width * h:
                scale = max(1, round(height / h))
                raise ModelError(
                    f"masks of clip {i}: found {height} x {width}, expected the shape of the padded picture, "
                    f"{scale * h} x {scale * w}: pad masks as pictures are padded"
                )


def stacked(logits: Sequence[Tensor | None]) -> Tensor | None:
    """(B, L, ...) of what each of L answers says (B, ...); None for a model that does not say it."""
    said = [x for x in logits if x is not None]
    return torch.stack(said, dim=1) if said else None


def masks_of(embeddings: Tensor, pixels: Tensor) -> Tensor:
    """(N, T, H, W): mask logits (Eq. 4) from embeddings (N, C) and mask features (T, C, H, W) of one clip."""
    return torch.einsum("nc,tchw->nthw", embeddings, pixels)
