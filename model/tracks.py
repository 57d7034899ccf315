"""Tracks: one identity per object while the window slides.

Successive windows share all snippets but one, so an object is recognised first by its masks on the snippets
both have seen, and a little by its query embedding. Who an object is and whether it sounds are separate:
one that falls silent keeps its identity for a while, and its embedding can bring it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

from model.selection import Candidates, soft_iou


@dataclass(frozen=True, kw_only=True)
class TrackOptions:
    """How identities are kept. Scores and overlaps are shares from 0 to 1."""

    sounding_on: float = 0.5  # a new object needs this sounding score
    sounding_off: float = 0.35  # one that is known stays while it has this one
    nms_iou: float = 0.6
    min_area: float = 0.001
    max_objects: int = 20
    embedding_weight: float = 0.2  # in the affinity; the rest is mask overlap
    min_affinity: float = 0.3
    return_similarity: float = 0.85  # cosine that brings back an object without shared snippets
    keep_snippets: int = 10  # a lost track can come back for so many snippets
    embedding_momentum: float = 0.8


@dataclass
class Track:
    """An object of one generation of one source."""

    id: int
    embedding: Tensor  # (C,) unit length, moving average
    score: float
    last_step: int
    masks: dict[int, Tensor] = field(default_factory=dict)  # snippet number -> (h, w) in [0, 1]


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
        probabilities = candidates.mask_logits.sigmoid()
        embeddings = F.normalize(candidates.queries, dim=-1)
        sightings = []
        matched = self._match(probabilities, embeddings, seqs)
        for i in range(len(candidates)):
            score, track = float(candidates.scores[i]), matched.get(i)
            new = track is None
            if track is None:
                if score < self.options.sounding_on:
                    continue
                track = Track(self.next_id, embeddings[i], score, self._step)
                self.next_id += 1
                self.tracks.append(track)
            self._renew(track, score, embeddings[i], dict(zip(seqs, probabilities[i], strict=True)), new)
            sightings.append(Sighting(track.id, i, score, new))
        return sorted(sightings, key=lambda sighting: sighting.track_id)

    def _match(self, masks: Tensor, embeddings: Tensor, seqs: Sequence[int]) -> dict[int, Track]:
        """Best one-to-one assignment of candidates to tracks above the gate: candidate -> track."""
        if not self.tracks or not len(masks):
            return {}
        affinity = np.stack([self._affinity(track, masks, embeddings, seqs) for track in self.tracks], axis=1)
        rows, columns = linear_sum_assignment(affinity, maximize=True)
        return {int(i): self.tracks[j] for i, j in zip(rows, columns, strict=True) if affinity[i, j] > 0}

    def _affinity(self, track: Track, masks: Tensor, embeddings: Tensor, seqs: Sequence[int]) -> np.ndarray:
        """(n,) affinity of a track with every candidate; 0 where the gate says no."""
        o = self.options
        cosine = (embeddings @ track.embedding).clamp(min=0)
        shared = [slot for slot, seq in enumerate(seqs) if seq in track.masks]
        if shared:
            theirs = torch.stack([track.masks[seqs[slot]] for slot in shared]).flatten()[None]
            overlap = soft_iou(masks[:, shared].flatten(1), theirs)[:, 0]
            affinity = (1 - o.embedding_weight) * overlap + o.embedding_weight * cosine
            return torch.where(affinity >= o.min_affinity, affinity, 0.0).numpy()
        # Nothing seen in common: only who it is can tell, and it counts less than an overlap would.
        return torch.where(cosine >= o.return_similarity, o.min_affinity * cosine, 0.0).numpy()

    def _renew(
        self, track: Track, score: float, embedding: Tensor, masks: dict[int, Tensor], new: bool
    ) -> None:
        momentum = 0.0 if new else self.options.embedding_momentum
        track.embedding = F.normalize(momentum * track.embedding + (1 - momentum) * embedding, dim=-1)
        track.score, track.last_step = score, self._step
        # With hops below a second, neighbouring windows interleave: the masks of both are kept.
        recent = min(masks)
        track.masks = {seq: mask for seq, mask in track.masks.items() if seq >= recent} | masks

    def _forget_old(self) -> None:
        oldest = self._step - self.options.keep_snippets
        self.tracks = [track for track in self.tracks if track.last_step >= oldest]
