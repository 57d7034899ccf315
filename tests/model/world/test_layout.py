from __future__ import annotations

import argparse
import csv
import hashlib
import json
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from model import avsbench_ov
from model.errors import ModelError
from model.rle import decode_mask
from model.world.arguments import add_arguments
from model.world.art import Art
from model.world.clip import generate
from model.world.command import main
from model.world.layout import palette, write_film
from model.world.scene import Options

SMALL = ["--artists", "shapes", "--size", "64", "--seconds", "2"]


def world(out: Path, *arguments: str) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert main(parser.parse_args(["--out", str(out), *SMALL, *arguments])) == 0


def digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_set_made_in_pieces_or_by_several_processes_has_the_bytes_of_one_made_at_once(
    tmp_path: Path,
) -> None:
    world(tmp_path / "whole", "--seed", "4", "--clips", "3")
    world(tmp_path / "pieces", "--seed", "4", "--first", "1", "--clips", "2", "--jobs", "2")
    world(tmp_path / "pieces", "--seed", "4", "--clips", "1")
    assert digests(tmp_path / "whole") == digests(tmp_path / "pieces")


def test_annotations_label_maps_and_sound_say_what_the_clip_holds(tmp_path: Path) -> None:
    world(tmp_path, "--seed", "4", "--clips", "4", "--split", "mixed", "--part", "val")
    ytvis = json.loads((tmp_path / "AVSBench-openvoc/avsbench_ov_val_base_novel.json").read_text())
    names = {category["id"]: category["name"] for category in ytvis["categories"]}
    assert {names[id_] for id_ in avsbench_ov.IDS.values()} == set(avsbench_ov.IDS)
    rows = {row["uid"]: row for row in csv.DictReader((tmp_path / "AVSBench-semantic/metadata.csv").open())}
    assert len(ytvis["videos"]) == len(rows) == 4
    for index, video in enumerate(ytvis["videos"]):
        clip = generate(
            4, index, Options(split="mixed", artists=("shapes",), side=64, seconds=2), Art(tmp_path)
        )
        uid = video["file_names"][0].split("/")[0]
        home = tmp_path / "AVSBench-semantic" / rows[uid]["label"] / uid
        tracks = [track for track in ytvis["annotations"] if track["video_id"] == video["id"]]
        sounding = [number for number, row in enumerate(clip.sounding) if row.any()]
        assert [names[track["category_id"]] for track in tracks] == [
            clip.scene.things[number].name for number in sounding
        ]
        heard = {names[track["category_id"]] for track in tracks}
        assert rows[uid]["a_obj"] == "_".join(sorted(heard))
        labels = np.zeros((2, 64, 64), np.uint8)
        for track, number in zip(tracks, sounding, strict=True):
            for second, rle in enumerate(track["segmentations"]):
                truth = clip.visible[number, second] & clip.sounding[number, second]
                mask = decode_mask(rle) if rle else np.zeros((64, 64), np.bool_)
                np.testing.assert_array_equal(mask, truth)
                assert track["bboxes"][second] == _box(truth)
                labels[second][truth] = track["category_id"]
        for second, file in enumerate(video["file_names"]):
            drawn = np.array(Image.open(home / "labels_rgb" / f"{second}.png").convert("RGB"))
            np.testing.assert_array_equal(drawn, palette()[labels[second]])
            picture = np.array(Image.open(tmp_path / "AVSBench-openvoc/val/JPEGImages" / file))
            assert np.abs(picture.astype(int) - clip.frames[second]).mean() < 6
        with wave.open(str(home / "audio.wav")) as sound:
            assert (sound.getframerate(), sound.getnchannels()) == (16_000, 1)
            samples = np.frombuffer(sound.readframes(40_000), "<i2").reshape(2, -1) / 32_767
        np.testing.assert_allclose(samples, clip.audio, atol=1 / 32_767)


def test_the_sidecar_says_what_the_layout_cannot(tmp_path: Path) -> None:
    world(tmp_path, "--seed", "1", "--clips", "6", "--split", "mixed")
    sidecars = [json.loads(path.read_text()) for path in tmp_path.glob("AVSBench-semantic/v2/*/world.json")]
    things = [thing for sidecar in sidecars for thing in sidecar["things"]]
    mute = [thing for thing in things if thing["sounding_kind"] and not all(thing["sounding"])]
    assert mute
    assert any(not thing["sounding_kind"] for thing in things)
    assert all(decode_mask(rle).any() for thing in things for rle in thing["segmentations"] if rle)
    assert any(sidecar["offscreen"] for sidecar in sidecars)
    names = json.loads((tmp_path / "world.json").read_text())
    assert len(names["base"]) == 32
    assert len(names["novel"]) == 24


def test_colours_are_those_of_avsbench() -> None:
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 64: (32, 0, 0), 70: (32, 128, 128)}
    assert {label: tuple(palette()[label].tolist()) for label in known} == known
    assert len(np.unique(palette(), axis=0)) == 256


def test_what_is_trained_on_holds_no_novel_category(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="--part train with --split novel"):
        world(tmp_path, "--split", "novel", "--part", "train")


def test_a_damaged_sidecar_is_named(tmp_path: Path) -> None:
    world(tmp_path, "--clips", "1")
    (sidecar,) = tmp_path.glob("AVSBench-semantic/*/*/world.json")
    sidecar.write_text("{")
    with pytest.raises(ModelError, match=r"world\.json: cannot be read.*make the clip again"):
        world(tmp_path, "--clips", "0")


def test_a_film_plays_the_clip(tmp_path: Path) -> None:
    clip = generate(4, 0, Options(artists=("shapes",), side=64, seconds=2), Art(tmp_path))
    path = write_film(clip.scene, clip.audio, Art(tmp_path), tmp_path)
    with av.open(str(path)) as file:
        pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        assert file.streams.audio[0].duration is not None
    assert len(pictures) == 50
    assert np.abs(pictures[24].astype(int) - clip.frames[0]).mean() < 12


def _box(mask: np.ndarray) -> Any:
    if not mask.any():
        return None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
