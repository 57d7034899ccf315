from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.avsbench_ov import IDS
from model.data.avsbench import read_ms3, read_s4, read_semantic
from model.data.avsbench_ov import read_avsbench_ov
from model.data.files import read_picture
from model.data.sound import read_sound
from model.errors import ModelError
from tests.model.data.laid_out import coloured, grey, save, save_sound, save_text, silence

SAMPLES = Path(__file__).parents[3] / ".." / "shared" / "media" / "avsbench_samples"


def band(k: int) -> np.ndarray:
    """A mask whose area is k of 10 columns."""
    mask = np.zeros((6, 10), np.uint8)
    mask[:, :k] = 45
    return mask


def s4(root: Path) -> None:
    save_text(
        root / "s4_meta_data.csv", "name,start,category,split\nx_1,0,dog_barking,train\ny,3,baby,test\n"
    )
    for split, category, video in (("train", "dog_barking", "x_1"), ("test", "baby", "y")):
        shelf = Path(split) / category
        save_sound(root / "s4_data/audio_wav" / shelf / f"{video}.wav", silence(5))
        for k in range(1, 6):
            save(root / "s4_data/visual_frames" / shelf / video / f"{video}_{k}.png", grey(6, 10, 10 * k))
            if split == "test" or k == 1:
                save(root / "s4_data/gt_masks" / shelf / video / f"{video}_{k}.png", band(k))


def test_s4_trains_on_the_first_frame_and_tests_on_all(tmp_path: Path) -> None:
    s4(tmp_path)
    (train,), (test,) = read_s4(tmp_path, "train"), read_s4(tmp_path, "test")
    assert read_s4(tmp_path, "train").categories.ids == {"baby": 1, "dog_barking": 2}
    assert (train.uid, train.category_ids, train.classes) == ("x_1", (2,), ("dog_barking",))
    assert train.supervised.tolist() == [True, False, False, False, False]
    assert train.masks.sum(axis=(2, 3)).tolist() == [[6, 0, 0, 0, 0]]
    assert (test.uid, test.category_ids, test.label) == ("y", (1,), "s4")
    assert test.supervised.all()
    assert test.masks.sum(axis=(2, 3)).tolist() == [[6, 12, 18, 24, 30]]
    assert test.frames[:, 0, 0, 0].tolist() == [10, 20, 30, 40, 50]
    assert test.seconds == (0, 1, 2, 3, 4)


def ms3(root: Path) -> None:
    save_text(root / "ms3_meta_data.csv", "a,train\nb,val\n")
    for split, video in (("train", "a"), ("val", "b")):
        save_sound(root / "ms3_data/audio_wav" / split / f"{video}.wav", silence(5))
        for k in range(1, 6):
            save(root / "ms3_data/visual_frames" / video / f"{video}.mp4_{k}.png", grey(6, 10, 10 * k))
            mask = Image.fromarray(band(k - 1)).convert("P")
            path = root / "ms3_data/gt_masks" / split / video / f"{video}_{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            mask.save(path)


@pytest.mark.parametrize(("split", "video"), [("train", "a"), ("val", "b")])
def test_ms3_has_one_object_that_may_be_gone(tmp_path: Path, split: str, video: str) -> None:
    ms3(tmp_path)
    (clip,) = read_ms3(tmp_path, split)  # type: ignore[arg-type]
    assert (clip.uid, clip.label, clip.classes, clip.category_ids) == (video, "ms3", (), (1,))
    assert clip.masks.sum(axis=(2, 3)).tolist() == [[0, 6, 12, 18, 24]]
    assert clip.supervised.all()


def semantic(root: Path) -> Path:
    """One clip of each kind, and a split with none; frame i is dog on i + 1 columns, and cat on the last."""
    lines = ["a,a_0,0,5,dog_cat,train,v1s", "b,b_0,0,5,dog,test,v1m", "c,c_0,0,10,,test,v2"]
    save_text(
        root / "AVSBench-semantic/metadata.csv", "vid,uid,s_min,s_sec,a_obj,split,label\n" + "\n".join(lines)
    )
    for label, uid, count in (("v1s", "a_0", 5), ("v1m", "b_0", 5), ("v2", "c_0", 10)):
        home = root / "AVSBench-semantic" / label / uid
        save_sound(home / "audio.wav", silence(count))
        for i in range(count):
            save(home / f"frames/{i}.jpg", grey(6, 12, 10 * i))
            labels = np.zeros((6, 12), np.int64)
            labels[:, : i + 1], labels[:, -1] = IDS["dog"], IDS["cat"]
            if label != "v1s" or i == 0:
                save(home / f"labels_rgb/{i}.png", coloured(labels))
    return root


def test_the_semantic_layout_counts_every_painted_pixel(tmp_path: Path) -> None:
    (train,) = read_semantic(semantic(tmp_path), "train")
    assert (train.label, train.classes, train.category_ids) == (
        "v1s",
        ("dog", "cat"),
        (IDS["cat"], IDS["dog"]),
    )
    assert train.supervised.tolist() == [True, False, False, False, False]
    v1m, v2 = read_semantic(tmp_path, "test")
    assert v1m.category_ids == v2.category_ids == (IDS["cat"], IDS["dog"])
    assert v2.classes == ()
    assert v2.seconds == tuple(range(10))
    assert (v2.label_maps() == IDS["dog"]).sum(axis=(1, 2)).tolist() == [6 * (i + 1) for i in range(10)]
    assert [clip.uid for clip in read_semantic(tmp_path, "test", labels=("v2",))] == ["c_0"]


