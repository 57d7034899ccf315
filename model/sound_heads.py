"""Which queries sound: the paper's head (Eq. 3), and one that goes by relations alone.

A score that is computed from what a query holds learns which things of the training set sound, and of nothing
else. What carries over to other things is how well an object's looks fit what is heard, whatever both are.

Either head can have a gate: whether an object sounds in one snippet, told apart from where it is in it. The
paper has none, an object that is silent in a snippet has an empty mask there; with one, a mask is the whole
object in every snippet, which is easier to learn and needs no sound.

What goes by relations cannot tell two queries that show one object apart: they are related alike. So that
head also says which query is the one that answers for an object, and only that is read off the query, which
knows of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model.layers import MLP
from model.memory import Memory
from model.options import LocaliserOptions

Meaning = Callable[[Tensor], Tensor]
"""From values of the aligned map to codes: `Alignment.meaning`."""


class Heard(NamedTuple):
    """What a head says of N queries."""

    sound_logits: Tensor  # (B, N, 2): index 0 sounding, 1 not
    gate_logits: Tensor | None = None  # (B, N, T): sounding in each snippet; None without a gate
    object_logits: Tensor | None = None  # (B, N): it answers for an object; None: not told apart


class ByQuery(nn.Linear):
    """Eq. 3: the score is read off the decoded query; the gate, off the query and each snippet's sound."""

    def __init__(self, options: LocaliserOptions) -> None:
        c = options.channels
        super().__init__(c, 2)
        self.gate = MLP(c + options.audio_channels, c, 1) if options.sound_gate else None

    def forward(  # type: ignore[override]
        self, queries: Tensor, masks: Tensor, memory: Memory, meaning: Meaning | None = None
    ) -> Heard:
        sound_logits = super().forward(queries)
        if self.gate is None:
            return Heard(sound_logits)
        n, t = queries.shape[1], memory.audio.shape[1]
        asked = queries[:, :, None].expand(-1, -1, t, -1)
        told = memory.audio[:, None].expand(-1, n, -1, -1)
        return Heard(sound_logits, self.gate(torch.cat((asked, told), dim=-1))[..., 0])


class ByRelations(nn.Module):
    """The score is read off how well what a query's mask shows fits what is heard."""

    RELATIONS = 9

    def __init__(self, options: LocaliserOptions) -> None:
        super().__init__()
        self.gated = options.sound_gate
        self.fit = MLP(self.RELATIONS, 32, 32, 1)
        self.ever = MLP(5, 32, 2)
        self.answers = nn.Linear(options.channels, 1)

    def forward(self, queries: Tensor, masks: Tensor, memory: Memory, meaning: Meaning | None) -> Heard:
        """Masks guide only where to look: they are not taught by what is heard.

        In float32 throughout: near certainty, odds are more than fewer digits can hold.
        """
        assert meaning is not None
        with torch.autocast(masks.device.type, enabled=False):
            relations, evidence = self.relations(masks.detach(), memory, meaning)
            fits = self.fit(relations)[..., 0]  # (B, N, T)
            over_window = torch.stack((fits.amax(-1), fits.mean(-1)), dim=-1)
            sound_logits = self.ever(torch.cat((over_window, evidence), dim=-1))
            object_logits = self.answers(queries.float())[..., 0]
        return Heard(sound_logits, fits if self.gated else None, object_logits)

    def relations(self, masks: Tensor, memory: Memory, meaning: Meaning) -> tuple[Tensor, Tensor]:
        """Of every query in every snippet (B, N, T, 9); and of every query in the window (B, N, 3)."""
        seen, heard = (x.float() for x in memory.aligned)  # (B, T, P, D), (B, T, A)
        logits = masks.float()[:, None] @ memory.level_features[-1].float()  # (B, T, N, P)
        inside = logits.sigmoid()
        area = inside.sum(-1) + 1e-4  # (B, T, N)
        shown = torch.einsum("btnp,btpd->btnd", inside, seen)
        whole = meaning(shown.sum(1) / area.sum(1)[..., None])  # (B, N, A) what it is
        there = meaning(shown / area[..., None])  # (B, T, N, A) what it looks like in each snippet
        by_whole = torch.einsum("bna,bta->bnt", whole, heard)
        by_snippet = torch.einsum("btna,bta->bnt", there, heard)
        certainty = (inside.square().sum(-1) / area).transpose(1, 2)
        share = area.transpose(1, 2) / inside.shape[-1]
        heard_at_all = heard.norm(dim=-1)[:, None].expand_as(by_whole)
        best = (by_whole * certainty).amax(1, keepdim=True).expand_as(by_whole)
        relations = torch.stack(
            (by_whole, log_odds(by_whole), by_snippet, log_odds(by_snippet), best, heard_at_all,
             certainty, share.sqrt(), whole.norm(dim=-1)[..., None].expand_as(by_whole)),
            dim=-1,
        )  # fmt: skip
        weight = area.sum(1)  # (B, N)
        evidence = torch.stack(
            (inside.square().sum((1, 3)) / weight, (weight / inside.shape[1] / inside.shape[-1]).sqrt(),
             by_whole.amax(-1)),
            dim=-1,
        )  # fmt: skip
        return relations, evidence


def log_odds(p: Tensor) -> Tensor:
    """Of probabilities, from -1 for the least likely that is told apart to 1."""
    p = p.clamp(1e-3, 1 - 1e-3)
    return (p / (1 - p)).log() / 7


def sound_head(options: LocaliserOptions) -> ByQuery | ByRelations:
    """The head that the options name."""
    return ByQuery(options) if options.sound_head == "query" else ByRelations(options)
