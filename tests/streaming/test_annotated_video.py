"""Previews and results become a film that any player shows, whatever is missing, late or damaged."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from model.rle import box_and_area, encode_mask
from streaming.annotated_video import AnnotatedVideo, fit
from streaming.errors import UserError
from streaming.film_times import Stretch, read_times, times_of
from streaming.messages import Preview, Result
from streaming.overlay.look import track_colour

ROOT = Path(__file__).parents[2]
NS = 1_000_000_000
H, W, FPS, RATE_HZ = 120, 160, 25, 44_100
GREY = 90
BEEP_S = 1.4


def jpeg(height: int = H, width: int = W, grey: int = GREY) -> bytes:
    return cv2.imencode(".jpg", np.full((height, width, 3), grey, np.uint8))[1].tobytes()


def beep(t_s: np.ndarray) -> np.ndarray:
    """Silence with 0.2 s of 1 kHz from BEEP_S on, shape (n, 2) int16."""
    on = (t_s >= BEEP_S) & (t_s < BEEP_S + 0.2)
    mono = (np.sin(2 * np.pi * 1000 * t_s) * 12_000 * on).astype(np.int16)
    return np.stack([mono, mono], axis=1)


def preview(
    seq: int, start_s: float, dur_s: float, *, fps: float = FPS, sound: bool = True, **changes
) -> Preview:
    first, last = (int(np.ceil(round(t * fps, 6))) for t in (start_s, start_s + dur_s))
    times = [round(index / fps * NS) for index in range(first, last)]
    samples = np.arange(round(start_s * RATE_HZ), round((start_s + dur_s) * RATE_HZ)) / RATE_HZ
    whole = Preview(
        source="clip",
        generation=0,
        seq=seq,
        t_ns=round(start_s * NS),
        dur_ns=round(dur_s * NS),
        emitted_ns=0,
        jpegs=[jpeg()] * len(times),
        frame_t_ns=times,
        audio=beep(samples) if sound else np.zeros((0, 2), np.int16),
        audio_rate_hz=RATE_HZ,
        frame_size=(H, W),
    )
    return replace(whole, **changes)


def square(x: int, y: int, side: int = 40, height: int = H, width: int = W) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[y : y + side, x : x + side] = True
    return mask


def result(seq: int, masks: dict[int, np.ndarray], **changes) -> Result:
    tracks = []
    for track_id, mask in masks.items():
        rle = encode_mask(mask)
        box, area = box_and_area(rle)
        labels = [{"name": "dog", "p": 0.9}]
        about = {"id": track_id, "label": "dog", "labels": labels, "sounding": 1.0}
        tracks.append(about | {"mask": rle, "box": box, "area": area})
    whole = Result(
        source="clip",
        generation=0,
        seq=seq,
        t_ns=seq * NS,
        emitted_ns=0,
        tracks=tracks,
        frame_size=(H, W),
        frame_t_ns=(seq + 1) * NS - NS // FPS,
        has_audio=True,
        audio_dbfs=-20.0,
        offscreen=False,
        window_fill=1,
        vocabulary_revision=0,
    )
    return replace(whole, **changes)


@dataclass
class Played:
    """An mp4 as a player shows it."""

    size: tuple[int, int]
    times_s: list[float]
    pictures: list[np.ndarray]
    durations_s: dict[str, float]
    sound: np.ndarray
    sound_hz: int
    stream: dict[str, object]

    def at(self, t_s: float) -> np.ndarray:
        index = max(i for i, time_s in enumerate(self.times_s) if time_s <= t_s + 1e-6)
        return self.pictures[index]

    def onset_s(self) -> float:
        loud = np.abs(self.sound) > 0.05
        assert loud.any()
        return float(np.argmax(loud)) / self.sound_hz


def play(path: Path) -> Played:
    with av.open(str(path)) as file:
        video = file.streams.video[0]
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in file.decode(video)]
        durations = {s.type: float((s.duration or 0) * s.time_base) for s in file.streams}
        codec = video.codec_context
        about = {
            "profile": codec.profile,
            "pix_fmt": codec.pix_fmt,
            "colorspace": codec.colorspace,
            "color_range": codec.color_range,
            "start": video.start_time,
        }
        size = (video.height, video.width)
    sound, rate_hz = np.zeros(0), 0
    if "audio" in durations:
        with av.open(str(path)) as file:
            blocks = list(file.decode(audio=0))
            rate_hz = blocks[0].sample_rate
            sound = np.concatenate([block.to_ndarray()[0] for block in blocks])
            assert blocks[0].pts == 0
            sound = sound[: round(durations["audio"] * rate_hz)]
    times, pictures = zip(*frames, strict=True)
    return Played(size, list(times), list(pictures), durations, sound, rate_hz, about)


def tinted(picture: np.ndarray, x: int, y: int, track_id: int = 1) -> bool:
    """Whether the middle of the square at (x, y) is tinted in the track's colour rather than grey."""
    patch = picture[y + 12 : y + 28, x + 12 : x + 28].astype(float).mean(axis=(0, 1))
    shift, colour = patch - GREY, np.array(track_colour(track_id)) - GREY
    grey = np.abs(shift).max() < 5
    assert grey or np.abs(shift - 0.36 * colour).max() < 16, f"neither grey nor tinted: {patch}"
    return not grey


