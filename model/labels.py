"""Labels are cached per track, so that CLIP looks at an object now and then instead of at every step.

Kept are the image embeddings of a track's last looks, not their probabilities: when the vocabulary changes,
every track is scored against the new words at once, without showing CLIP a single picture again, and the new
label rests on all looks instead of on the one that a second viewing would give.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TEMPERATURE = 100.0
_GRID = 16  # side of a silhouette
_MIN_WEIGHT = 0.01  # of a look: the worst of views counts a little


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """When CLIP looks at a track again. Ages are counted in snippets."""

    max_age: int = 10  # a label this old is looked at again
    sure_probability: float = 0.5  # a best word below this is unsure
    min_shape_iou: float = 0.5  # silhouettes that agree less are another view of the object
    max_size_ratio: float = 2.0  # as is a mask that grew or shrank by more, in width, height or area
    looks: int = 8  # how many are kept per track
    forget_after: int = 60  # a track not seen for so many snippets is dropped
    max_tracks: int = 1000  # of all sources together; the ones seen least recently go first


@dataclass(frozen=True)
class TrackMask:
    """What the cache needs to know of a track in one snippet: its id and the soft mask (H, W), 0 to 1."""

    id: int
    mask: np.ndarray
    sounding: float = 1.0


@dataclass(frozen=True)
class Outline:
    """Place, size and shape of a mask, small enough to be kept."""

    box: tuple[int, int, int, int]  # x0, y0, x1, y1, ends exclusive
    area: int
    silhouette: np.ndarray  # (16, 16) bool: the mask inside its box

    @classmethod
    def of(cls, mask: np.ndarray) -> Outline:
        """Of the pixels of a soft mask (H, W) above one half."""
        solid = mask > 0.5
        rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
        if not len(rows):
            return cls((0, 0, 0, 0), 0, np.zeros((_GRID, _GRID), dtype=bool))
        x0, y0, x1, y1 = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        steps = (np.arange(_GRID) + 0.5) / _GRID
        y, x = y0 + (steps * (y1 - y0)).astype(int), x0 + (steps * (x1 - x0)).astype(int)
        return cls((x0, y0, x1, y1), int(solid.sum()), solid[np.ix_(y, x)])

    def differs(self, other: Outline, options: LabelOptions) -> bool:
        """Whether the object looks another way than in `other`: elsewhere, of another size or another shape.

        An object that moves is the same sight, so shapes are compared inside their boxes; one that is
        suddenly somewhere else altogether may not be the same object.
        """
        if not self.area or not other.area:
            return self.area != other.area
        (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = self.box, other.box
        if min(ax1, bx1) <= max(ax0, bx0) or min(ay1, by1) <= max(ay0, by0):
            return True
        sizes = ((ax1 - ax0, bx1 - bx0), (ay1 - ay0, by1 - by0), (self.area, other.area))
        if any(max(a, b) > options.max_size_ratio * min(a, b) for a, b in sizes):
            return True
        either = np.logical_or(self.silhouette, other.silhouette).sum()
        both = np.logical_and(self.silhouette, other.silhouette).sum()
        return bool(both < options.min_shape_iou * either)


def look_quality(track: TrackMask) -> float:
    """How much a look at this mask is worth, above 0 and at most 1: its weight in the track's label.

    The product of four: size (a box half as long as the frame's shorter side is as good as any larger),
    sharpness (mean certainty inside the mask), wholeness (half, if the mask touches the frame's edge and so
    is probably cut) and sounding score (at least half: silence makes a view no worse, but a doubtful object
    is more often a wrong mask).
    """
    solid = track.mask > 0.5
    if not solid.any():
        return _MIN_WEIGHT
    height, width = solid.shape
    x0, y0, x1, y1 = Outline.of(track.mask).box
    size = min(1.0, max(x1 - x0, y1 - y0) / (0.5 * min(height, width)))
    sharpness = float(2 * track.mask[solid].mean(dtype=np.float64) - 1)
    wholeness = 0.5 if x0 == 0 or y0 == 0 or x1 == width or y1 == height else 1.0
    return max(_MIN_WEIGHT, size * sharpness * wholeness * (0.5 + 0.5 * track.sounding))


@dataclass
class _Track:
    """What is remembered of one track."""

    looks: deque[tuple[np.ndarray, float]]  # unit image embedding (D,), weight
    outline: Outline
    seen_seq: int
    looked_seq: int
    patience: int = 1  # snippets until a look may come before the label is old
    scored: _Scored | None = None


@dataclass(frozen=True)
class _Scored:
    """Probabilities (K,), and the words' embeddings that they belong to."""

    text_embeddings: np.ndarray
    probabilities: np.ndarray


class LabelCache:
    """The labels of all tracks of all sources, and the decision which of them need a look.

        for track in cache.due(source, seq, tracks):
            cache.look(source, seq, track, embedding)
        labels = cache.labels(source, track_id, text_embeddings, words)

    A track is looked at when it is new, when its label is old, and before that when its label is unsure or
    its mask differs from the one looked at last. Looks before time back off (after 1, 2, 4 ... snippets), so
    that a hopeless or flickering object does not cost one at every step; a sure label that grows old without
    any makes the track worth an immediate look again. Nothing here is random or depends on time.
    """

    def __init__(self, options: LabelOptions | None = None) -> None:
        self.options = options or LabelOptions()
        self.clip_calls = 0
        self.clip_calls_saved = 0  # the calls that looking at every track in every snippet would add
        self._tracks: OrderedDict[tuple[str, int], _Track] = OrderedDict()  # least recently seen first

    def __len__(self) -> int:
        return len(self._tracks)

    def due(self, source: str, seq: int, tracks: Sequence[TrackMask]) -> list[TrackMask]:
        """Those of the tracks present in snippet `seq` that CLIP should look at, in the order given.

        A track whose mask is empty in this frame shows nothing to look at and is not due.
        """
        due: list[TrackMask] = []
        for track in tracks:
            known = self._tracks.get((source, track.id))
            if known is not None:
                known.seen_seq = seq
                self._tracks.move_to_end((source, track.id))
            outline = Outline.of(track.mask)
            if not outline.area:
                continue
            if known is None or self._is_due(known, seq, outline):
                due.append(track)
            else:
                self.clip_calls_saved += 1
        self._forget_unseen(source, seq)
        return due

    def look(
        self, source: str, seq: int, track: TrackMask, embedding: np.ndarray, quality: float | None = None
    ) -> None:
        """Remember what CLIP saw of a track that was due.

        Args:
            embedding: unit image embedding. Shape: (D,).
            quality: weight of this look; by default `look_quality(track)`.
        """
        key = (source, track.id)
        self.clip_calls += 1
        known = self._tracks.get(key)
        outline = Outline.of(track.mask)
        if known is None:
            known = _Track(deque(maxlen=self.options.looks), outline, seq, seq)
            self._tracks[key] = known
            while len(self._tracks) > self.options.max_tracks:
                self._tracks.popitem(last=False)
        else:
            calm = self._is_sure(known) and seq - known.looked_seq >= self.options.max_age
            known.patience = 1 if calm else min(2 * known.patience, self.options.max_age)
        weight = look_quality(track) if quality is None else quality
        known.looks.append((np.array(embedding, dtype=np.float32), max(weight, _MIN_WEIGHT)))
        known.outline, known.seen_seq, known.looked_seq, known.scored = outline, seq, seq, None

    def labels(
        self, source: str, track_id: int, text_embeddings: np.ndarray, words: Sequence[str], top_k: int = 5
    ) -> list[tuple[str, float]]:
        """The best words for a track with their probabilities, best first; none if it was never looked at.

        Each look gives probabilities over the vocabulary (Eq. 6); they are averaged by the looks' weights.

        Args:
            text_embeddings: unit embeddings of `words`, the same array until the vocabulary changes.
                Shape: (K, D).
        """
        known = self._tracks.get((source, track_id))
        if known is None or not known.looks:
            return []
        if known.scored is None or known.scored.text_embeddings is not text_embeddings:
            known.scored = _Scored(text_embeddings, _mean_probabilities(known.looks, text_embeddings))
        p = known.scored.probabilities
        order: list[int] = np.argsort(-p, kind="stable")[:top_k].tolist()
        return [(words[index], float(p[index])) for index in order]

    def forget(self, source: str) -> None:
        """Drop all tracks of a source: a new generation has begun, or it has ended."""
        for key in [key for key in self._tracks if key[0] == source]:
            del self._tracks[key]

    def _is_due(self, known: _Track, seq: int, outline: Outline) -> bool:
        age = seq - known.looked_seq
        if age >= self.options.max_age:
            return True
        wanted = not self._is_sure(known) or outline.differs(known.outline, self.options)
        return wanted and age >= known.patience

    def _is_sure(self, known: _Track) -> bool:
        if known.scored is None:
            return False
        return bool(known.scored.probabilities.max(initial=0.0) >= self.options.sure_probability)

    def _forget_unseen(self, source: str, seq: int) -> None:
        oldest = seq - self.options.forget_after
        gone = [key for key, known in self._tracks.items() if key[0] == source and known.seen_seq < oldest]
        for key in gone:
            del self._tracks[key]


def _mean_probabilities(looks: Sequence[tuple[np.ndarray, float]], text_embeddings: np.ndarray) -> np.ndarray:
    """Shape: (K,), float64; sums to 1."""
    images = np.stack([embedding for embedding, _ in looks])  # (L, D)
    weights = np.array([weight for _, weight in looks])
    logits = TEMPERATURE * (images @ text_embeddings.T).astype(np.float64)  # (L, K)
    p = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    p /= p.sum(axis=1, keepdims=True)
    return weights @ p / weights.sum()