def test_missing_files_are_told(tmp_path: Path) -> None:
    s4(tmp_path), ms3(tmp_path), semantic(tmp_path)
    with pytest.raises(ModelError, match=r"s4_meta_data\.csv: found no videos of split val, expected some"):
        read_s4(tmp_path, "val")
    with pytest.raises(
        ModelError, match=r"metadata\.csv: found no clips of split val labelled v1s or v1m or v2"
    ):
        read_semantic(tmp_path, "val")
    (tmp_path / "s4_data/gt_masks/test/baby/y/y_3.png").unlink()
    with pytest.raises(ModelError, match=r"y_3\.png: not found; expected a mask of the video that .*csv:3"):
        read_s4(tmp_path, "test")
    (tmp_path / "ms3_data/audio_wav/val/b.wav").unlink()
    with pytest.raises(ModelError, match=r"b\.wav: not found; expected the sound of the video that .*csv:2"):
        read_ms3(tmp_path, "val")
    (tmp_path / "ms3_data/visual_frames/a/a.mp4_5.png").unlink()
    with pytest.raises(ModelError, match=r"a\.mp4_5\.png: not found; expected a frame of"):
        read_ms3(tmp_path, "train")
    for frame in (tmp_path / "AVSBench-semantic/v2/c_0/frames").iterdir():
        frame.unlink()
    with pytest.raises(ModelError, match=r"c_0/frames: found no frame"):
        read_semantic(tmp_path, "test")
    with pytest.raises(ModelError, match=r"ms3_meta_data\.csv: not found; expected a table of name, split"):
        read_ms3(tmp_path / "elsewhere", "train")
    save_text(tmp_path / "ms3_meta_data.csv", "name,split\na,train\nb,trial\n")
    with pytest.raises(
        ModelError, match=r"ms3_meta_data\.csv:3: split: found 'trial', expected train or val"
    ):
        read_ms3(tmp_path, "train")


@pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the true frames ../shared/media/avsbench_samples are absent"
)
class TestTrueFrames:
    """The four frames that are there, each given to a whole clip of its layout."""

    @pytest.mark.parametrize(
        ("name", "picture", "mask"), [("s4", "0.jpg", "0.png"), ("ref-avs", "7.jpg", "00007.png")]
    )
    def test_as_s4(self, tmp_path: Path, name: str, picture: str, mask: str) -> None:
        save_text(tmp_path / "s4_meta_data.csv", "a,0,lawn_mower,train\n")
        home = tmp_path / "s4_data"
        for k in range(1, 6):
            save(home / f"visual_frames/train/lawn_mower/a/a_{k}.png", read_picture(SAMPLES / name / picture))
        _copy(SAMPLES / name / mask, home / "gt_masks/train/lawn_mower/a/a_1.png")
        _copy(SAMPLES / name / "audio.wav", home / "audio_wav/train/lawn_mower/a.wav")
        (clip,) = read_s4(tmp_path, "train")
        painted = np.array(Image.open(SAMPLES / name / mask)) > 0
        np.testing.assert_array_equal(clip.masks[0, 0], painted)
        np.testing.assert_array_equal(clip.frames[0], read_picture(SAMPLES / name / picture))
        assert clip.masks[0, 0].any()
        assert clip.examples("clip").isfinite().all()

    def test_as_ms3(self, tmp_path: Path) -> None:
        save_text(tmp_path / "ms3_meta_data.csv", "name,split\na,test\n")
        home = tmp_path / "ms3_data"
        for k in range(1, 6):
            save(home / f"visual_frames/a/a.mp4_{k}.png", read_picture(SAMPLES / "ms3/1.jpg"))
            _copy(SAMPLES / "ms3/1.png", home / f"gt_masks/test/a/a_{k}.png")
        _copy(SAMPLES / "ms3/audio.wav", home / "audio_wav/test/a.wav")
        (clip,) = read_ms3(tmp_path, "test")
        numbers = np.array(Image.open(SAMPLES / "ms3/1.png"))
        assert set(np.unique(numbers)) == {0, 9, 41}, "two things sound, told apart by number"
        np.testing.assert_array_equal(clip.masks[0, 4], numbers > 0)
        assert clip.sound.shape == (80_320,)
        assert clip.size == (720, 1280)

    def test_as_avsbench_ov_and_as_semantic(self, tmp_path: Path) -> None:
        """The man plays the clarinet; of AVSBench's colours only the clarinet's is there."""
        home = tmp_path / "AVSBench-semantic/v2/a"
        for i in range(10):
            _copy(SAMPLES / "avss/0.jpg", home / f"frames/{i}.jpg")
            _copy(SAMPLES / "avss/0.jpg", tmp_path / f"AVSBench-openvoc/test/JPEGImages/a/{i}.jpg")
            _copy(SAMPLES / "avss/0.png", home / f"labels_rgb/{i}.png")
        _copy(SAMPLES / "avss/audio.wav", home / "audio.wav")
        save_text(tmp_path / "AVSBench-semantic/metadata.csv", "a,a,0,10,clarinet,test,v2\n")
        painted = read_picture(SAMPLES / "avss/0.png").any(axis=-1)
        for clips in (read_avsbench_ov(tmp_path, "test"), read_semantic(tmp_path, "test")):
            files = clips.files[0]
            clip = files.load([0, 9])
            assert [clips.categories.names[id_] for id_ in clip.category_ids] == ["clarinet"]
            np.testing.assert_array_equal(clip.masks[0, 1], painted)
            assert clip.seconds == (0, 9)
            assert clip.examples("second").shape == (2, 96, 64)
        assert len(read_sound(home / "audio.wav")) == 160_000, "48 kHz in stereo, ten seconds"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
