"""What is heard and not seen is looked for in parts of the picture."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest
from numpy.typing import NDArray

from model.openavs.closer import closer, parts
from model.openavs.interfaces import Region
from model.openavs.live import Heard, LiveOpenAvs
from model.openavs.rules import Rules
from model.openavs.table import Table
from model.tracks import TrackOptions
from tests.model.openavs.fakes import Eyes, picture

NEAR = Rules(closer=True, other_area=0.001)


class ShortSighted(Eyes):
    """Sees nothing that covers less than a hundredth of what it is shown; takes half a horse for a dog."""

    def regions(self, image: NDArray[np.uint8], nouns: Collection[str]) -> dict[str, Region]:
        seen = super().regions(image, [*nouns, "cat"])
        if "cat" in seen and seen["cat"].area > 0.45 and "dog" in nouns:
            seen["dog"] = Region(seen["cat"].mask | np.roll(seen["cat"].mask, 6, axis=1), seen["cat"].area)
        return {noun: region for noun, region in seen.items() if region.area > 0.01 and noun in nouns}


def step(eyes: Eyes, image: NDArray[np.uint8], rules: Rules = NEAR, **sounds: float) -> list[str]:
    live = LiveOpenAvs(Table(), eyes, rules, TrackOptions(min_area=0.0))
    return [one.noun for one in live.step(Heard("cam", 0, 0, 0, image, sounds, -20.0)).found]


def test_the_parts_are_quarters_and_the_middle_and_nothing_is_left_out() -> None:
    for height, width in ((64, 96), (65, 97), (3, 2), (1, 1)):
        seen = np.zeros((height, width), int)
        sizes = set()
        for rows, columns in parts(height, width):
            seen[rows, columns] += 1
            sizes.add((rows.stop - rows.start, columns.stop - columns.start))
        assert len(sizes) == 1
        assert seen.all()


@pytest.mark.parametrize("place", [(slice(4, 10), slice(4, 12)), (slice(29, 35), slice(44, 52))])
def test_what_is_too_small_for_the_whole_is_found_where_it_is(place: tuple[slice, slice]) -> None:
    image = picture(dog=place)
    eyes = ShortSighted()
    assert eyes.regions(image, ["dog"]) == {}
    found = closer(eyes, image, ["dog"], {})["dog"]
    assert np.array_equal(found.mask, image[..., 0] == Eyes.values["dog"])
    assert found.area == pytest.approx(48 / (64 * 96))
    assert step(eyes, image, Bark=0.8) == ["dog"]
    assert step(eyes, image, Rules(other_area=0.001), Bark=0.8) == []


def test_a_part_of_something_that_was_seen_whole_is_nothing_else() -> None:
    image = picture(cat=(slice(0, 40), slice(0, 60)))
    eyes = ShortSighted()
    assert set(eyes.regions(image[:32, :48], ["dog", "cat"])) == {"dog", "cat"}, "this is the mistake"
    assert closer(eyes, image, ["dog"], eyes.regions(image, ["dog", "cat"])) == {}
    assert step(eyes, image, Bark=0.8) == []


def test_nobody_looks_closer_at_what_is_seen_or_not_heard_or_a_person() -> None:
    seen, quiet, voice = ShortSighted(), ShortSighted(), ShortSighted()
    assert step(seen, picture(dog=(slice(0, 30), slice(0, 30))), Bark=0.8) == ["dog"]
    step(quiet, picture(cat=(slice(0, 30), slice(0, 30))), Music=0.9)
    step(voice, picture(), Speech=0.9)
    assert (seen.looks, quiet.looks, voice.looks) == (1, 0, 1)
