from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.errors import ModelError
from model.world.art import ART, ARTISTS, TEST, TRAIN, Art, ArtMissing, artists_of, code_of
from model.world.categories import catalogue


def installed(artist: str) -> bool:
    try:
        ARTISTS[artist].draw(ART, "🐕", 72)
    except ArtMissing:
        return False
    return True


def test_the_artist_kept_for_test_is_not_trained_on() -> None:
    assert len(TRAIN) >= 2
    assert len(set(TRAIN) | set(TEST)) == len(TRAIN) + len(TEST) >= 3
    assert artists_of("train") == TRAIN
    assert artists_of("test") == TEST
    assert artists_of("noto, shapes") == ("noto", "shapes")
    with pytest.raises(ModelError, match="artists: found 'rubens', expected train, test or any of noto"):
        artists_of("rubens")


@pytest.mark.parametrize("artist", ["twemoji", "fluent", "openmoji"])
def test_a_set_that_is_not_installed_is_named_with_what_to_do(artist: str, tmp_path: Path) -> None:
    with pytest.raises(ArtMissing, match=r"npm package .* is not installed; see docs/world\.md") as error:
        Art(tmp_path).sprite(artist, "🐕")
    assert "\n" not in str(error.value)


def test_codes_leave_variation_selectors_out() -> None:
    assert code_of("🐕") == "1f415"
    assert code_of("✈\ufe0f") == "2708"


def test_shapes_are_tight_and_differ_from_each_other(tmp_path: Path) -> None:
    art = Art(tmp_path)
    for emoji in "🐕🎸":
        opaque = art.sprite("shapes", emoji)[..., 3] > 8
        assert opaque[0].any()
        assert opaque[-1].any()
        assert opaque[:, 0].any()
        assert opaque[:, -1].any()
    assert not np.array_equal(art.sprite("shapes", "🐕"), art.sprite("shapes", "🎸"))


@pytest.mark.parametrize("artist", [*TRAIN, *TEST])
def test_an_artist_has_drawn_everything_in_the_world(artist: str, tmp_path: Path) -> None:
    if not installed(artist):
        pytest.skip(f"{ARTISTS[artist].title} is not installed (docs/world.md)")
    art = Art(ART)
    sprites = [art.sprite(artist, emoji) for emoji in catalogue().emoji]
    assert all(max(sprite.shape[:2]) >= 48 for sprite in sprites)
    assert len({sprite.tobytes() for sprite in sprites}) == len(sprites)


def test_a_kept_sprite_needs_no_set(tmp_path: Path) -> None:
    if not installed("twemoji"):
        pytest.skip(f"{ARTISTS['twemoji'].title} is not installed (docs/world.md)")
    sprite = Art(ART).sprite("twemoji", "🐕")
    kept = tmp_path / "sprites" / "144" / "twemoji" / "1f415.png"
    kept.parent.mkdir(parents=True)
    kept.write_bytes((ART / "sprites" / "144" / "twemoji" / "1f415.png").read_bytes())
    np.testing.assert_array_equal(Art(tmp_path).sprite("twemoji", "🐕"), sprite)
