"""Nothing is computed twice for a clip, and nothing comes out otherwise for it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from model.evaluation.once import computed_once, fingerprint
from model.localiser import normalise
from tests.model.small import pictures, small_localiser, sounds


class Doubler(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return 2 * x


def test_an_equal_question_is_answered_from_memory_until_it_is_forgotten() -> None:
    doubler, x = Doubler(), torch.arange(6.0).view(2, 3)
    with computed_once((doubler, "forward")) as forget:
        assert torch.equal(doubler(x), 2 * x)
        assert torch.equal(doubler(x.clone()), 2 * x)
        assert torch.equal(doubler(x.t().contiguous().t()), 2 * x)
        assert doubler.calls == 1
        assert torch.equal(doubler(x.view(3, 2)), 2 * x.view(3, 2))
        doubler(x.double()), doubler(x + 1)
        assert doubler.calls == 4
        forget()
        doubler(x)
        assert doubler.calls == 5
    doubler(x)
    doubler(x)
    assert doubler.calls == 7


def test_an_error_leaves_the_module_as_it_was() -> None:
    doubler = Doubler()
    with pytest.raises(KeyError), computed_once((doubler, "forward")):
        raise KeyError
    doubler(torch.zeros(1)), doubler(torch.zeros(1))
    assert doubler.calls == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8, torch.bool, torch.int64])
def test_fingerprints_tell_values_types_and_shapes_apart(dtype: torch.dtype) -> None:
    x = torch.tensor([[0, 1], [1, 1]]).to(dtype)
    assert fingerprint(x) == fingerprint(x.clone()) == fingerprint(x.t().contiguous())
    others = [x.view(4), 1 - x.int(), torch.zeros(2, 2, dtype=dtype), x.to(torch.float64)]
    assert len({fingerprint(one) for one in (x, *others)}) == 5


def test_a_localiser_answers_to_the_bit_what_it_answers_otherwise() -> None:
    localiser, images = small_localiser(), normalise(pictures(5))
    with torch.inference_mode():
        plain = [localiser(images[None], sounds(5, seed=seed)[None]) for seed in (0, 1, 0)]
        seen = []
        localiser.backbone.register_forward_hook(lambda *_: seen.append(1))
        with computed_once((localiser.backbone, "forward"), (localiser, "observe")) as forget:
            kept = [localiser(images[None], sounds(5, seed=seed)[None]) for seed in (0, 1, 0)]
            assert len(seen) == 10, "asked for 5 pictures with 2 sounds; the third pass asks nothing"
            forget()
            again = localiser(images[None], sounds(5)[None])
    for one, other in zip([*plain, plain[0]], [*kept, again], strict=True):
        assert torch.equal(one.sound_logits, other.sound_logits)
        assert torch.equal(one.mask_logits(), other.mask_logits())
