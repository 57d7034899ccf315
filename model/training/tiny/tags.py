"""The tags that the bundled model is taught by: every kind of thing in the world, and a code for each."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from model.world.categories import catalogue


@cache
def tags() -> tuple[str, ...]:
    """All kinds of things: first those that sound, then those that never do, both in alphabetical order."""
    return (*sounding_tags(), *sorted(catalogue().silent))


@cache
def sounding_tags() -> tuple[str, ...]:
    """The kinds of things that sound, base and novel, in alphabetical order."""
    return tuple(sorted(catalogue().categories))


def codes(channels: int) -> Tensor:
    """A unit vector for each tag, (tags, channels).

    Those of what sounds are at right angles to each other and to all others, so that what is heard of one
    says nothing of another; those of what is silent share the rest of the space, where they lie at random.
    """
    loud, generator = len(sounding_tags()), torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(channels, channels, generator=generator, dtype=torch.float64)).Q
    quiet = (
        torch.randn(len(tags()) - loud, channels - loud, generator=generator, dtype=torch.float64)
        @ axes[loud:]
    )
    return torch.cat((axes[:loud], F.normalize(quiet, dim=-1))).float()
