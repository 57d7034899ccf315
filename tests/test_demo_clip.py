from __future__ import annotations

import hashlib
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

from tools.demo_scene import frame
from tools.demo_score import BARKS, CLASSES, FPS, FRAMES, HEIGHT, HONKS, RATE_HZ, SECONDS, WIDTH
from tools.demo_sound import sound
from tools.make_demo_clip import truth

CLIP = Path(__file__).parents[1] / "media" / "demo.mp4"
PICTURES = range(0, FRAMES, 12)

# Of the raw arrays; a change of the drawing or of the synthesis changes them, and media/ is then made anew.
PICTURES_SHA256 = "4f72748d3aa1fd8f12e0fce415b35daa5a01a88b0fe084199d68d6dd0f33d9f9"
SOUND_SHA256 = "9c024109e4082ac7330c4e752e2df5baa31bf54ae6e8a5d31833f8e7f7a28d70"


def digest(arrays: list[np.ndarray]) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


@pytest.fixture(scope="module")
def pictures() -> dict[int, np.ndarray]:
    return {index: frame(index)[0] for index in PICTURES}


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return sound()


def dbfs(block: np.ndarray) -> float:
    return 10 * np.log10(np.mean((block / 32_768.0) ** 2) + 1e-12)


def test_the_same_bytes_are_drawn_and_synthesised_every_time(pictures: dict, samples: np.ndarray) -> None:
    assert digest(list(pictures.values())) == PICTURES_SHA256
    assert digest([samples]) == SOUND_SHA256


def test_the_shipped_file_holds_these_pictures_and_this_sound(pictures: dict, samples: np.ndarray) -> None:
    with av.open(str(CLIP)) as file:
        video, audio = file.streams.video[0], file.streams.audio[0]
        assert (video.codec_context.name, video.width, video.height) == ("h264", WIDTH, HEIGHT)
        assert (audio.codec_context.name, audio.rate, audio.channels) == ("aac", RATE_HZ, 2)
        shown = [(f.time, f.to_ndarray(format="rgb24")) for f in file.decode(video)]
    np.testing.assert_allclose([time for time, _ in shown], np.arange(FRAMES) / FPS, atol=1e-4)
    for index, picture in pictures.items():
        assert np.abs(shown[index][1].astype(float) - picture).mean() < 4, f"picture {index}"
    with av.open(str(CLIP)) as file:
        heard = np.concatenate([f.to_ndarray() for f in file.decode(audio=0)], axis=1).T
    heard = heard[: len(samples)]
    assert len(heard) == len(samples) == SECONDS * RATE_HZ
    for channel in (0, 1):
        assert np.corrcoef(heard[:, channel], samples[:, channel])[0, 1] > 0.97, "sample for sample, no shift"
    assert CLIP.stat().st_size < 600_000


def test_the_truth_beside_it_is_that_of_the_score() -> None:
    written = yaml.safe_load(CLIP.with_suffix(".truth.yaml").read_text(encoding="utf-8"))
    assert written == truth()
    seconds = written["seconds"]
    assert [one["second"] for one in seconds] == list(range(SECONDS))
    assert {name for one in seconds for name in one["sounding"]} == set(CLASSES)
    assert any(len(one["sounding"]) > 1 for one in seconds), "things sound together"
    assert any(not one["sounding"] and not one["offscreen"] for one in seconds), "and fall silent"
    for one in seconds:
        assert set(one["sounding"]) <= set(one["boxes"]), (
            "what sounds is seen, what is not seen is off-screen"
        )
        for x, y, width, height in one["boxes"].values():
            assert 0 <= x < x + width <= WIDTH
            assert 0 <= y < y + height <= HEIGHT


def test_a_second_is_loud_when_something_sounds_and_silent_when_nothing_does(samples: np.ndarray) -> None:
    for one in truth()["seconds"]:
        level = dbfs(samples[one["second"] * RATE_HZ : (one["second"] + 1) * RATE_HZ])
        if one["sounding"] or one["offscreen"]:
            assert -32 < level < -10, one
        else:
            assert level < -70, one


def test_the_mouth_opens_with_the_bark(samples: np.ndarray) -> None:
    envelope = np.abs(samples.astype(float)).mean(axis=1)
    for bark in (1.10, 1.52, 2.05):
        assert bark in BARKS
        start = round(bark * RATE_HZ)
        before, after = envelope[start - 2400 : start].mean(), envelope[start + 480 : start + 2880].mean()
        assert after > 20 * before + 100, "the bark starts on the sample"
        shut, wide = round((bark - 0.06) * FPS), round((bark + 0.05) * FPS)
        jaw = np.s_[214:240, 180:216]
        moved = np.abs(frame(wide)[0][jaw].astype(float) - frame(shut)[0][jaw]).mean()
        still = np.abs(frame(shut)[0][jaw].astype(float) - frame(shut - 1)[0][jaw]).mean()
        assert moved > 5 * still + 5, "the jaw moves within a frame of it"


def test_the_horn_comes_from_beyond_the_right_edge(samples: np.ndarray) -> None:
    for start, end in HONKS:
        left, right = (dbfs(samples[round(start * RATE_HZ) : round(end * RATE_HZ), side]) for side in (0, 1))
        assert right > left + 10


def test_masks_are_of_what_is_seen() -> None:
    _, early = frame(0)
    assert set(early) == {"dog", "bell"}
    _, middle = frame(round(7.0 * FPS))
    assert set(middle) == {"dog", "bell", "train"}
    for mask in middle.values():
        assert mask.shape == (HEIGHT, WIDTH)
    assert not (middle["dog"] & middle["train"]).any(), "the dog sits before the train and hides it"
