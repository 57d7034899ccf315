"""The demonstration clip: what it promises, that the file shows it, and that the bundled model finds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from model.checkpoint import weights_path
from model.errors import ModelError
from model.world.art import ART, Art, ArtMissing
from model.world.categories import catalogue
from model.world.clip import soundtrack
from model.world.mixing import runs
from model.world.paint import FPS, Painter
from model.world.synth import RATE_HZ
from streaming.config import load, setting
from streaming.results import read_results
from tests import pipeline
from tools.make_demo_clip import CLIP, HEARD, SECONDS, SIDE, Second, make, scene, truth

DEMO = pipeline.ROOT / "configs" / "demo.yaml"
NAMES = [thing.name for thing in scene().things]

Pictures = list[np.ndarray]


# The plan -------------------------------------------------------------------------------------------------


def test_it_shows_base_and_novel_things_and_one_that_never_sounds() -> None:
    kinds = catalogue().categories
    splits = [kinds[name].split for name in NAMES if name in kinds]
    assert splits.count("base") >= 2
    assert splits.count("novel") >= 2
    assert [name for name in NAMES if name not in kinds] == ["sunflower"]
    assert "sunflower" in catalogue().silent
    assert HEARD in kinds
    assert HEARD not in NAMES


def test_things_take_turns_sound_together_and_fall_silent() -> None:
    seconds = truth()
    sounding = np.array([[name in second.sounding for second in seconds] for name in NAMES])
    offscreen = np.array([second.offscreen for second in seconds])
    voices = sounding.sum(axis=0)
    assert len(seconds) == SECONDS == 20
    assert 2 <= (voices == 2).sum() <= 6, "some seconds have two voices"
    assert voices.max() == 2
    assert 2 <= (voices[~offscreen] == 0).sum() <= 4, "some have none"
    assert [stop - start for start, stop in runs(offscreen)] == [2], "something is heard and not seen"
    assert not voices[offscreen].any()
    speak = [name in catalogue().categories for name in NAMES]
    assert (sounding.any(axis=1) == speak).all()
    assert (np.diff(sounding.astype(int)) < 0).any(axis=1)[speak].all(), (
        "each falls silent, and stays in view"
    )


def test_nothing_leaves_the_picture_or_hides_anything_else() -> None:
    for number in range(SECONDS * FPS):
        places = [(thing.name, *thing.path.at(number / FPS)) for thing in scene().things]
        for name, x, y, _, size in places:
            assert size / 2 < x < 1 - size / 2, (name, number)
            assert size / 2 < y < 1 - size / 2, (name, number)
            apart = [np.hypot(x - u, y - v) / (size + other) for who, u, v, _, other in places if who != name]
            assert min(apart) > 0.45, (name, number)


# The file -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown() -> Pictures:
    """The last picture of each second, as the shipped file has it, (side, side, 3)."""
    with av.open(str(CLIP)) as file:
        video = file.streams.video[0]
        assert (video.codec_context.name, video.width, video.height) == ("h264", SIDE, SIDE)
        times, pictures = zip(
            *((frame.time, frame.to_ndarray(format="rgb24")) for frame in file.decode(video)), strict=True
        )
    np.testing.assert_allclose(times, np.arange(SECONDS * FPS) / FPS, atol=1e-4)
    return list(pictures[FPS - 1 :: FPS])


@pytest.fixture(scope="module")
def heard() -> np.ndarray:
    """The sound of each second, as the shipped file has it, (T, 16000) from -1 to 1."""
    resample = av.AudioResampler("flt", "mono", RATE_HZ)
    with av.open(str(CLIP)) as file:
        assert file.streams.audio[0].codec_context.name == "aac"
        blocks = [block for frame in file.decode(audio=0) for block in resample.resample(frame)]
    wave = np.concatenate([block.to_ndarray()[0] for block in blocks])
    return wave[: SECONDS * RATE_HZ].reshape(SECONDS, RATE_HZ)


def test_it_is_small() -> None:
    assert CLIP.stat().st_size < 1_500_000


def test_the_file_sounds_as_planned(heard: np.ndarray) -> None:
    assert np.corrcoef(heard.ravel(), soundtrack(scene()).ravel())[0, 1] > 0.97, "sample for sample, no shift"
    levels = 10 * np.log10(np.mean(heard**2, axis=1) + 1e-12)
    for level, second in zip(levels, truth(), strict=True):
        if second.sounding or second.offscreen:
            assert -30 < level < -12, second
        else:
            assert level < -70, second


def test_the_file_shows_things_where_the_plan_has_them_and_a_still_background_elsewhere(
    shown: Pictures,
) -> None:
    bare = Painter(replace(scene(), things=()), Art())
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for number, (picture, second) in enumerate(zip(shown, truth(), strict=True)):
        ground, _ = bare.frame((number + 1) * FPS - 1)
        apart = np.abs(picture.astype(float) - ground).max(axis=2)
        free = np.ones((SIDE, SIDE), np.bool_)
        for thing in scene().things:
            x, y = second.middles[thing.name]
            far = np.hypot(columns - x, rows - y)
            assert apart[far < 0.25 * thing.path.size * SIDE].mean() > 40, (thing.name, number)
            free &= far > 0.8 * thing.path.size * SIDE
        assert free.mean() > 0.05
        assert apart[free].mean() < 5, number


def test_the_file_shows_what_is_drawn_today(shown: Pictures) -> None:
    """Where the font or the world's painter has changed, the clip has to be made anew."""
    try:
        painter = Painter(scene(), Art())
    except ArtMissing as missing:
        pytest.skip(f"the world's art is not installed ({ART.name}): {missing}")
    for number in range(0, SECONDS, 5):
        picture, masks = painter.frame((number + 1) * FPS - 1)
        assert np.abs(shown[number].astype(float) - picture).mean() < 4, number
        for mask, (x, y) in zip(masks, truth()[number].middles.values(), strict=True):
            down, right = np.nonzero(mask)
            assert right.min() < x < right.max()
            assert down.min() < y < down.max()