def clip(seconds: int = 3, tail_s: float = 0.4, **changes) -> list[Preview]:
    hops = [preview(seq, seq, 1.0, **changes) for seq in range(seconds)]
    return [*hops, preview(seconds, seconds, tail_s, **changes)]


def write(path: Path, messages: list[Preview | Result], **settings) -> AnnotatedVideo:
    with AnnotatedVideo(path, **settings) as video:
        for message in messages:
            if isinstance(message, Preview):
                video.add_preview(message)
            else:
                video.add_result(message)
    return video


LEFT, RIGHT = (10, 30), (100, 30)
RESULTS = [result(0, {1: square(*LEFT)}), result(1, {1: square(*RIGHT)}), result(2, {})]


def test_the_file_is_as_long_as_the_clip_with_the_sound_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "out" / "annotated.mp4"
    written = write(path, [*clip(), *RESULTS])
    played = play(path)
    assert written.pictures == len(played.pictures) == 85
    assert written.bare_hops == written.damaged == 0
    np.testing.assert_allclose(played.times_s, np.arange(85) / FPS, atol=1e-4)
    assert played.durations_s["video"] == pytest.approx(3.4, abs=1e-3)
    assert played.durations_s["audio"] == pytest.approx(3.4, abs=1e-3)
    assert played.onset_s() == pytest.approx(BEEP_S, abs=0.001)
    assert np.abs(played.sound).max() == pytest.approx(12_000 / 32_768, rel=0.1)
    assert [p.name for p in path.parent.iterdir()] == ["annotated.mp4"], "nothing else is left behind"


def test_every_player_can_show_it(tmp_path: Path) -> None:
    path = tmp_path / "annotated.mp4"
    write(path, [*clip(seconds=1), RESULTS[0]])
    played = play(path)
    assert played.stream == {
        "profile": "Main",
        "pix_fmt": "yuv420p",
        "colorspace": 1,
        "color_range": 1,
        "start": 0,
    }
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat"), "the index comes first"
    assert b"moof" not in content, "no fragments are left"


def test_masks_follow_the_nearest_result_and_sounding_follows_the_snippet_of_the_hop(tmp_path: Path) -> None:
    path = tmp_path / "annotated.mp4"
    write(path, [*clip(), *RESULTS])
    played = play(path)
    shown = {
        t: (tinted(played.at(t), *LEFT), tinted(played.at(t), *RIGHT)) for t in (0.0, 0.9, 1.2, 1.6, 1.9)
    }
    assert shown == {
        0.0: (True, False),
        0.9: (True, False),
        1.2: (True, False),
        1.6: (False, True),
        1.9: (False, True),
    }
    assert not tinted(played.at(2.1), *RIGHT), "it is silent in the third second, wherever it is"
    centre = played.at(0.0)[40:75, 70:90].reshape(-1, 3).astype(float)
    assert np.abs(centre - GREY).max() < 6, "outside the masks the picture is as it was"


def test_a_tail_shorter_than_a_snippet_keeps_the_last_masks(tmp_path: Path) -> None:
    path = tmp_path / "annotated.mp4"
    written = write(path, [*clip(seconds=2), *RESULTS[:2]])
    assert tinted(play(path).at(2.3), *RIGHT)
    assert written.bare_hops == 0


def test_order_of_arrival_and_repetition_make_no_difference(tmp_path: Path) -> None:
    previews = clip()
    write(tmp_path / "a.mp4", [*previews, *RESULTS])
    wanted = play(tmp_path / "a.mp4")
    interleaved = [*itertools.chain(*zip(previews, RESULTS, strict=False)), previews[-1]]
    repeated = [message for message in interleaved for _ in range(2)]
    late = random.Random(0).sample(RESULTS, 3)
    for name, order in {
        "b": interleaved,
        "c": repeated,
        "d": [*RESULTS, *previews],
        "e": [*previews, *late],
    }.items():
        write(tmp_path / f"{name}.mp4", order)
        played = play(tmp_path / f"{name}.mp4")
        assert played.times_s == wanted.times_s
        if name != "e":  # results out of order: the earlier ones count as dropped
            assert all(np.array_equal(p, q) for p, q in zip(played.pictures, wanted.pictures, strict=True))
        np.testing.assert_array_equal(played.sound, wanted.sound)


