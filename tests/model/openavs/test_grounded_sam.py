"""Grounded SAM with tiny models of random weights: what comes in and goes out, not what is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="the extra openavs is not installed")

from model.errors import ModelError
from model.openavs import pretrained
from model.openavs.grounded_sam import MOST_NOUNS, GroundedSam
from tests.model.openavs import tiny_networks

SEES_ANYTHING = {"box": 1e-6, "text": 1e-6}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("networks")
    return {name: getattr(tiny_networks, name)(base / name) for name in ("grounding_dino", "sam", "sam2")}


@pytest.mark.parametrize("kind", ["sam", "sam2"])
@pytest.mark.parametrize("shape", [(48, 80), (80, 48)])
def test_regions_are_of_the_pictures_size_one_for_each_noun(
    folders: dict[str, Path], kind: str, shape: tuple[int, int]
) -> None:
    eyes = GroundedSam(folders["grounding_dino"], folders[kind], **SEES_ANYTHING)
    regions = eyes.regions(tiny_networks.noise(*shape), ["dog", "acoustic guitar"])
    assert set(regions) <= {"dog", "acoustic guitar"}
    assert regions, "with these thresholds everything is a box"
    for region in regions.values():
        assert region.mask.shape == shape
        assert region.mask.dtype == np.bool_
        assert region.area == pytest.approx(region.mask.mean())


def test_a_region_is_the_union_of_what_fills_the_nouns_boxes(folders: dict[str, Path]) -> None:
    eyes = GroundedSam(folders["grounding_dino"], folders["sam"], **SEES_ANYTHING)
    image = tiny_networks.noise(48, 80)
    boxes = eyes.boxes(image, "dog")
    assert len(boxes) > 1
    one_by_one = [eyes._masks(image, box[None])[0].numpy() for box in boxes]
    together = eyes.regions(image, ["dog"])["dog"].mask
    assert np.mean(together == np.any(one_by_one, axis=0)) > 0.999


def test_a_noun_is_asked_for_alone(folders: dict[str, Path]) -> None:
    eyes = GroundedSam(folders["grounding_dino"], folders["sam"], **SEES_ANYTHING)
    image = tiny_networks.noise(48, 80)
    alone = eyes.regions(image, ["dog"])["dog"].mask
    assert np.mean(alone == eyes.regions(image, ["cat", "dog"])["dog"].mask) > 0.999


def test_nothing_is_sure_enough_or_asked_for(folders: dict[str, Path]) -> None:
    eyes = GroundedSam(folders["grounding_dino"], folders["sam"], box=1.0)
    assert eyes.regions(tiny_networks.noise(48, 80), ["dog"]) == {}
    assert eyes.regions(tiny_networks.noise(48, 80), []) == {}


def test_so_many_nouns_are_looked_for_the_surest_first(folders: dict[str, Path]) -> None:
    eyes = GroundedSam(folders["grounding_dino"], folders["sam"], **SEES_ANYTHING)
    nouns = [f"thing {letter}" for letter in "abcdefgh"]
    assert set(eyes.regions(tiny_networks.noise(48, 80), nouns)) <= set(nouns[:MOST_NOUNS])


def test_a_noun_is_one_text_whatever_is_in_it(folders: dict[str, Path]) -> None:
    eyes = GroundedSam(folders["grounding_dino"], folders["sam"], **SEES_ANYTHING)
    image = tiny_networks.noise(48, 80)
    assert torch.equal(eyes.boxes(image, "Mr. Dog."), eyes.boxes(image, "mr  dog"))


def test_in_bfloat16_the_masks_are_much_the_same(folders: dict[str, Path]) -> None:
    image, found = tiny_networks.noise(48, 80), []
    for precision in ("float32", "bfloat16"):
        eyes = GroundedSam(folders["grounding_dino"], folders["sam"], precision=precision, **SEES_ANYTHING)
        found.append(eyes.regions(image, ["dog"])["dog"].mask)
    assert np.mean(found[0] == found[1]) > 0.9


def test_one_network_is_not_taken_for_the_other(folders: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match="found a model of type 'sam', expected one of grounding-dino"):
        GroundedSam(folders["sam"], folders["sam"])


def test_a_folder_that_is_not_there_or_not_whole_is_told(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"found no .*config\.json"):
        GroundedSam(tmp_path, folders["sam"])
    (tmp_path / "config.json").write_bytes((folders["grounding_dino"] / "config.json").read_bytes())
    with pytest.raises(ModelError, match="cannot be opened") as error:
        GroundedSam(tmp_path, folders["sam"])
    assert "\n" not in str(error.value)


def test_weights_are_not_made_up(folders: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for file in folders["sam"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    entries = load_file(tmp_path / "model.safetensors")
    del entries[next(name for name in entries if name.startswith("mask_decoder.iou_token"))]
    save_file(entries, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 weights, such as mask_decoder\.iou_token"):
        GroundedSam(folders["grounding_dino"], tmp_path)


def test_pickled_weights_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    for file in folders["sam"].glob("*.json"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save(load_file(folders["sam"] / "model.safetensors"), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be opened"):
        GroundedSam(folders["grounding_dino"], tmp_path)


def test_a_library_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install -e '\.\[openavs\]'"):
        pretrained.require_transformers()
