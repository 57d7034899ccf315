from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.avsbench_ov import IDS
from model.data.avsbench_ov import read_avsbench_ov
from model.data.clips import Clip
from model.errors import ModelError
from model.world.categories import catalogue
from model.world.clip import Clip as WorldClip
from model.world.layout import label_maps
from tests.model.data.laid_out import (
    classes,
    coloured,
    edit,
    grey,
    save,
    save_sound,
    save_text,
    silence,
    world,
)

TRAIN = "AVSBench-openvoc/avsbench_ov_train_base.json"
VAL = "AVSBench-openvoc/avsbench_ov_val_base_novel.json"


def heard_at_once(clip: WorldClip) -> bool:
    """Whether a clip has two things that sound, and one of them in its first second."""
    return classes(clip) >= 2 and bool(clip.sounding[:, 0].any())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[WorldClip]]]:
    """A set with all three parts, read only."""
    root = tmp_path_factory.mktemp("world")
    return root, {
        "train": world(root, "train", clips=3, split="base", seed=1, first=[heard_at_once]),
        "val": world(root, "val", clips=3, seconds=5, seed=2, first=[heard_at_once]),
        "test": world(root, "test", clips=5, seed=9, first=[heard_at_once, lambda clip: not classes(clip)]),
    }


@pytest.fixture
def root(made: tuple[Path, dict[str, list[WorldClip]]], tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    shutil.copytree(made[0], tmp_path / "set")
    return tmp_path / "set"


def assert_shows(clip: Clip, truth: WorldClip) -> None:
    np.testing.assert_array_equal(clip.label_maps(), label_maps(truth))
    np.testing.assert_allclose(
        clip.sound, truth.audio.ravel(), atol=2 / 32_767
    )  # 16 bits, written by another full scale
    assert np.abs(clip.frames.astype(int) - truth.frames).mean() < 6  # JPEG
    assert clip.seconds == tuple(range(len(truth.frames)))
    assert clip.supervised.all()


@pytest.mark.parametrize("part", ["train", "val"])
def test_annotated_parts_are_what_the_world_made(
    made: tuple[Path, dict[str, list[WorldClip]]], part: Any
) -> None:
    root, worlds = made
    clips = read_avsbench_ov(root, part)
    assert len(clips) == len(worlds[part])
    ids = catalogue().label_ids
    for clip, truth in zip(clips, worlds[part], strict=True):
        assert_shows(clip, truth)
        shown = truth.visible & truth.sounding[:, :, None, None]
        kept = np.flatnonzero(shown.any(axis=(1, 2, 3)))
        names = [truth.scene.things[number].name for number in kept]
        np.testing.assert_array_equal(clip.masks, shown[kept])
        assert clip.category_ids == tuple(ids[name] for name in names)
        assert clip.classes == tuple(sorted(names))
        assert clip.label == ("v1m" if part == "val" else "v2")


def test_the_test_part_is_a_listing_and_its_truth_the_label_maps(
    made: tuple[Path, dict[str, list[WorldClip]]],
) -> None:
    root, worlds = made
    clips = list(read_avsbench_ov(root, "test"))
    assert len(clips) == 5
    assert any(not clip.classes for clip in clips), "one clip at least has an empty list of classes"
    for clip, truth in zip(clips, worlds["test"], strict=True):
        assert_shows(clip, truth)
        assert set(clip.category_ids) == set(np.unique(label_maps(truth))) - {0}
        assert clip.masks.sum() == (label_maps(truth) > 0).sum()


def test_categories_that_the_metadata_do_not_list_are_background(root: Path) -> None:
    table = root / "AVSBench-semantic/metadata.csv"
    lines = table.read_text().splitlines()
    clips = read_avsbench_ov(root, "test")
    clip = next(clip for clip in clips if len(clip.classes) >= 2)
    number = next(n for n, line in enumerate(lines) if clip.uid in line)
    lines[number] = lines[number].replace("_".join(clip.classes), clip.classes[0])
    save_text(table, "\n".join(lines))
    again = next(other for other in read_avsbench_ov(root, "test") if other.uid == clip.uid)
    kept = clips.categories.ids[clip.classes[0]]
    np.testing.assert_array_equal(again.label_maps(), np.where(clip.label_maps() == kept, kept, 0))


def test_training_on_a_novel_category_is_refused(root: Path) -> None:
    def smuggle(table: Any, name: str) -> None:
        table["annotations"][0]["id"] = 81
        table["annotations"][0]["category_id"] = catalogue().label_ids[name]

    edit(root / TRAIN, lambda table: smuggle(table, "violin"))
    with pytest.raises(
        ModelError, match=r"train_base\.json: annotation 81: found 'violin', a novel category"
    ):
        read_avsbench_ov(root, "train")
    edit(root / TRAIN, lambda table: smuggle(table, "gun"))  # AVSBench's, but not this world's
    with pytest.raises(ModelError, match=r"annotation 81: found 'gun', not a base category; expected one of"):
        read_avsbench_ov(root, "train")
    (root / "world.json").unlink()  # without it the base categories are AVSBench's
    edit(root / TRAIN, lambda table: table.update(annotations=table["annotations"][:1]))
    assert read_avsbench_ov(root, "train").files[0].classes == ("gun",)


def test_numbers_of_categories_are_gone_by_name(
    made: tuple[Path, dict[str, list[WorldClip]]], root: Path
) -> None:
    def shift(table: Any) -> None:
        for entry in table["categories"]:
            entry["id"] -= 1
        for entry in table["annotations"]:
            entry["category_id"] -= 1

    edit(root / VAL, shift)
    for clip, truth in zip(read_avsbench_ov(root, "val"), made[1]["val"], strict=True):
        assert_shows(clip, truth)


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """Twelve frames, written down as text sorts them: 0, 1, 10, 11, 2 ...; number i is grey level 10 i."""
    names = sorted(f"{number}.jpg" for number in range(12))
    segmentations: list[Any] = []
    for name in names:
        number = int(name[:-4])
        for part in ("val", "test"):
            save(tmp_path / f"AVSBench-openvoc/{part}/JPEGImages/a_b/{name}", grey(8, 16, 10 * number))
        labels = np.zeros((8, 16), np.int64)
        labels[:, : number + 1] = IDS["dog"]
        save(tmp_path / f"AVSBench-semantic/v2/a_b/labels_rgb/{number}.png", coloured(labels))
        segmentations.append([[0, 0, number + 1, 0, number + 1, 8, 0, 8]])
    save_sound(tmp_path / "AVSBench-semantic/v2/a_b/audio.wav", silence(12))
    save_text(tmp_path / "AVSBench-semantic/metadata.csv", "a,a_b,0,12,dog_cat,test,v2\n")
    video = {"id": 5, "file_names": [f"a_b/{name}" for name in names], "label": "v2"}
    track = {"id": 9, "video_id": 5, "category_id": 1, "iscrowd": 0, "segmentations": segmentations}
    crowd = {**track, "id": 10, "iscrowd": 1}
    table = {"videos": [video], "annotations": [track, crowd], "categories": [{"id": 1, "name": "dog"}]}
    save_text(tmp_path / VAL, json.dumps(table))
    for part in ("val", "test"):
        (clip,) = read_avsbench_ov(tmp_path, part)
        assert clip.seconds == tuple(range(12))
        assert (np.abs(clip.frames[:, 0, 0, 0].astype(int) - 10 * np.arange(12)) < 3).all()
        assert clip.masks.sum(axis=(2, 3)).tolist() == [[8 * (number + 1) for number in range(12)]]
        assert clip.classes == (("dog",) if part == "val" else ("dog", "cat"))
        assert len(clip.category_ids) == 1, "the crowd is left out"


def test_of_v1s_only_the_first_frame_is_trained_on(root: Path) -> None:
    uid = read_avsbench_ov(root, "train").files[0].uid
    shutil.copytree(root / "AVSBench-semantic/v2" / uid, root / "AVSBench-semantic/v1s" / uid)
    edit(root / TRAIN, lambda table: table["videos"][0].update(label="v1s"))
    files = read_avsbench_ov(root, "train").files[0]
    assert files.supervised == (True, False)
    clip = files.load()
    assert clip.supervised.tolist() == [True, False]
    assert not clip.masks[:, 1].any()
    assert files.load([1]).masks.shape[0] == 0
    backwards = files.load([1, 0])
    np.testing.assert_array_equal(backwards.masks, clip.masks[:, ::-1])
    assert clip.masks.any()


def _video(key: str, value: Any) -> Any:
    return lambda table: table["videos"][0].update({key: value})


def _annotation(key: str, value: Any) -> Any:
    return lambda table: table["annotations"][0].update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.pop("videos"), r"novel\.json: videos: found nothing, expected a list"),
        (lambda table: table.update(videos=[]), r"novel\.json: videos: found none, expected some"),
        (lambda table: table.update(categories=[3]), r"categories: found a whole number, expected an object"),
        (_video("label", "v3"), r"video 1: label: found 'v3', expected v1s or v1m or v2"),
        (_video("id", 2), r"video 2: found its id twice"),
        (_video("file_names", ["0.jpg"]), r"video 1: file_names: found \['0\.jpg'\], expected some, as"),
        (_video("file_names", ["a/x.jpg"] * 5), r"x\.jpg: found no number at the end of its name"),
        (_video("file_names", ["a/0.jpg"] * 5), r"0\.jpg: found a second frame number 0"),
        (_video("file_names", [f"a/{n}.jpg" for n in range(5)]), r"a/0\.jpg: not found; expected a frame of"),
        (_annotation("video_id", 77), r"annotation 1: video_id: found that of no video"),
        (_annotation("category_id", 999), r"annotation 1: category_id: found 999, expected one that is"),
        (_annotation("segmentations", [None]), r"annotation 1: segmentations: found 1, expected 5, one for"),
        (
            lambda table: [entry.update(name="unicorn") for entry in table["categories"]],
            r"annotation 1: found category 'unicorn', expected one of the set's 84",
        ),
    ],
)
def test_odd_annotations_are_told_when_the_set_is_opened(root: Path, change: Any, message: str) -> None:
    edit(root / VAL, change)
    with pytest.raises(ModelError, match=message):
        read_avsbench_ov(root, "val")