def test_what_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"x\.mp4: cannot be written: .*; choose another --out$"):
        make(tmp_path / "file" / "x.mp4")


# The answer -----------------------------------------------------------------------------------------------


def named_there(line: dict[str, Any], name: str, middle: tuple[float, float]) -> bool:
    """Whether a line of results has a track of that name whose box is around that point."""
    x, y = middle
    return any(
        track["label"] == name and left <= x <= left + width and top <= y <= top + height
        for track in line["tracks"]
        for left, top, width, height in [track["box"]]
    )


def meant(line: dict[str, Any], second: Second) -> set[str]:
    """What the tracks of a line are of, whatever they are called: of what is nearest to the box's middle."""
    middles = np.array(list(second.middles.values()))
    found = set()
    for track in line["tracks"]:
        left, top, width, height = track["box"]
        far = np.hypot(*(middles - (left + width / 2, top + height / 2)).T)
        found.add(list(second.middles)[int(far.argmin())])
    return found


@pytest.mark.slow
@pytest.mark.skipif(
    not weights_path("bundled:tiny").is_file(), reason="the bundled model has no weights yet: nothing to hold"
)
def test_the_bundled_model_finds_and_names_what_sounds(tmp_path: Path) -> None:
    settings = [setting(f"output.dir={tmp_path}"), setting("output.annotated=false")]
    pipeline.run(load(DEMO, settings=settings))
    lines = list(read_results(tmp_path / "results.jsonl"))
    seconds = truth()
    assert [line["t_s"] for line in lines] == pytest.approx(range(SECONDS), abs=0.05)

    asked = [(n, name) for n, second in enumerate(seconds) for name in sorted(second.sounding)]
    missed = [(n, name) for n, name in asked if not named_there(lines[n], name, seconds[n].middles[name])]
    assert len(missed) <= 0.1 * len(asked), f"not found, or called something else: {missed}"

    for name in NAMES:
        wrong = [n for n in range(SECONDS) if name in meant(lines[n], seconds[n]) - seconds[n].sounding]
        assert len(wrong) <= 1, f"{name} is silent in the seconds {wrong}"

    unseen = [n for n, second in enumerate(seconds) if second.offscreen]
    assert [n for n in unseen if not lines[n]["offscreen"]] == []
