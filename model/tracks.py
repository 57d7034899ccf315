"""Tracks: one identity per object while the window slides.

Successive windows share all snippets but one, so an object is recognised first by its masks on the snippets
both have seen, and a little by its query embedding. Who an object is and whether it sounds are separate:
one that falls silent keeps its identity for a while, and its embedding can bring it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

from model.edges import Guide
from model.selection import Candidates, overlap


@dataclass(frozen=True, kw_only=True)
class TrackOptions:
    """How identities are kept. Scores and overlaps are shares from 0 to 1."""

    sounding_on: float = 0.5  # a new object needs this sounding score
    sounding_off: float = 0.35  # one that is known stays while it has this one
    nms_iou: float = 0.6
    min_area: float = 0.001
    min_part: float = 0.0
    guide_radius: int = 0  # masks are told as they are
    guide_eps: float = 1e-3
    max_objects: int = 20
    embedding_weight: float = 0.2  # in the affinity; the rest is mask overlap
    min_affinity: float = 0.3
    return_similarity: float = 0.85  # cosine that brings back an object without shared snippets
    keep_snippets: int = 10  # a lost track can come back for so many snippets
    embedding_momentum: float = 0.8

    @property
    def guide(self) -> Guide:
        return Guide(self.guide_radius, self.guide_eps)


@dataclass
class Track:
    """An object of one generation of one source."""

    id: int
    embedding: Tensor  # (C,) unit length, moving average
    last_step: int
    masks: dict[int, Tensor] = field(default_factory=dict)  # snippet number -> (P,) in [0, 1]

    @property
    def newest_mask(self) -> Tensor:
        """(P,) where it was in the last snippet it was seen in."""
        return self.masks[max(self.masks)]


@dataclass(frozen=True)
class Sighting:
    """A track that sounds in the newest snippet, and which candidate it is."""

    track_id: int
    candidate: int
    score: float
    new: bool


class Tracker:
    """Gives candidates of successive windows their identities. Ids count up and are never used twice."""

    def __init__(self, options: TrackOptions, first_id: int = 1) -> None:
        self.options = options
        self.next_id = first_id
        self.tracks: list[Track] = []
        self._step = 0

    def update(self, candidates: Candidates, seqs: Sequence[int]) -> list[Sighting]:
        """Candidates of a window over the snippets `seqs` (T, oldest first) -> sightings, by track id."""
        self._step += 1
        self._forget_old()
        # Half the resolution tells objects apart as well, at a quarter of the cost.
        masks = F.avg_pool2d(candidates.mask_logits.sigmoid(), 2, ceil_mode=True).flatten(2)  # (n, T, P)
        embeddings = F.normalize(candidates.queries, dim=-1)
        known = self._match(masks, embeddings, seqs)
        sightings = []
        for i in range(len(candidates)):
            score, track = float(candidates.scores[i]), known.get(i)
            new = track is None
            went_on = track is not None and track.last_step == self._step - 1
            if score < (self.options.sounding_off if went_on else self.options.sounding_on):
                continue
            if track is None:
                track = Track(self.next_id, embeddings[i], self._step)
                self.next_id += 1
                self.tracks.append(track)
            self._renew(track, embeddings[i], dict(zip(seqs, masks[i].clone(), strict=True)), new)
            sightings.append(Sighting(track.id, i, score, new))
        return sorted(sightings, key=lambda sighting: sighting.track_id)

    def _match(self, masks: Tensor, embeddings: Tensor, seqs: Sequence[int]) -> dict[int, Track]:
        """Best one-to-one assignment of candidates to tracks above the gate: candidate -> track."""
        if not self.tracks or not len(masks):
            return {}
        affinity = self._affinity(masks, embeddings, seqs).numpy()
        rows, columns = linear_sum_assignment(affinity, maximize=True)
        return {int(i): self.tracks[j] for i, j in zip(rows, columns, strict=True) if affinity[i, j] > 0}

    def _affinity(self, masks: Tensor, embeddings: Tensor, seqs: Sequence[int]) -> Tensor:
        """(n, tracks) how well each candidate fits each track; 0 where the gate says no.

        What both have seen counts most. A track of the step before without a common snippet (hops below a
        second interleave the windows) is met where it was last; one that was lost comes back by who it is
        alone.
        """
        o = self.options
        cosine = (embeddings @ torch.stack([track.embedding for track in self.tracks]).T).clamp(min=0)
        common, share = self._common_overlap(masks, seqs)
        fit = (1 - o.embedding_weight) * share + o.embedding_weight * cosine
        recent = torch.tensor([track.last_step == self._step - 1 for track in self.tracks])
        last = torch.stack([track.newest_mask for track in self.tracks])
        near = overlap(masks[:, -1] @ last.T, masks[:, -1].square().sum(-1), last.square().sum(-1))
        near = (1 - o.embedding_weight) * near + o.embedding_weight * cosine
        zero = torch.zeros(())
        return torch.where(
            common,
            torch.where(fit >= o.min_affinity, fit, zero),
            torch.where(
                recent & (near >= o.min_affinity),
                o.min_affinity * near,
                torch.where(cosine >= o.return_similarity, o.min_affinity * cosine, zero),
            ),
        )

    def _common_overlap(self, masks: Tensor, seqs: Sequence[int]) -> tuple[Tensor, Tensor]:
        """(tracks,) whether it knows a snippet of the window; (n, tracks) the overlap on all it knows."""
        n, m = len(masks), len(self.tracks)
        both, ours, theirs = torch.zeros(n, m), torch.zeros(n, m), torch.zeros(m)
        common = torch.zeros(m, dtype=torch.bool)
        for slot, seq in enumerate(seqs):
            who = [j for j, track in enumerate(self.tracks) if seq in track.masks]
            if not who:
                continue
            remembered = torch.stack([self.tracks[j].masks[seq] for j in who])  # (k, P)
            both[:, who] += masks[:, slot] @ remembered.T
            ours[:, who] += masks[:, slot].square().sum(-1)[:, None]
            theirs[who] += remembered.square().sum(-1)
            common[who] = True
        return common, both / (ours + theirs - both).clamp(min=1e-6)

    def _renew(self, track: Track, embedding: Tensor, masks: dict[int, Tensor], new: bool) -> None:
        momentum = 0.0 if new else self.options.embedding_momentum
        track.embedding = F.normalize(momentum * track.embedding + (1 - momentum) * embedding, dim=-1)
        track.last_step = self._step
        # With hops below a second, neighbouring windows interleave: the masks of both are kept.
        oldest = min(masks)
        track.masks = {seq: mask for seq, mask in track.masks.items() if seq >= oldest} | masks

    def _forget_old(self) -> None:
        oldest = self._step - self.options.keep_snippets
        self.tracks = [track for track in self.tracks if track.last_step >= oldest]
