"""YAMNet and DeepLab themselves, where their weights are; and what is told where they are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from model import depot
from model.errors import ModelError
from model.openavs import litert
from model.openavs.deeplab import NOUNS, SIDE, DeepLab
from model.openavs.table import Table
from model.openavs.yamnet import Yamnet

WEIGHTS = Path(__file__).parents[4] / "shared" / "weights"
YAMNET = WEIGHTS / "yamnet_audio_classifier_with_metadata.tflite"
DOG = WEIGHTS.parent / "media" / "av_dog_pomeranian_bark.mp4"
DEEPLAB = WEIGHTS / "deeplabv3_mnv2_pascal_quant_513.tflite"
real = pytest.mark.skipif(not WEIGHTS.is_dir(), reason="the networks ../shared/weights/*.tflite are absent")


@real
def test_yamnet_hears_silence_and_a_tone() -> None:
    ears = Yamnet(YAMNET)
    assert next(iter(ears.sounds(np.zeros(16_000, np.float32)))) == "Silence"
    t_s = np.arange(16_000) / 16_000
    tone = ears.sounds((0.5 * np.sin(2 * np.pi * 1000 * t_s)).astype(np.float32))
    assert next(iter(tone)) == "Beep, bleep"
    assert list(tone.values()) == sorted(tone.values(), reverse=True)


@real
def test_every_sound_of_the_table_is_one_that_yamnet_knows() -> None:
    names, entries = set(litert.labels_in(YAMNET)), Table().entries
    kinds = (entries.kinds.speech, entries.kinds.singing, entries.kinds.music)
    tags = [one.tags for one in (*entries.nouns.values(), *entries.families.values())]
    assert set().union(*tags, *kinds, entries.unnamed) <= names


@real
def test_deeplab_keeps_the_picture_upright_and_its_nouns_are_the_tables() -> None:
    eyes = DeepLab(DEEPLAB)
    for shape in ((120, 300, 3), (300, 120, 3), (700, 900, 3)):
        image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        for region in eyes.regions(image, NOUNS).values():
            assert region.mask.shape == shape[:2]
            assert region.area == pytest.approx(region.mask.mean())
    assert set(Table().entries.nouns) <= set(NOUNS)


@real
@pytest.mark.skipif(not DOG.is_file(), reason=f"the clip {DOG.name} is absent")
def test_deeplab_in_the_shape_of_the_picture_sees_what_the_published_file_sees() -> None:
    from ai_edge_litert.interpreter import Interpreter

    film = cv2.VideoCapture(str(DOG))
    film.set(cv2.CAP_PROP_POS_MSEC, 3000)
    whole = film.read()[1][..., ::-1]
    image = cv2.resize(whole, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    published = Interpreter(str(DEEPLAB))
    published.allocate_tensors()
    published.set_tensor(published.get_input_details()[0]["index"], image[None])
    published.invoke()
    expected = published.get_tensor(published.get_output_details()[0]["index"])[0]
    found = np.zeros((SIDE, SIDE), int)
    for noun, region in DeepLab(DEEPLAB).regions(image, NOUNS).items():
        found[region.mask] = NOUNS.index(noun)
        assert region.soft is not None
        assert (region.soft[region.mask] >= 0.5).all()
        assert (region.soft[~region.mask] <= 0.5).all()
    assert NOUNS.index("dog") in expected
    assert (found == expected).mean() > 0.99


@real
@pytest.mark.parametrize(
    ("shape", "steps"), [((360, 640), (19, 33)), ((640, 360), (33, 19)), ((20, 900), (2, 33))]
)
def test_a_network_is_made_for_the_shape_of_the_picture(
    shape: tuple[int, int], steps: tuple[int, int]
) -> None:
    scores = DeepLab(DEEPLAB).scores(np.zeros((*shape, 3), np.uint8))
    assert tuple(scores.shape) == (len(NOUNS), *steps)


@real
def test_another_network_is_not_taken_for_deeplab() -> None:
    with pytest.raises(ModelError, match="found another network, expected DeepLabV3"):
        DeepLab(YAMNET)


@real
def test_one_network_is_not_taken_for_the_other() -> None:
    with pytest.raises(ModelError, match="found a network for inputs of"):
        Yamnet(DEEPLAB)


def test_what_is_no_network_is_told(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / "text.tflite"
    path.write_text("no network")
    with pytest.raises(ModelError, match="not a TensorFlow Lite network"):
        DeepLab(path)
    with pytest.raises(ModelError, match=r"none\.tflite: cannot be read \(No such file"):
        DeepLab(tmp_path / "none.tflite")


def test_a_runtime_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install -e '\.\[edge\]'"):
        litert.require_litert()


def test_weights_that_are_not_there_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OV_AVSS_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"fetch it: python run_pipeline\.py weights fetch yamnet"):
        depot.found("yamnet")