def test_a_dropped_snippet_leaves_its_hop_bare_and_holds_up_nothing(tmp_path: Path) -> None:
    video = AnnotatedVideo(tmp_path / "annotated.mp4")
    for one in clip():
        video.add_preview(one)
    video.add_result(RESULTS[0])
    assert video.pictures == 25
    video.add_result(result(2, {1: square(*RIGHT)}))
    assert video.pictures == 75
    video.close()
    assert video.bare_hops == 1
    played = play(video.path)
    assert not tinted(played.at(1.2), *LEFT)
    assert tinted(played.at(2.7), *RIGHT)


@pytest.mark.parametrize("limits", [{"waiting_limit": 2}, {"waiting_bytes": 2 * 180_000}])
def test_previews_do_not_wait_for_ever(tmp_path: Path, limits: dict[str, int]) -> None:
    video = AnnotatedVideo(tmp_path / "annotated.mp4", **limits)
    for seq in range(10):
        video.add_preview(preview(seq, seq, 1.0))
        assert video.pictures >= 25 * (seq - 2)
    video.add_result(result(0, {1: square(*LEFT)}))
    video.close()
    played = play(video.path)
    assert len(played.pictures) == 250
    assert not any(tinted(picture, *LEFT) for picture in played.pictures)


def test_results_without_previews_do_not_pile_up_and_give_no_file(tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "annotated.mp4", waiting_limit=5) as video:
        for seq in range(100):
            video.add_result(result(seq, {}))
        assert len(video._results) == 5
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fps", [10.0, 19.62, 24_000 / 1001, 30.0])
def test_odd_frame_rates_keep_their_times(tmp_path: Path, fps: float) -> None:
    path = tmp_path / "annotated.mp4"
    write(path, [*clip(seconds=2, tail_s=0.3, fps=fps), *RESULTS[:2]])
    played = play(path)
    np.testing.assert_allclose(played.times_s, np.arange(len(played.times_s)) / fps, atol=1e-4)
    assert played.durations_s["video"] == pytest.approx(2.3, abs=1e-3)
    assert played.onset_s() == pytest.approx(BEEP_S, abs=0.001)


def test_hops_shorter_than_a_second(tmp_path: Path) -> None:
    path = tmp_path / "annotated.mp4"
    hops = [preview(0, 0.0, 1.0), *(preview(k, 0.5 + k / 2, 0.5) for k in range(1, 5))]
    answers = [
        result(
            k,
            {1: square(*(LEFT if k < 3 else RIGHT))},
            t_ns=k * NS // 2,
            frame_t_ns=k * NS // 2 + 960_000_000,
        )
        for k in range(5)
    ]
    write(path, [*hops, *answers])
    played = play(path)
    assert played.durations_s["video"] == pytest.approx(3.0, abs=1e-3)
    assert played.onset_s() == pytest.approx(BEEP_S, abs=0.001)
    assert tinted(played.at(2.1), *LEFT)
    assert tinted(played.at(2.4), *RIGHT)


def test_a_source_without_sound_gives_a_video_without_a_sound_track(tmp_path: Path) -> None:
    path = tmp_path / "annotated.mp4"
    write(path, [*clip(sound=False), *RESULTS])
    played = play(path)
    assert played.durations_s == {"video": pytest.approx(3.4, abs=1e-3)}


@pytest.mark.parametrize(
    ("rate_hz", "channels"), [(8000, 1), (22_050, 2), (48_000, 1), (96_000, 2), (16_000, 6)]
)
def test_any_sound_arrives_at_its_place(tmp_path: Path, rate_hz: int, channels: int) -> None:
    path = tmp_path / "annotated.mp4"
    hops = [
        replace(
            hop, audio=beep(np.arange(rate_hz) / rate_hz + hop.seq)[:, [0] * channels], audio_rate_hz=rate_hz
        )
        for hop in clip()[:3]
    ]
    write(path, [*hops, *RESULTS])
    played = play(path)
    assert played.onset_s() == pytest.approx(BEEP_S, abs=0.002)
    assert played.durations_s["audio"] == pytest.approx(3.0, abs=2e-3)