def test_masks_that_do_not_fit_are_told_when_the_clip_is_read(root: Path) -> None:
    edit(root / VAL, _annotation("segmentations", [{"size": [5, 5], "counts": [25]}] * 5))
    clips = read_avsbench_ov(root, "val")
    with pytest.raises(ModelError, match=r"annotation 1: segmentation 0: size: found \[5, 5\]"):
        [clips[index] for index in range(len(clips))]


def test_missing_and_odd_files_are_told(root: Path) -> None:
    files = read_avsbench_ov(root, "test").files[0]
    home = root / "AVSBench-semantic/v2" / files.uid
    save(files.frames[1], grey(10, 12))
    with pytest.raises(ModelError, match=r"1\.jpg: found 12 x 10 pixels, expected 64 x 64 pixels, as before"):
        files.load()
    files.frames[1].write_bytes(b"no picture")
    with pytest.raises(ModelError, match=r"1\.jpg: cannot be read as a picture"):
        files.load()
    (home / "audio.wav").unlink()
    with pytest.raises(ModelError, match=r"audio\.wav: not found; expected the clip's sound"):
        read_avsbench_ov(root, "test")
    (home / "labels_rgb/1.png").unlink()
    (home / "audio.wav").touch()
    with pytest.raises(ModelError, match=r"1\.png: not found; expected the frame's label map"):
        read_avsbench_ov(root, "test")
    (root / "AVSBench-openvoc/test/JPEGImages/stranger").mkdir()
    (home / "labels_rgb/1.png").touch()
    with pytest.raises(ModelError, match=r"metadata\.csv: stranger: found no line, expected one"):
        read_avsbench_ov(root, "test")
    shutil.rmtree(root / "AVSBench-openvoc/test")
    with pytest.raises(ModelError, match=r"test/JPEGImages: found no clip"):
        read_avsbench_ov(root, "test")
    (root / TRAIN).unlink()
    with pytest.raises(
        ModelError, match=r"train_base\.json: not found; expected the annotations of part train"
    ):
        read_avsbench_ov(root, "train")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,b,0,5,dog,test", r"metadata\.csv:\d+: found 6 columns, expected 7: video id, uid"),
        ("a,b,0,5,dog,test,v9", r"metadata\.csv:\d+: label: found 'v9', expected v1s or v1m or v2"),
        ("a,b,0,5,dog,test,v2\na,b,0,5,cat,test,v2", r"metadata\.csv:\d+: b: found it unlike .*csv:\d+"),
    ],
)
def test_odd_lines_of_the_metadata_are_told(root: Path, line: str, message: str) -> None:
    table = root / "AVSBench-semantic/metadata.csv"
    save_text(table, f"{table.read_text()}{line}\n")
    with pytest.raises(ModelError, match=message):
        read_avsbench_ov(root, "test")


def test_a_class_without_a_name_is_told_with_its_line(root: Path) -> None:
    table = root / "AVSBench-semantic/metadata.csv"
    uid = read_avsbench_ov(root, "test").files[0].uid
    lines = [
        f"a,{uid},0,2,dog_unicorn,test,v2" if uid in line else line for line in table.read_text().split("\n")
    ]
    save_text(table, "\n".join(lines))
    with pytest.raises(ModelError, match=r"metadata\.csv:\d+: found category 'unicorn'"):
        read_avsbench_ov(root, "test")
