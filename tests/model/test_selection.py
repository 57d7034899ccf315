"""From queries to candidates: which count, in which order, and once each."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from model.audio_mask_dec import Sounding
from model.options import Selection
from model.selection import Candidates, Silent, none_of, overlap, select, silent, suppress, without_scraps

HEIGHT, WIDTH, T = 8, 10, 3


def boxes(*corners: tuple[int, int, int, int]) -> Tensor:
    """Masks (n, H, W) of ones inside y0, x0, y1, x1."""
    masks = torch.zeros(len(corners), HEIGHT, WIDTH)
    for mask, (y0, x0, y1, x1) in zip(masks, corners, strict=True):
        mask[y0:y1, x0:x1] = 1
    return masks


def sounding(scores: list[float], masks: Tensor, earlier: Tensor | None = None) -> Sounding:
    """A window in which query i has this score and, in the newest snippet, this mask (logits of 6 and -6)."""
    n = len(scores)
    before = masks if earlier is None else earlier
    features = torch.stack([before] * (T - 1) + [masks])[None]  # (1, T, n, H, W)
    logits = torch.tensor([[math.log(p), math.log1p(-p)] for p in scores])
    queries = torch.eye(n, 8)[None] if n else torch.zeros(1, 0, 8)
    return Sounding(logits[None], torch.eye(n)[None], queries, 12 * features - 6, [])


def chosen(
    window: Sounding,
    selection: Selection = "sounding",
    threshold: float = 0.35,
    nms_iou: float = 0.6,
    min_area: float = 0.001,
    max_objects: int = 20,
) -> list[int]:
    """The numbers of the queries that `select` keeps, in its order; every field must tell the same story."""
    found: Candidates = select(
        window,
        (4 * HEIGHT, 4 * WIDTH),
        selection=selection,
        threshold=threshold,
        nms_iou=nms_iou,
        min_area=min_area,
        max_objects=max_objects,
    )
    numbers = found.queries.argmax(-1).tolist()
    assert len(found) == len(numbers)
    assert found.indices.tolist() == numbers
    torch.testing.assert_close(found.scores, window.scores[0, numbers], rtol=0, atol=1e-6)
    torch.testing.assert_close(found.mask_logits, window.mask_logits()[0, numbers])
    return numbers


APART = boxes((0, 0, 3, 3), (0, 5, 3, 9), (5, 0, 8, 4), (5, 6, 8, 10))


def overlap_of(a: Tensor, b: Tensor) -> Tensor:
    return overlap(a @ b.T, a.square().sum(-1), b.square().sum(-1))


def test_overlap_of_hard_masks_is_intersection_over_union() -> None:
    generator = torch.Generator().manual_seed(1)
    a, b = torch.rand(3, 40, generator=generator) > 0.5, torch.rand(4, 40, generator=generator) > 0.3
    found = overlap_of(a.float(), b.float())
    for i in range(3):
        for j in range(4):
            assert found[i, j] == pytest.approx(float((a[i] & b[j]).sum() / (a[i] | b[j]).sum()), abs=1e-6)


def test_a_soft_mask_overlaps_itself_wholly_and_nothing_not_at_all() -> None:
    soft = torch.rand(5, 30, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(overlap_of(soft, soft).diagonal(), torch.ones(5))
    assert overlap_of(soft, 0.5 * soft).diagonal().max() < 1
    nothing = torch.zeros(1, 30)
    assert overlap_of(nothing, nothing).item() == 0
    assert overlap_of(nothing, soft).max() == 0
    assert overlap_of(torch.zeros(0, 30), soft).shape == (0, 5)


def test_suppression_keeps_the_first_of_those_that_overlap_too_much() -> None:
    masks = boxes((0, 0, 4, 4), (0, 0, 4, 5), (0, 0, 4, 8), (6, 6, 8, 8), (0, 0, 4, 4)).flatten(1)
    # Overlaps with the first: 1, 0.8, 0.5, 0, 1; of the second with the third: 0.625.
    assert suppress(masks, 0.6) == [0, 2, 3]
    assert suppress(masks, 0.9) == [0, 1, 2, 3]
    assert suppress(masks, 0.4) == [0, 3]


def test_the_sounding_score_decides_best_first() -> None:
    assert chosen(sounding([0.4, 0.2, 0.9, 0.6], APART)) == [2, 3, 0]
    assert chosen(sounding([0.4, 0.2, 0.9, 0.6], APART), threshold=0.95) == []
    assert chosen(sounding([0.5, 0.5, 0.5, 0.5], APART)) == [0, 1, 2, 3]


def test_what_cannot_be_seen_in_the_newest_picture_is_left_out() -> None:
    now = APART.clone()
    now[1] = 0
    assert chosen(sounding([0.9] * 4, now, earlier=APART)) == [0, 2, 3]
    one_pixel = boxes((0, 0, 1, 1), (0, 5, 3, 9))
    assert chosen(sounding([0.9] * 2, one_pixel), min_area=0.5 / 80) == [0, 1]
    assert chosen(sounding([0.9] * 2, one_pixel), min_area=1.5 / 80) == [1]


def test_the_same_object_is_reported_once_by_its_best_query() -> None:
    twice = boxes((0, 0, 4, 4), (0, 0, 4, 4), (5, 6, 8, 10))
    assert chosen(sounding([0.6, 0.8, 0.7], twice)) == [1, 2]
    # What overlapped a moment ago but no longer does is two objects.
    assert chosen(sounding([0.6, 0.8, 0.7], APART[:3], earlier=twice)) == [1, 2, 0]


def test_the_best_so_many_are_kept() -> None:
    assert chosen(sounding([0.4, 0.5, 0.9, 0.6], APART), max_objects=2) == [2, 3]
    # Doubles do not use up the places.
    crowded = torch.cat((APART[:1].expand(3, -1, -1), APART[1:2]))
    assert chosen(sounding([0.9, 0.8, 0.7, 0.6], crowded), max_objects=2) == [0, 3]


def test_nobody_sounds() -> None:
    found = select(
        sounding([0.1] * 4, APART),
        (4 * HEIGHT, 4 * WIDTH),
        selection="sounding",
        threshold=0.35,
        nms_iou=0.6,
        min_area=0.0,
        max_objects=5,
    )
    assert len(found) == 0
    assert found.mask_logits.shape == (0, T, HEIGHT, WIDTH)
    assert found.queries.shape == (0, 8)
    silent = none_of(sounding([0.9] * 4, APART))
    assert [x.shape for x in (silent.scores, silent.queries, silent.mask_logits)] == [
        x.shape for x in (found.scores, found.queries, found.mask_logits)
    ]


def test_padding_does_not_count() -> None:
    below = boxes((7, 0, 8, 10), (0, 0, 2, 2))  # the last line is padding of a picture 7 lines high
    found = select(
        sounding([0.9, 0.8], below),
        (4 * 7 - 3, 4 * WIDTH),
        selection="sounding",
        threshold=0.35,
        nms_iou=0.6,
        min_area=4 / 70,
        max_objects=5,
    )
    assert found.queries.argmax(-1).tolist() == [1]


def test_masks_of_half_the_picture_in_size_are_judged_alike() -> None:
    scores, masks = [0.9, 0.8, 0.3, 0.7], APART.clone()
    masks[3] = 0
    twice = masks.repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert chosen(sounding(scores, twice), min_area=0.1) == chosen(sounding(scores, masks), min_area=0.1)
    far = boxes((7, 9, 8, 10)).repeat_interleave(2, 1).repeat_interleave(2, 2)  # in the last corner
    assert chosen(sounding([0.9], far)) == [0]


def test_by_class_score_every_query_with_a_mask_passes() -> None:
    masks = torch.cat((APART[:1].expand(3, -1, -1), torch.zeros(1, HEIGHT, WIDTH), boxes((7, 9, 8, 10))))
    window = sounding([0.01, 0.9, 0.3, 0.99, 0.02], masks)
    all_seen = [0, 1, 2, 4]  # doubles, unlikely ones and single pixels among them, but not the empty one
    assert chosen(window, "class-score") == all_seen
    assert chosen(window, "class-score", threshold=1.0, min_area=0.5, max_objects=1, nms_iou=0.0) == all_seen


def test_with_a_gate_each_snippet_has_its_own_objects() -> None:
    gates = torch.full((1, 4, T), -20.0)
    gates[0, 0, 0] = gates[0, 1, -1] = gates[0, 2, :] = 20.0
    window = replace(sounding([0.9, 0.8, 0.2, 0.7], APART), gate_logits=gates)

    def at(snippet: int) -> list[int]:
        found = select(
            window, (4 * HEIGHT, 4 * WIDTH), selection="sounding", threshold=0.35, nms_iou=0.6,
            min_area=0.001, max_objects=20, snippet=snippet,
        )  # fmt: skip
        return found.indices.tolist()

    assert at(0) == [0]
    assert at(-1) == [1]
    assert at(1) == []


def test_scraps_are_left_out_and_larger_pieces_stay() -> None:
    logits = torch.full((2, 2, 8, 10), -3.0)
    logits[0, 0, 1:5, 1:5] = 2.0  # 16 pixels
    logits[0, 0, 5, 5] = 2.0  # touches it at a corner: of one piece
    logits[0, 0, 7, 7:10] = 2.0  # 3 pixels
    logits[0, 1, 0:2, 0:3] = 1.0  # of another snippet: 6 pixels
    logits[0, 1, 6:8, 6:8] = 1.0  # 4 pixels
    kept = without_scraps(logits, 0.5)
    expected = logits.clone()
    expected[0, 0, 7, 7:10] = -2.0
    assert torch.equal(kept, expected)
    assert torch.equal(without_scraps(logits[1:], 0.5), logits[1:])
    assert torch.equal(without_scraps(logits[:0], 0.5), logits[:0])


def test_candidates_are_without_scraps_if_that_is_asked_for() -> None:
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[0, :3, :3] = mask[0, -1, -1] = 1.0

    def pixels(selection: Selection, min_part: float) -> int:
        found = select(
            sounding([0.9], mask), (4 * HEIGHT, 4 * WIDTH), selection=selection, threshold=0.35, nms_iou=0.6,
            min_area=0.0, max_objects=20, min_part=min_part,
        )  # fmt: skip
        return int((found.mask_logits[0, -1] > 0).sum())

    assert [pixels("sounding", part) for part in (0.0, 0.1, 0.3)] == [10, 10, 9]
    assert pixels("class-score", 0.3) == 10, "the published decision takes masks as they are"


def unheard(window: Sounding, taken: Tensor, most: int = 10, min_area: float = 0.001) -> Silent:
    size = (4 * HEIGHT, 4 * WIDTH)
    return silent(window, size, taken=taken, most=most, threshold=0.35, nms_iou=0.6, min_area=min_area)


def drawn(found: Silent) -> list[list[bool]]:
    return (found.mask_logits > 0).flatten(1).tolist()


NOTHING = torch.zeros(0, HEIGHT, WIDTH)


def test_what_is_seen_and_does_not_sound_is_told_where_nothing_sounds() -> None:
    window = sounding([0.9, 0.1, 0.2, 0.3], torch.cat([APART[:1], APART[:1], APART[2:]]))
    found = unheard(window, taken=12 * APART[:1] - 6)
    assert drawn(found) == (APART[2:] > 0).flatten(1).tolist()
    torch.testing.assert_close(found.scores, torch.tensor([0.2, 0.3]))
    assert len(unheard(window, taken=NOTHING)) == 3, "of what sounds, none was taken"


def test_the_surest_outlines_come_first_once_each_and_unsure_or_small_ones_never() -> None:
    window = sounding([0.1] * 4, torch.cat([APART[:3], APART[:1]]))
    strength = torch.tensor([0.4, 1.0, 0.2, 0.9])  # 0.917, 0.998, 0.769 and 0.996 inside, where 6 is 1
    weak = Sounding(
        window.sound_logits, window.mask_embeddings * strength[:, None], window.queries,
        window.mask_features, [],
    )  # fmt: skip
    assert drawn(unheard(weak, taken=NOTHING)) == (APART[[1, 0]] > 0).flatten(1).tolist()
    assert drawn(unheard(weak, taken=NOTHING, most=1)) == (APART[1:2] > 0).flatten(1).tolist()
    assert len(unheard(weak, taken=NOTHING, min_area=0.2)) == 0


def test_where_nothing_is_seen_nothing_is_told() -> None:
    assert len(unheard(sounding([0.1], torch.zeros(1, HEIGHT, WIDTH)), taken=NOTHING)) == 0
