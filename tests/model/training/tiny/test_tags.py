from __future__ import annotations

import torch

from model.training.tiny.tags import codes, sounding_tags, tags
from model.world.categories import catalogue


def test_every_kind_of_thing_has_one_tag_those_that_sound_first() -> None:
    assert len(set(tags())) == len(tags()) == len(catalogue().categories) + len(catalogue().silent)
    assert tags()[: len(sounding_tags())] == sounding_tags()
    assert set(sounding_tags()) == set(catalogue().categories)


def test_what_is_heard_of_one_says_nothing_of_another() -> None:
    made, loud = codes(128), len(sounding_tags())
    assert made.shape == (len(tags()), 128)
    torch.testing.assert_close(made.norm(dim=1), torch.ones(len(tags())))
    torch.testing.assert_close(made[:loud] @ made[:loud].T, torch.eye(loud), rtol=0, atol=1e-5)
    assert (made[:loud] @ made[loud:].T).abs().max() < 1e-5


def test_codes_are_always_the_same() -> None:
    before = torch.random.get_rng_state()
    assert torch.equal(codes(96), codes(96))
    assert torch.equal(torch.random.get_rng_state(), before)
