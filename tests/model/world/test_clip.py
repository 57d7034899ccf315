from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.world.art import Art
from model.world.clip import film, generate, sounding
from model.world.paint import Painter
from model.world.scene import Options, Scene, draw_scene
from model.world.turns import Turns

OPTIONS = Options(split="mixed", artists=("shapes",), side=96)


@pytest.fixture
def art(tmp_path: Path) -> Art:
    return Art(tmp_path)


def crowded(seed: int = 0) -> Scene:
    """A scene with four or more things, seen plainly: no shadow, blur or noise."""
    scene = next(s for s in (draw_scene(seed, n, OPTIONS) for n in range(100)) if len(s.things) >= 4)
    things = [replace(thing, look=replace(thing.look, shadow=0.0)) for thing in scene.things]
    return replace(scene, things=tuple(things), light=replace(scene.light, blur=0.0, noise=0.0, flicker=0.0))


def test_the_same_seed_makes_the_same_bytes_whatever_was_made_before(art: Art, tmp_path: Path) -> None:
    generate(5, 0, OPTIONS, art)
    first, second = generate(5, 1, OPTIONS, art), generate(5, 1, OPTIONS, Art(tmp_path))
    assert first.frames.tobytes() == second.frames.tobytes()
    assert first.audio.tobytes() == second.audio.tobytes()
    assert first.visible.tobytes() == second.visible.tobytes()
    assert generate(5, 2, OPTIONS, art).frames.tobytes() != first.frames.tobytes()


def test_a_clip_has_a_picture_a_second_of_sound_and_the_truth_for_each_second(art: Art) -> None:
    clip = generate(5, 1, OPTIONS, art)
    things = len(clip.scene.things)
    assert clip.frames.shape == (5, 96, 96, 3)
    assert clip.audio.shape == (5, 16_000)
    assert np.abs(clip.audio).max() <= 1
    assert clip.visible.shape == (things, 5, 96, 96)
    assert clip.sounding.shape == (things, 5)
    for thing, row in zip(clip.scene.things, clip.sounding, strict=True):
        assert thing.speaks or not row.any()


def test_a_mask_holds_the_pixels_that_show_the_thing_and_no_others(art: Art) -> None:
    scene = crowded()
    picture, masks = Painter(scene, art).frame(30)
    assert masks.sum(axis=0).max() == 1, "a pixel shows one thing"
    for place, mask in enumerate(masks):
        assert mask.any()
        others = scene.things[:place] + scene.things[place + 1 :]
        without, _ = Painter(replace(scene, things=others), art).frame(30)
        changed = (picture != without).any(axis=-1)
        near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        assert changed[mask].mean() > 0.98
        assert not changed[~near].any()


def test_nearer_things_hide_what_is_behind_them(art: Art) -> None:
    scene = crowded()
    far, near = scene.things[:2]
    scene = replace(scene, things=(replace(far, path=near.path), near))
    _, (hidden, shown) = Painter(scene, art).frame(0)
    _, (alone,) = Painter(replace(scene, things=(near,)), art).frame(0)
    np.testing.assert_array_equal(shown, alone)
    assert not (hidden & shown).any()


def test_that_something_sounds_cannot_be_seen(art: Art) -> None:
    scene = draw_scene(2, 3, OPTIONS)
    mute = replace(scene, turns=Turns(~scene.turns.sounding, ~scene.turns.offscreen))
    assert not np.array_equal(sounding(scene), sounding(mute))
    for number in (24, 49):
        np.testing.assert_array_equal(
            Painter(scene, art).frame(number)[0], Painter(mute, art).frame(number)[0]
        )


def test_a_clips_pictures_are_the_last_of_each_second_of_its_film(art: Art) -> None:
    options = replace(OPTIONS, seconds=2)
    clip = generate(5, 1, options, art)
    pictures = list(film(clip.scene, art))
    assert len(pictures) == 50
    np.testing.assert_array_equal(np.stack(pictures[24::25]), clip.frames)


def test_the_world_needs_neither_torch_nor_zmq() -> None:
    code = "import sys, model.world.command; sys.exit(len({'torch', 'zmq'} & set(sys.modules)))"
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
