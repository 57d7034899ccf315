from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.errors import ModelError
from model.training.tiny.hearing import heard_tags
from model.training.tiny.stock import Stock, stock
from model.training.tiny.tags import sounding_tags
from model.world.art import Art
from model.world.categories import catalogue
from model.world.clip import generate
from model.world.paint import FPS, Painter
from tests.model.training.tiny.conftest import CLIPS, GALLERY


def test_its_clips_are_the_worlds_but_for_what_is_redrawn(clips: Stock) -> None:
    assert len(clips) == CLIPS.clips
    same = 0
    for index in range(len(clips)):
        clip = generate(CLIPS.seed, index, CLIPS.options, Art())
        scene = CLIPS.scene(index)
        assert list(clips.names[index]) == [thing.name for thing in clip.scene.things]
        painter = Painter(scene, Art())
        for second in range(5):
            picture, masks = painter.frame((second + 1) * FPS - 1)
            assert np.array_equal(clips.frames[index, second], picture)
            assert np.array_equal(clips.masks(index)[:, second], np.stack(masks))
        if all(thing.look.ink is None for thing in scene.things):
            same += 1
            assert np.array_equal(clips.frames[index], clip.frames)
            assert np.array_equal(clips.masks(index), clip.visible)
    assert 0 < same < len(clips)


def test_each_clip_has_several_tracks_in_which_other_things_sound(clips: Stock) -> None:
    assert clips.examples.shape == (CLIPS.clips, 2, 5, 96, 64)
    base = {kind.name for kind in catalogue().of_split("base")}
    for index, names in enumerate(clips.names):
        for track in range(2):
            sounding = clips.sounding(index, track)
            assert sounding.shape == (len(names), 5)
            assert sounding.sum(0).max() <= 2
            assert {name for name, ever in zip(names, sounding.any(1), strict=True) if ever} <= base
            assert clips.offscreen[index][track] in base - set(names)
    assert any(not np.array_equal(clips.heard[i, 0], clips.heard[i, 1]) for i in range(len(clips)))


def test_what_is_heard_is_loud_and_what_is_not_is_not(clips: Stock) -> None:
    heard = clips.heard.any(-1).ravel()
    level = clips.examples.astype(np.float32).mean((-1, -2)).ravel()
    assert heard.any()
    if (~heard).any():
        assert level[heard].mean() > level[~heard].mean()


def test_tags_are_of_what_sounds_seen_or_not(clips: Stock) -> None:
    tagged = heard_tags(clips).reshape(len(clips), 2, 5, -1)
    for index, track, second in np.ndindex(len(clips), 2, 5):
        sounding = clips.sounding(index, track)[:, second]
        expected = {name for name, now in zip(clips.names[index], sounding, strict=True) if now}
        if clips.heard[index, track, second, -1]:
            expected.add(clips.offscreen[index][track])
        assert {sounding_tags()[n] for n in np.flatnonzero(tagged[index, track, second])} == expected


def test_the_gallery_shows_all_kinds_and_prefers_those_that_sound(gallery: Stock) -> None:
    assert gallery.frames.shape == (GALLERY.clips, 1, 64, 64, 3)
    assert gallery.examples.shape[1] == 0
    rng = np.random.default_rng(0)
    drawn = [gallery.draw_thing(rng) for _ in range(300)]
    loud = [gallery.names[clip][thing] in catalogue().categories for clip, thing in drawn]
    assert 0.6 < np.mean(loud) < 0.8
    assert all(gallery.masks(clip)[thing, 0].sum() >= 60 for clip, thing in drawn)


def test_sounds_alone_have_no_pictures(tmp_path: Path) -> None:
    plan = replace(CLIPS, cast="sounds", split="mixed", clips=2)
    found = stock(tmp_path / "sounds", plan, 1, lambda line: None)
    assert found.frames.shape[1] == 0
    assert found.examples.shape[:3] == (2, 2, 5)
    assert torch.from_numpy(found.examples.astype(np.float32)).isfinite().all()


def test_it_is_made_once_and_never_taken_for_another(tmp_path: Path) -> None:
    said: list[str] = []
    plan = replace(GALLERY, clips=2)
    first = stock(tmp_path / "a", plan, 1, said.append)
    again = stock(tmp_path / "a", plan, 1, said.append)
    assert len(said) == 1
    assert np.array_equal(first.frames, again.frames)
    with pytest.raises(ModelError, match="holds another stock; remove it, or choose another --out"):
        stock(tmp_path / "a", replace(plan, seed=2), 1, said.append)


def test_several_processes_make_the_same(tmp_path: Path) -> None:
    plan = replace(GALLERY, clips=6)
    one = stock(tmp_path / "one", plan, 1, lambda line: None)
    two = stock(tmp_path / "two", plan, 2, lambda line: None)
    assert np.array_equal(one.frames, two.frames)
    assert np.array_equal(one.shown, two.shown)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        stock(tmp_path / "file" / "stock", replace(GALLERY, clips=1), 1, lambda line: None)