def test_sound_before_the_first_picture_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "annotated.mp4"
    first, second, *rest = clip()
    dark = [replace(one, jpegs=[], frame_t_ns=[]) for one in (first, second)]
    write(path, [*dark, *rest, *RESULTS])
    played = play(path)
    assert played.onset_s() == pytest.approx(BEEP_S, abs=0.001)
    assert played.durations_s["video"] == pytest.approx(3.4, abs=1e-3)
    assert played.times_s[0] == 0.0
    assert played.times_s[1] == pytest.approx(2.04, abs=1e-3)


def test_a_missing_preview_is_filled_with_silence_and_a_still(tmp_path: Path) -> None:
    path = tmp_path / "annotated.mp4"
    first, _lost, third, tail = clip()
    third = replace(third, audio=beep(np.arange(RATE_HZ) / RATE_HZ + 1))
    write(path, [first, third, tail, *RESULTS])
    played = play(path)
    assert played.onset_s() == pytest.approx(BEEP_S + 1, abs=0.001)
    assert played.durations_s["video"] == pytest.approx(3.4, abs=1e-3)
    assert len(played.pictures) == 60


def test_a_new_generation_goes_on_behind_the_old_one_and_forgets_its_masks(tmp_path: Path) -> None:
    path = tmp_path / "annotated.mp4"
    later = preview(1, 0.0, 1.0, generation=1)
    hop = replace(later, t_ns=500 * NS, frame_t_ns=[t + 500 * NS for t in later.frame_t_ns])
    answer = result(1, {1: square(*RIGHT)}, generation=1, t_ns=500 * NS, frame_t_ns=500 * NS + 960_000_000)
    write(path, [preview(0, 0.0, 1.0), hop, result(0, {1: square(*LEFT)}), answer])
    played = play(path)
    assert played.durations_s["video"] == pytest.approx(2.0, abs=1e-3)
    assert played.durations_s["audio"] == pytest.approx(2.0, abs=1e-3)
    assert not tinted(played.at(1.1), *LEFT)
    assert tinted(played.at(1.1), *RIGHT)


