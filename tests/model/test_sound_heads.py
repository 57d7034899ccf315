"""Heads that tell which queries sound: what they go by, and what they do not."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from model.localiser import normalise
from model.memory import Memory
from model.options import LocaliserOptions
from model.sound_heads import ByQuery, ByRelations, log_odds, sound_head
from model.standin import fill_with_stand_in
from tests.model.small import SMALL, pictures, small_localiser, sounds

T, P, D = 2, 6, 4
OPTIONS = LocaliserOptions(channels=32, audio_channels=D, sound_head="relations", sound_gate=True)


def memory(seen: Tensor, heard: Tensor, features: Tensor) -> Memory:
    """A window of which only what the heads read is there: (T, P, D), (T, D), (T, C, P)."""
    return Memory(heard[None], [], [], [features[None]], torch.zeros(0), [seen[None], heard[None]])


def scene(heard: Tensor) -> tuple[Tensor, Memory]:
    """Two queries: the first shows pixels 0 to 2, of looks e0; the second the rest, of looks e1."""
    features = torch.zeros(T, 2, P)
    features[:, 0, :3], features[:, 0, 3:] = 20, -20
    features[:, 1] = -features[:, 0]
    seen = torch.zeros(T, P, D)
    seen[:, :3, 0] = 1
    seen[:, 3:, 1] = 1
    return torch.eye(2)[None], memory(seen, heard, features)


def itself(looks: torch.Tensor) -> torch.Tensor:
    """What looks mean, where looks are codes."""
    return looks


def relations_head() -> ByRelations:
    head = ByRelations(OPTIONS)
    fill_with_stand_in(head, 1)
    return head


def test_relations_are_how_well_looks_fit_what_is_heard() -> None:
    heard = torch.tensor([[0.9, 0.0, 0, 0], [0.0, 0.3, 0, 0]])
    relations, evidence = relations_head().relations(*scene(heard), itself)
    by_whole, by_snippet, best, at_all = (relations[0, :, :, i] for i in (0, 2, 4, 5))
    torch.testing.assert_close(by_whole, torch.tensor([[0.9, 0.0], [0.0, 0.3]]), rtol=0, atol=1e-3)
    torch.testing.assert_close(by_snippet, by_whole, rtol=0, atol=1e-3)
    torch.testing.assert_close(best, torch.tensor([[0.9, 0.3], [0.9, 0.3]]), rtol=0, atol=1e-3)
    torch.testing.assert_close(at_all, torch.tensor([[0.9, 0.3], [0.9, 0.3]]), rtol=0, atol=1e-3)
    assert evidence.shape == (1, 2, 3)


def test_relations_do_not_know_which_thing_it_is() -> None:
    """The same fit of other looks and another sound is answered alike, to the last digit."""
    head = relations_head()
    masks, window = scene(torch.tensor([[0.9, 0.0, 0, 0], [0.0, 0.3, 0, 0]]))
    turned = window._replace(aligned=[x.roll(2, dims=-1) for x in window.aligned])
    queries = torch.randn(1, 2, 32)
    one, other = head(queries, masks, window, itself), head(-queries, masks, turned, itself)
    torch.testing.assert_close(one.sound_logits, other.sound_logits, rtol=0, atol=0)
    torch.testing.assert_close(one.gate_logits, other.gate_logits, rtol=0, atol=0)


def test_which_of_two_alike_answers_is_read_off_the_query_alone() -> None:
    """Whatever is heard, and whatever the mask shows."""
    head, queries = relations_head(), torch.randn(1, 2, 32)
    masks, window = scene(torch.eye(2, D))
    expected = head(queries, masks, window, itself).object_logits
    assert expected is not None
    assert not torch.allclose(expected[0, 0], expected[0, 1])
    found = head(queries.flip(1), 3 * masks, scene(torch.zeros(2, D))[1], itself).object_logits
    torch.testing.assert_close(found, expected.flip(1), rtol=1e-5, atol=1e-6)


def test_masks_are_not_taught_by_what_is_heard() -> None:
    head = relations_head()
    masks, window = scene(torch.eye(2, D))
    masks.requires_grad_()
    heard = head(torch.zeros(1, 2, 32), masks, window, itself)
    torch.stack([x.sum() for x in heard if x is not None]).sum().backward()
    assert masks.grad is None
    assert all(p.grad is not None for p in head.parameters())


@pytest.mark.parametrize("heard", [0.0, 0.998, 1.0])
def test_what_is_certain_stays_finite_in_training_with_fewer_digits(heard: float) -> None:
    masks, window = scene(heard * torch.eye(2, D))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = relations_head()(torch.zeros(1, 2, 32), masks, window, itself)
    for found, expected in zip(
        rounded, relations_head()(torch.zeros(1, 2, 32), masks, window, itself), strict=True
    ):
        assert found.isfinite().all()
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_log_odds_are_bounded() -> None:
    found = log_odds(torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0]))
    assert found.tolist() == pytest.approx([-0.9867, -0.9867, 0.0, 0.9867, 0.9867], abs=1e-3)


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("head", ["query", "relations"])
def test_each_head_works_in_the_whole(head: str, gate: bool) -> None:
    localiser = small_localiser(sound_head=head, sound_gate=gate)
    with torch.inference_mode():
        found = localiser(normalise(pictures(1, 5)[0])[None], sounds(1, 5))
    assert isinstance(localiser.audio_mask_dec.sound_head, ByQuery if head == "query" else ByRelations)
    assert found.sound_logits.shape == (1, SMALL.queries, 2)
    assert (found.gate_logits is not None) == gate
    assert found.snippet_scores.shape == (1, SMALL.queries, 5)
    assert (found.object_logits is not None) == (head == "relations")
    sounding = found.sound_logits.softmax(-1)[..., 0]
    answering = 1.0 if found.object_logits is None else found.object_logits.sigmoid()
    torch.testing.assert_close(found.scores, sounding * answering)
    if gate:
        assert found.gate_logits is not None
        assert found.gate_logits.shape == (1, SMALL.queries, 5)
        expected = found.scores[..., None] * found.gate_logits.sigmoid()
    else:
        expected = found.scores[..., None].expand(-1, -1, 5)
    torch.testing.assert_close(found.snippet_scores, expected)


def test_without_alignment_there_is_nothing_to_relate() -> None:
    queries, (masks, window) = torch.zeros(1, 2, 32), scene(torch.eye(2, D))
    with pytest.raises(AssertionError):
        sound_head(OPTIONS)(queries, masks, window, None)


def test_another_alignment_put_in_its_place_is_the_one_that_is_asked() -> None:
    """Lessons put what was taught before into a localiser that is there already."""
    made = small_localiser(sound_head="relations")
    images, audio = normalise(pictures(1, 5)[0])[None], sounds(1, 5)
    with torch.inference_mode():
        expected = made(images, audio).sound_logits
        taught, made.alignment = made.alignment, small_localiser(2, sound_head="relations").alignment
        assert not torch.allclose(made(images, audio).sound_logits, expected)
        made.alignment = deepcopy(taught)
        torch.testing.assert_close(made(images, audio).sound_logits, expected, rtol=0, atol=0)
