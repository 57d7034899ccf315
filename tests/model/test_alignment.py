from __future__ import annotations

import torch
from torch.nn import functional as F

from model.alignment import Alignment
from model.standin import fill_with_stand_in


def alignment() -> Alignment:
    made = Alignment([8, 16, 32], tags=6, channels=4)
    fill_with_stand_in(made, 1)
    made.codes.copy_(F.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), dim=-1))
    return made.requires_grad_(False)


def maps(height: int = 6, width: int = 10) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, 8 * 2**i, height >> i, width >> i, generator=generator) for i in range(2)] + [
        torch.randn(2, 32, 2, 3, generator=generator)
    ]


def test_it_is_as_fine_as_the_finest_map_whatever_the_sizes() -> None:
    assert alignment()(maps()).shape == (2, 4, 6, 10)


def test_every_level_has_a_say() -> None:
    made, whole = alignment(), maps()
    before = made(whole)
    for level in range(3):
        changed = [x + (i == level) for i, x in enumerate(whole)]
        assert not torch.allclose(made(changed), before)


def test_meaning_is_the_codes_by_their_probability() -> None:
    made = alignment()
    seen = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(2))
    p = (seen @ made.tags.weight.T + made.tags.bias).softmax(-1)
    torch.testing.assert_close(made.meaning(seen), torch.einsum("bpt,td->bpd", p, made.codes))


def test_what_is_surely_one_thing_means_its_code() -> None:
    made = alignment()
    sure = torch.zeros(6, 4)
    made.tags.weight.copy_(torch.eye(6, 4))
    made.tags.bias.copy_(torch.tensor([0.0, 0, 0, 0, -50, -50]))
    sure[:4] = 50 * torch.eye(4)
    torch.testing.assert_close(made.meaning(sure[:4]), made.codes[:4])


def test_doubt_takes_certainty_back_in_training_alone() -> None:
    made = alignment()
    seen = 3 * torch.randn(50, 4, generator=torch.Generator().manual_seed(2))
    logits = seen @ made.tags.weight.T + made.tags.bias
    sure = made.meaning(seen)
    made.doubt = 0.6
    made.train()
    torch.manual_seed(3)
    certainty = 1 - 0.6 * float(torch.rand(()))
    torch.manual_seed(3)
    made(maps())
    torch.testing.assert_close(made.meaning(seen), (certainty * logits).softmax(-1) @ made.codes)
    assert not torch.allclose(made.meaning(seen), sure)
    made.eval()
    made(maps())
    assert torch.equal(made.meaning(seen), sure)