def test_where_each_stretch_begins_is_written_beside_the_film(tmp_path: Path) -> None:
    path = tmp_path / "annotated.mp4"
    later = preview(
        2, 0.0, 1.0, generation=3, t_ns=500 * NS, frame_t_ns=[500 * NS + n * NS // FPS for n in range(FPS)]
    )
    mute = preview(0, 4.0, 0.5, jpegs=[], frame_t_ns=[])  # its sound is kept until there is a picture
    with AnnotatedVideo(path, times=times_of(path)) as video:
        video.add_preview(mute)
        video.add_result(result(0, {}))
        assert not times_of(path).exists()
        for hop in (preview(1, 4.5, 1.0), later):
            video.add_preview(hop)
            video.add_result(result(hop.seq, {}, generation=hop.generation))
    assert read_times(path) == [Stretch(0, 4 * NS, 0.0), Stretch(3, 500 * NS, 1.5)]


def test_the_times_of_an_earlier_film_do_not_stay(tmp_path: Path) -> None:
    path = tmp_path / "annotated.mp4"
    for start_s in (3.0, 7.0):
        with AnnotatedVideo(path, times=times_of(path)) as video:
            video.add_preview(preview(0, start_s, 1.0))
    assert read_times(path) == [Stretch(0, 7 * NS, 0.0)]


def test_odd_sizes_become_even_and_another_size_is_letterboxed(tmp_path: Path) -> None:
    path = tmp_path / "annotated.mp4"
    odd = [jpeg(121, 161)] * 25
    tall = [jpeg(320, 160)] * 25
    first, second = (replace(one, jpegs=jpegs) for one, jpegs in zip(clip()[:2], (odd, tall), strict=True))
    bars = result(1, {1: square(40, 120, 80, 320, 160)}, frame_size=(320, 160))
    write(path, [first, second, result(0, {1: square(*LEFT, 40, 121, 161)}, frame_size=(121, 161)), bars])
    played = play(path)
    assert played.size == (120, 160)
    assert tinted(played.at(0.5), *LEFT)
    late = played.at(1.7).astype(float)
    assert late[10:40, 2:46].mean() < 4, "black at the sides"
    assert late[10:40, 2:46].mean() < late[30:38, 60:68].mean()
    patch = late[52:68, 72:88].mean(axis=(0, 1)) - GREY
    assert np.abs(patch - 0.36 * (np.array(track_colour(1)) - GREY)).max() < 16, (
        "the mask is scaled as the picture"
    )


def test_a_damaged_jpeg_is_counted_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "annotated.mp4"
    hop = preview(0, 0.0, 1.0)
    written = write(path, [replace(hop, jpegs=[*hop.jpegs[:10], b"no jpeg", *hop.jpegs[11:]]), RESULTS[0]])
    assert written.damaged == 1
    assert len(play(path).pictures) == 24


def test_the_notice_and_the_offscreen_badge_are_burned_in(tmp_path: Path) -> None:
    big = [jpeg(360, 640)] * 25
    hops = [replace(one, jpegs=big) for one in clip()[:2]]
    answers = [result(0, {}), result(1, {}, offscreen=True)]
    write(tmp_path / "plain.mp4", [*hops, *answers])
    write(tmp_path / "notice.mp4", [*hops, *answers], notice="these masks mean nothing")
    plain, notice = play(tmp_path / "plain.mp4"), play(tmp_path / "notice.mp4")
    middle, corner = np.s_[8:24, 240:400], np.s_[8:24, 10:120]
    assert np.ptp(plain.at(0.5)[middle].astype(int)) < 8
    assert np.ptp(notice.at(0.5)[middle].astype(int)) > 150
    assert np.ptp(plain.at(0.5)[corner].astype(int)) < 8
    assert np.ptp(plain.at(1.5)[corner].astype(int)) > 150


CRASH = """
import os, sys
from tests.streaming.test_annotated_video import RESULTS, AnnotatedVideo, preview, result
video = AnnotatedVideo(sys.argv[1])
for seq in range(12):
    video.add_preview(preview(seq, seq, 1.0))
    video.add_result(result(seq, {}))
os._exit(1)
"""


def test_a_crash_leaves_a_partial_file_that_plays(tmp_path: Path) -> None:
    path = tmp_path / "annotated.mp4"
    subprocess.run([sys.executable, "-c", CRASH, path], cwd=ROOT, check=False)
    assert not path.exists()
    played = play(tmp_path / "annotated.partial.mp4")
    assert played.times_s[-1] > 8.0
    assert played.onset_s() == pytest.approx(BEEP_S, abs=0.03)


FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from tests.streaming.test_annotated_video import AnnotatedVideo, UserError, preview, result
video, errors = AnnotatedVideo(sys.argv[1]), []
for seq in range(40):
    for add, message in ((video.add_preview, preview(seq, seq, 1.0)), (video.add_result, result(seq, {}))):
        try:
            add(message)
        except UserError as error:
            errors.append(str(error))
try:
    video.close()
except UserError as error:
    errors.append(str(error))
print(*errors, sep="\\n")
"""


def test_a_full_disk_is_told_once_and_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "annotated.mp4"
    # Python ignores SIGXFSZ, so that a file-size limit answers as a full disk does.
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (told,) = ended.stdout.strip().splitlines()
    assert told.startswith(f"{path}: the video cannot be written: File too large")
    assert "Traceback" not in ended.stderr
    assert not path.exists()


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"annotated\.mp4: the video cannot be written: ") as caught:
        write(tmp_path / "file" / "annotated.mp4", [*clip(), *RESULTS])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("size", "canvas", "filled"),
    [
        ((120, 160), (120, 160), (0, 0, 120, 160)),
        ((121, 161), (120, 160), (0, 0, 120, 160)),
        ((60, 80), (120, 160), (0, 0, 120, 160)),
        ((320, 160), (120, 160), (0, 50, 120, 60)),
        ((90, 160), (120, 160), (15, 0, 90, 160)),
    ],
)
def test_fit_centres_and_keeps_the_shape(
    size: tuple[int, int], canvas: tuple[int, int], filled: tuple[int, int, int, int]
) -> None:
    for channels in ((), (3,)):
        fitted = fit(np.full((*size, *channels), 200, np.uint8), canvas)
        top, left, height, width = filled
        wanted = np.zeros((*canvas, *channels), np.uint8)
        wanted[top : top + height, left : left + width] = 200
        np.testing.assert_array_equal(fitted, wanted)


def test_times_are_exact_fractions_over_a_long_run() -> None:
    from streaming.annotated_video import _Timeline

    timeline = _Timeline()
    for seq in range(3600 * 24):
        hop = replace(EMPTY, seq=seq, t_ns=seq * NS)
        assert timeline.place(hop) == seq
    assert timeline.end_s == Fraction(3600 * 24)


EMPTY = preview(0, 0.0, 1.0, jpegs=[], frame_t_ns=[], sound=False)
