from __future__ import annotations

import torch

from model.training.tiny.colours import mirrored, recoloured


def pictures(count: int = 64) -> torch.Tensor:
    return 255 * torch.rand(count, 3, 12, 16, generator=torch.Generator().manual_seed(0))


def drawn(strength: float, seed: int = 1) -> torch.Tensor:
    return recoloured(pictures(), strength, torch.Generator().manual_seed(seed))


def test_at_strength_0_pictures_are_left_alone() -> None:
    torch.testing.assert_close(drawn(0.0), pictures(), rtol=0, atol=1e-2)


def test_half_of_the_pictures_are_mirrored() -> None:
    given = pictures()
    found = mirrored(given, torch.Generator().manual_seed(1))
    same = [torch.equal(a, b) for a, b in zip(found, given, strict=True)]
    turned = [torch.equal(a, b.flip(-1)) for a, b in zip(found, given, strict=True)]
    assert all(a != b for a, b in zip(same, turned, strict=True))
    assert 16 < sum(turned) < 48


def test_the_stronger_the_stranger() -> None:
    plain = drawn(0.0)
    changes = [(drawn(strength) - plain).abs().mean() for strength in (0.25, 0.5, 1.0)]
    assert 0 < changes[0] < changes[1] < changes[2]


def test_levels_stay_within_bounds_and_depend_on_the_generator_alone() -> None:
    assert drawn(1.0).min() >= 0
    assert drawn(1.0).max() <= 255
    assert torch.equal(drawn(1.0), drawn(1.0))
    assert not torch.equal(drawn(1.0), drawn(1.0, seed=2))


def test_pictures_given_are_not_changed() -> None:
    given = pictures()
    recoloured(given, 1.0, torch.Generator().manual_seed(1))
    assert torch.equal(given, pictures())
