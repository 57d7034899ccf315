"""What is heard and not seen is looked for again, where it was last."""

from __future__ import annotations

from collections.abc import Collection
from itertools import count

import numpy as np
import pytest
from numpy.typing import NDArray

from model.openavs.closer import MIDDLE, CloserLook, middle_of, part
from model.openavs.interfaces import Region
from model.openavs.live import Heard, LiveOpenAvs
from model.openavs.rules import Rules
from model.openavs.table import Table
from model.tracks import TrackOptions
from tests.model.openavs.fakes import Eyes, picture

NEAR = Rules(closer=1, other_area=0.001, mean_s=1.0)
CORNER, NEARER = (slice(2, 8), slice(2, 10)), (slice(2, 26), slice(2, 26))


class ShortSighted(Eyes):
    """Sees nothing that covers less than a hundredth of what it is shown; takes half a cat for a dog."""

    def regions(self, image: NDArray[np.uint8], nouns: Collection[str]) -> dict[str, Region]:
        seen = super().regions(image, [*nouns, "cat"])
        if "cat" in seen and seen["cat"].area > 0.45 and "dog" in nouns:
            seen["dog"] = Region(seen["cat"].mask | np.roll(seen["cat"].mask, 6, axis=1), seen["cat"].area)
        return {noun: region for noun, region in seen.items() if region.area > 0.01 and noun in nouns}


class Chain:
    """A source of one second after the other."""

    def __init__(self, rules: Rules = NEAR) -> None:
        self.eyes, self.seqs = ShortSighted(), count()
        self.live = LiveOpenAvs(Table(), self.eyes, rules, TrackOptions(min_area=0.0))

    def __call__(self, image: NDArray[np.uint8], **sounds: float) -> list[str]:
        seq = next(self.seqs)
        return [
            one.noun for one in self.live.step(Heard("cam", 0, seq, seq * 10**9, image, sounds, -20.0)).found
        ]


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (3, 2), (1, 1)])
def test_a_part_is_half_of_each_side_and_never_leaves_the_picture(size: tuple[int, int]) -> None:
    for place in (MIDDLE, (0.0, 0.0), (1.0, 1.0), (0.3, 0.9)):
        for (first, last), length in zip(
            ((one.start, one.stop) for one in part(*size, place)), size, strict=True
        ):
            assert first >= 0
            assert last <= length
            assert last - first == (length + 1) // 2
    assert part(64, 96, MIDDLE) == (slice(16, 48), slice(24, 72))
    assert part(64, 96, (0.5, 0.75)) == (slice(16, 48), slice(48, 96))


def test_the_middle_of_a_mask_is_where_its_pixels_are() -> None:
    mask = np.zeros((10, 20), np.bool_)
    mask[2:4, 10:20] = True
    assert middle_of(mask) == pytest.approx((0.3, 0.75))


def test_what_becomes_too_small_for_the_whole_is_found_where_it_was() -> None:
    chain, far, near = Chain(), picture(dog=CORNER), picture(dog=NEARER)
    assert chain.eyes.regions(far, ["dog"]) == {}
    assert chain(far, Bark=0.8) == [], "it is not in the middle, and was nowhere before"
    assert chain(near, Bark=0.8) == ["dog"]
    assert chain(far, Bark=0.8) == ["dog"]
    blind = Chain(Rules(other_area=0.001, mean_s=1.0))
    assert [blind(image, Bark=0.8) for image in (near, far)] == [["dog"], []]


def test_what_was_never_seen_is_looked_for_in_the_middle() -> None:
    image = picture(dog=(slice(29, 35), slice(44, 52)))
    chain = Chain()
    assert chain(image, Bark=0.8) == ["dog"]
    found = CloserLook(ShortSighted())(image, ["dog"], {})["dog"]
    assert np.array_equal(found.mask, image[..., 0] == Eyes.values["dog"])
    assert found.area == pytest.approx(48 / (64 * 96))


def test_a_part_of_something_that_was_seen_whole_is_nothing_else() -> None:
    image = picture(cat=(slice(10, 54), slice(10, 70)))
    eyes = ShortSighted()
    assert set(eyes.regions(image[16:48, 24:72], ["dog", "cat"])) == {"dog", "cat"}, "this is the mistake"
    seen = {"cat": Region(image[..., 0] == Eyes.values["cat"], 0.4)}
    assert CloserLook(eyes)(image, ["dog"], {}).keys() == {"dog"}
    assert CloserLook(eyes)(image, ["dog"], seen) == {}


def test_nobody_looks_closer_at_what_is_seen_or_not_heard_or_a_person() -> None:
    seen, quiet, voice, both = Chain(), Chain(), Chain(), Chain()
    assert seen(picture(dog=NEARER), Bark=0.8) == ["dog"]
    quiet(picture(cat=NEARER), Music=0.9)
    voice(picture(), Speech=0.9)
    both(picture(), Bark=0.9, Meow=0.8)
    looks = [chain.eyes.looks for chain in (seen, quiet, voice, both)]
    assert looks == [1, 0, 1, 2], "the last looks for the surest alone"
