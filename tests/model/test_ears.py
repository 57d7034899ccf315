from __future__ import annotations

import torch

from model.ears import AUDIO_ENCODERS, Ears
from model.standin import fill_with_stand_in
from model.vggish import VGGish


def ears() -> Ears:
    made = Ears(tags=5, channels=8)
    fill_with_stand_in(made, 1)
    made.codes.copy_(torch.eye(5, 8))
    return made.requires_grad_(False).eval()


def test_what_is_heard_is_the_codes_by_their_probability() -> None:
    made = ears()
    examples = torch.randn(3, 96, 64, generator=torch.Generator().manual_seed(0))
    p = made.tag_logits(examples).sigmoid()
    assert p.shape == (3, 5)
    found = made(examples)
    torch.testing.assert_close(found[:, :5], p)
    assert not found[:, 5:].any()


def test_pitch_counts_and_the_order_in_time_does_not_matter_much() -> None:
    made = ears()
    tone = torch.full((1, 96, 64), -4.6)
    tone[:, :, 10:14] = 1.0
    higher = tone.roll(32, dims=2)
    assert (made(tone) - made(higher)).norm() > 0.05 * made(tone).norm()


def test_examples_are_heard_one_by_one() -> None:
    made = ears()
    examples = torch.randn(4, 96, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(made(examples)[2], made(examples[2:3])[0])


def test_each_encoder_has_its_name() -> None:
    assert isinstance(AUDIO_ENCODERS["tiny"](), Ears)
    assert AUDIO_ENCODERS["vggish"] is VGGish
