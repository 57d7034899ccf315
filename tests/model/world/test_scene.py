from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.errors import ModelError
from model.world.art import ARTISTS, TEST, TRAIN
from model.world.categories import catalogue
from model.world.motion import MARGIN
from model.world.scene import Options, draw_gallery, draw_scene, redrawn

SHAPES = ("shapes",)


@pytest.mark.parametrize("split", ["base", "novel", "mixed"])
def test_a_split_shows_and_plays_its_own_categories_only(split: str) -> None:
    pool = {category.name for category in catalogue().of_split(split)}
    scenes = [draw_scene(1, index, Options(split=split, artists=SHAPES)) for index in range(200)]
    for scene in scenes:
        seen = [thing.name for thing in scene.things if thing.speaks]
        assert len(seen) == len(set(seen)) == len(scene.turns.sounding)
        assert set(seen) <= pool
        assert scene.offscreen in pool - set(seen)
        assert {thing.name for thing in scene.things if not thing.speaks} <= set(catalogue().silent)
    assert {thing.name for scene in scenes for thing in scene.things if thing.speaks} == pool


def test_a_scene_depends_on_seed_and_number_alone() -> None:
    options = Options(artists=SHAPES)
    known = repr(draw_scene(3, 7, options))
    assert repr(draw_scene(3, 7, options)) == known
    assert repr(draw_scene(3, 8, options)) != known
    assert repr(draw_scene(4, 7, options)) != known


def test_artists_are_asked_for_what_they_have_drawn_and_all_take_part() -> None:
    scenes = [draw_scene(1, index, Options(split="mixed")) for index in range(300)]
    things = [thing for scene in scenes for thing in scene.things]
    assert {thing.artist for thing in things} == set(TRAIN)
    assert all(ARTISTS[thing.artist].has(thing.emoji) for thing in things)


@pytest.mark.parametrize("artist", [*TRAIN, *TEST])
@pytest.mark.parametrize("split", ["base", "novel"])
def test_one_artist_makes_a_world_of_what_that_artist_has_drawn(artist: str, split: str) -> None:
    scenes = [draw_scene(1, index, Options(split=split, artists=(artist,))) for index in range(100)]
    things = [thing for scene in scenes for thing in scene.things]
    assert all(ARTISTS[artist].has(thing.emoji) for thing in things)
    kinds = {kind.name for kind in catalogue().of_split(split)}
    assert len(kinds & {thing.name for thing in things}) >= 12


def test_scenes_differ_by_artists_in_nothing_but_the_artists() -> None:
    for index in range(50):
        scene, other = (draw_scene(1, index, Options(artists=artists)) for artists in (TRAIN, TEST))
        things = [replace(thing, artist="openmoji") for thing in scene.things]
        assert repr(replace(scene, things=tuple(things), options=other.options)) == repr(other)


def test_things_stay_in_the_picture() -> None:
    for index in range(50):
        for thing in draw_scene(1, index, Options(artists=SHAPES, seconds=30)).things:
            places = np.array([thing.path.at(t)[:2] for t in np.linspace(0, 30, 40)])
            assert places.min() > MARGIN - 0.03
            assert places.max() < 1 - MARGIN + 0.03


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"side": 161}, "size: found 161, expected an even number from 64 to 1024"),
        ({"seconds": 0}, "seconds: found 0, expected 1 to 60"),
        ({"split": "old"}, "split: found 'old'"),
        ({"artists": ("rubens",)}, "artists: found 'rubens'"),
    ],
)
def test_unusable_options_are_refused_in_one_line(wrong: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Options(**wrong)


def test_a_gallery_shows_things_of_any_kind_that_never_sound() -> None:
    scenes = [draw_gallery(3, index, Options(split="mixed")) for index in range(300)]
    counts = [len(scene.things) for scene in scenes]
    assert set(counts) == {1, 2, 3, 4}
    things = [thing for scene in scenes for thing in scene.things]
    assert 0.3 < np.mean([thing.speaks for thing in things]) < 0.5
    assert len({thing.name for thing in things if not thing.speaks}) > 150
    assert not any(scene.turns.sounding.any() or scene.turns.offscreen.any() for scene in scenes)
    assert 0.25 < np.mean([thing.look.ink is not None for thing in things]) < 0.45
    assert draw_gallery(3, 7, Options(split="mixed")).things == scenes[7].things


def test_the_worlds_own_clips_are_not_redrawn() -> None:
    scenes = [draw_scene(3, index, Options(split="mixed")) for index in range(50)]
    assert all(thing.look.ink is None for scene in scenes for thing in scene.things)


def test_a_scene_that_is_redrawn_changes_in_nothing_else() -> None:
    scenes = [draw_scene(3, index, Options()) for index in range(200)]
    others = [redrawn(scene) for scene in scenes]
    things = [thing for scene in others for thing in scene.things]
    assert 0.18 < np.mean([thing.look.ink is not None for thing in things]) < 0.32
    for scene, other in zip(scenes, others, strict=True):
        bare = tuple(replace(thing, look=replace(thing.look, ink=None)) for thing in other.things)
        assert replace(other, things=bare) == scene
        assert redrawn(scene) == other
