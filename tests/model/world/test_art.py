from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.errors import ModelError
from model.world.art import ART, ARTISTS, TEST, TRAIN, Art, ArtMissing, artists_of, code_of, drawings
from model.world.categories import catalogue

ROOT = Path(__file__).resolve().parents[3]


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


@pytest.mark.parametrize("artist", ["twemoji", "fluent", "openmoji", "emojione", "streamline"])
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
def test_an_artist_has_drawn_what_the_table_says(artist: str) -> None:
    if not installed(artist):
        pytest.skip(f"{ARTISTS[artist].title} is not installed (docs/world.md)")
    art = Art(ART)
    sprites = [art.sprite(artist, emoji) for emoji in catalogue().emoji if ARTISTS[artist].has(emoji)]
    assert all(max(sprite.shape[:2]) >= 48 for sprite in sprites)
    assert len({sprite.tobytes() for sprite in sprites}) == len(sprites)


def test_the_table_is_about_artists_and_emoji_of_this_world() -> None:
    assert set(drawings()) < set(TRAIN)
    for names in drawings().values():
        assert set(names) <= set(catalogue().emoji)
        assert len(set(names.values())) == len(names), "one drawing for two emoji"


def test_everything_is_drawn_by_four_artists_and_by_the_one_kept_for_test() -> None:
    for emoji in catalogue().emoji:
        assert sum(ARTISTS[artist].has(emoji) for artist in TRAIN) >= 4
        assert all(ARTISTS[artist].has(emoji) for artist in TEST)


def test_the_document_tells_of_every_artist() -> None:
    text = (ROOT / "docs" / "world.md").read_text(encoding="utf-8")
    for artist in (ARTISTS[name] for name in TRAIN + TEST):
        drawn = sum(map(artist.has, catalogue().emoji))
        row = next(row for row in text.splitlines() if row.startswith(f"| `{artist.name}` |"))
        assert artist.title in row
        assert plain(artist.licence) in plain(row)
        assert f"| {drawn} |" in row
    fetched = set(re.findall(r"[@\w/-]+@\d+\.\d+\.\d+", text))
    assert fetched == set(re.findall(r"[@\w/-]+@\d+\.\d+\.\d+", (ROOT / "Makefile").read_text("utf-8")))
    assert fetched == {f"{name}@{version}" for name, version in re.findall(r"npm `(.+?)` ([\d.]+)", text)}


def plain(text: str) -> str:
    return text.replace("-", " ")


def box(body: str, **size: int) -> dict:
    return {"body": f'<rect width="32" height="32" fill="none"/>{body}', **size}


@pytest.fixture
def streamline(tmp_path: Path) -> Path:
    """A set of the artist's with two drawings in it: a red square on its shadow, and a tall bar."""
    shadow = '<path fill="#45413c" d="M0 28h32v4h-32z" opacity=".15"/>'
    icons = {
        "dog": box(shadow + '<path fill="#f00" d="M8 8h16v16h-16z"/>'),
        "cat": box('<path fill="#0f0" d="M0 0h8v64h-8z"/>', width=32, height=64),
    }
    home = tmp_path / "node_modules/@iconify-json/streamline-emojis"
    home.mkdir(parents=True)
    (home / "icons.json").write_text(json.dumps({"width": 32, "height": 32, "icons": icons}))
    return tmp_path


def test_drawings_are_found_by_name_and_stand_on_no_shadow(streamline: Path) -> None:
    pytest.importorskip("resvg_py")
    dog, cat = (Art(streamline, side=64).sprite("streamline", emoji) for emoji in "🐕🐈")
    assert dog.shape == (32, 32, 4)
    assert (dog == [255, 0, 0, 255]).all()
    assert cat.shape == (64, 8, 4), "taller than wide, as its own size says"


def test_a_drawing_that_is_not_there_is_named(streamline: Path) -> None:
    with pytest.raises(ArtMissing, match=r"icons\.json: has no drawing of 🐖 \(pig\); see docs/world\.md"):
        Art(streamline).sprite("streamline", "🐖")
    with pytest.raises(ArtMissing, match=r"has no drawing of 🦜 \(1f99c\)"):  # which the artist never drew
        Art(streamline).sprite("streamline", "🦜")


def test_a_damaged_set_is_named_in_one_line(streamline: Path) -> None:
    path = next(streamline.rglob("icons.json"))
    path.write_text('{"icons": ')
    with pytest.raises(ArtMissing, match=r"icons\.json: is damaged: .*; see docs/world\.md") as error:
        Art(streamline).sprite("streamline", "🐕")
    assert "\n" not in str(error.value)


def test_sprites_are_rendered_of_what_has_been_drawn(tmp_path: Path) -> None:
    kept = tmp_path / "sprites" / "144" / "streamline" / "1f415.png"
    kept.parent.mkdir(parents=True)
    Image.new("RGBA", (50, 50), "red").save(kept)
    assert Art(tmp_path).render(["streamline"], ["🐕", "🦜"]) == 1


def test_a_kept_sprite_needs_no_set(tmp_path: Path) -> None:
    if not installed("twemoji"):
        pytest.skip(f"{ARTISTS['twemoji'].title} is not installed (docs/world.md)")
    sprite = Art(ART).sprite("twemoji", "🐕")
    kept = tmp_path / "sprites" / "144" / "twemoji" / "1f415.png"
    kept.parent.mkdir(parents=True)
    kept.write_bytes((ART / "sprites" / "144" / "twemoji" / "1f415.png").read_bytes())
    np.testing.assert_array_equal(Art(tmp_path).sprite("twemoji", "🐕"), sprite)
