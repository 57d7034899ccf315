"""The chain out of what the bundled model was taught by tags: it names the sounds of the world, and sees."""

from __future__ import annotations

import av
import numpy as np
import pytest

from model.checkpoint import weights_path
from model.openavs.lessons import LessonEars, LessonSight
from model.openavs.names import Names
from model.openavs.scales import SCALES
from model.openavs.table import Table
from model.options import LocaliserOptions
from model.pictures import model_size, resized
from model.training.tiny.tags import sounding_tags
from model.world.categories import catalogue
from model.world.sounds import bank
from streaming.config import load
from tests.pipeline import ROOT

WEIGHTS = weights_path("bundled:tiny")
NAMES = Names(Table(sure=SCALES["lessons"].sure))


@pytest.mark.parametrize("name", ["dog", "violin", "helicopter"])
def test_ears_name_a_voice_of_the_world(name: str) -> None:
    (category,) = (one for one in catalogue().of_split("mixed") if one.name == name)
    voice = bank([category], seed=77, voices=1, seconds=1)[name][0, 0]
    sounds = LessonEars(WEIGHTS).sounds(0.1 * voice.astype(np.float32) / np.abs(voice).max())
    assert next(iter(sounds)) == name
    assert NAMES.prompts(sounds).nouns[name] > 0.5


def test_silence_is_called_nothing() -> None:
    assert NAMES.offscreen_text(LessonEars(WEIGHTS).sounds(np.zeros(16_000, np.float32))) is None


def test_eyes_find_the_things_of_the_demonstration_clip() -> None:
    eyes = LessonSight(WEIGHTS, LocaliserOptions.of(load(model="tiny").model))
    assert eyes.nouns == frozenset(sounding_tags())
    with av.open(str(ROOT / "media" / "demo.mp4")) as film:
        frame = next(film.decode(video=0)).to_ndarray(format="rgb24")
    image = resized(frame, model_size((frame.shape[0], frame.shape[1]), 160, 1333))
    regions = eyes.regions(image, sounding_tags())
    assert regions
    for region in regions.values():
        assert region.soft is not None
        assert region.mask.shape == region.soft.shape == image.shape[:2]
        assert np.array_equal(region.mask, region.soft > 0.5)
        assert region.area == region.mask.mean()
