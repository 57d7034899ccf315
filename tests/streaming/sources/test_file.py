"""The file source on clips that the tests draw themselves, on damaged ones, and on the shared recordings."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml

from streaming.clock import FakeClock
from streaming.errors import UserError
from streaming.messages import End, Preview, Snippet, encode
from streaming.sources.base import Place, PreviewSettings, Source
from streaming.sources.file import FileSource
from tests.media import cut_short, draw_frame, frame_number, is_lit, make_clip, spoil_packets, tone

SECOND = 1_000_000_000
RATE = 16_000
MEDIA = Path(__file__).parents[3] / ".." / "shared" / "media"


def play(path: Path, **options: Any) -> tuple[list[Snippet], list[Preview], End]:
    messages = list(FileSource(path, "clip", clock=FakeClock(), **options))
    for message in messages:
        encode(message)  # every message keeps its schema
    assert isinstance(messages[-1], End)
    snippets = [message for message in messages if isinstance(message, Snippet)]
    previews = [message for message in messages if isinstance(message, Preview)]
    assert len(snippets) + len(previews) + 1 == len(messages)
    return snippets, previews, messages[-1]


def heard(snippets: list[Snippet]) -> np.ndarray:
    """The sound of snippets one second apart, in one piece."""
    return np.concatenate([snippet.audio for snippet in snippets])


def bounds_s(sound: np.ndarray, level: float = 0.1) -> tuple[float, float]:
    """When the sound first and last exceeds a level."""
    loud = np.flatnonzero(np.abs(sound) > level)
    return loud[0] / RATE, (loud[-1] + 1) / RATE


def decoded(jpeg: Any) -> np.ndarray:
    codec: Any = av.CodecContext.create("mjpeg", "r")
    return codec.decode(av.Packet(bytes(jpeg)))[0].to_ndarray(format="rgb24")


def normal(message: Any) -> list[bytes]:
    """The bytes of a message on the wire, without what depends on the clock."""
    return [bytes(part) for part in encode(dataclasses.replace(message, emitted_ns=0, stage_ms={}))]


# Sync, formats


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("aac.mp4", {}),
        ("aac_48k.mp4", {"rate_hz": 48_000, "video_codec": "libx264"}),
        ("pcm_8k_mono.avi", {"rate_hz": 8_000, "layout": "mono", "audio_codec": "pcm_s16le"}),
        ("pcm_16k_mono.mkv", {"rate_hz": 16_000, "layout": "mono", "audio_codec": "pcm_s16le"}),
        ("pcm_22k.mov", {"rate_hz": 22_050, "audio_codec": "pcm_s16le", "fps": Fraction(24_000, 1001)}),
        ("flac_96k_5.1.mkv", {"rate_hz": 96_000, "layout": "5.1", "audio_codec": "flac", "fps": 19.62}),
        ("aac_5.1.mp4", {"rate_hz": 48_000, "layout": "5.1", "fps": Fraction(30_000, 1001)}),
        ("offset.ts", {"video_codec": "libx264", "rate_hz": 44_100}),
        ("slow.mkv", {"fps": 5, "audio_codec": "pcm_s16le"}),
        ("b_pictures.avi", {"video_codec": "libx264", "audio_codec": "pcm_s16le", "fps": 30}),
    ],
)
def test_flash_and_beep_stay_together(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    burst = (1.6, 2.2)
    path = make_clip(tmp_path / name, duration_s=4.0, bursts_s=[burst], **options)
    snippets, previews, end = play(path, preview=PreviewSettings(max_fps=60))
    frame_s = float(1 / Fraction(options.get("fps", 25)))
    assert [snippet.seq for snippet in snippets] == [0, 1, 2, 3]
    assert all(snippet.audio.shape == (RATE,) for snippet in snippets)
    assert all(snippet.has_audio and not snippet.gap for snippet in snippets)
    # The transport stream begins with the priming of its sound: both tracks are as late there.
    offset_s = snippets[0].frame_t_ns / SECOND % frame_s if name == "offset.ts" else 0.0
    beep_s = bounds_s(heard(snippets))
    assert beep_s == pytest.approx([burst[0] + offset_s, burst[1] + offset_s], abs=0.002)
    shown = [
        (t_ns, decoded(jpeg))
        for preview in previews
        for t_ns, jpeg in zip(preview.frame_t_ns, preview.jpegs, strict=True)
    ]
    lit_s = [t_ns / SECOND for t_ns, picture in shown if is_lit(picture)]
    assert 0 <= lit_s[0] - beep_s[0] + 0.002 < frame_s + 0.002
    assert 0 <= beep_s[1] - lit_s[-1] + 0.002 < frame_s + 0.004
    assert [is_lit(snippet.frame) for snippet in snippets] == [False, True, False, False]
    assert end.reason == "end of file"
    assert end.counters["frames"] == round(4.0 / frame_s)


@pytest.mark.parametrize("fps", [19.62, Fraction(24_000, 1001), 25, 30, 60])
def test_each_snippet_shows_the_last_frame_of_its_second(tmp_path: Path, fps: Any) -> None:
    path = make_clip(tmp_path / "clip.mp4", duration_s=3.3, fps=fps)
    for hop_s in (1.0, 0.5):
        snippets, _, _ = play(path, hop_s=hop_s)
        assert len(snippets) == int(2.3 / hop_s) + 1
        for k, snippet in enumerate(snippets):
            last = math.ceil((k * hop_s + 1) * Fraction(fps).limit_denominator(10_000)) - 1
            assert frame_number(snippet.frame) == last
            assert snippet.frame_t_ns / SECOND == pytest.approx(last / float(fps), abs=2e-4)


def test_variable_frame_rate(tmp_path: Path) -> None:
    times_s = [0.0, 0.1, 0.5, 0.98, 1.0, 1.3, 2.2, 2.21, 2.8]
    path = make_clip(tmp_path / "clip.mkv", frame_times_s=times_s, audio_codec="pcm_s16le")
    snippets, _, _ = play(path)
    assert [frame_number(snippet.frame) for snippet in snippets] == [3, 5, 8]
    assert [snippet.frame_t_ns // 1_000_000 for snippet in snippets] == [980, 1300, 2800]


def test_sound_is_the_tone_itself_and_a_downmix_does_not_clip(tmp_path: Path) -> None:
    for layout in ("mono", "stereo", "5.1"):
        path = make_clip(
            tmp_path / f"{layout}.mkv",
            rate_hz=48_000,
            layout=layout,
            audio_codec="pcm_s16le",
            bursts_s=[(0, 3)],
        )
        snippets, _, _ = play(path)
        sound = heard(snippets)[1_000:-1_000]
        expected = tone(np.arange(48_000) / RATE, [(0, 3)])[1_000:-1_000]
        np.testing.assert_allclose(sound, expected, atol=2e-4)


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_a_turned_picture_is_turned_upright(tmp_path: Path, rotation: int) -> None:
    path = make_clip(tmp_path / "clip.mp4", duration_s=1.0, rotation=rotation, layout=None)
    (snippet,), previews, _ = play(path, preview=PreviewSettings())
    expected = np.rot90(draw_frame(24), rotation // 90)
    for picture in (snippet.frame, decoded(previews[0].jpegs[-1])):
        assert picture.shape == expected.shape
        assert np.abs(picture.astype(int) - expected).mean() < 12
    assert previews[0].frame_size == expected.shape[:2]


def test_a_mirrored_picture_is_turned_about(tmp_path: Path) -> None:
    (snippet,), _, _ = play(make_clip(tmp_path / "clip.mp4", duration_s=1.0, mirrored=True, layout=None))
    assert np.abs(snippet.frame.astype(int) - draw_frame(24)[:, ::-1]).mean() < 12


@pytest.mark.parametrize("pixel_format", ["gray", "yuv444p10le", "yuva420p", "bgra", "yuv411p", "rgb48le"])
def test_any_pixel_format(tmp_path: Path, pixel_format: str) -> None:
    path = make_clip(
        tmp_path / "clip.mkv", duration_s=1.0, video_codec="ffv1", pixel_format=pixel_format, layout=None
    )
    (snippet,), (preview,), _ = play(path, preview=PreviewSettings())
    assert frame_number(snippet.frame) == 24
    assert frame_number(decoded(preview.jpegs[-1])) == 24


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(4, 3), (96, 213)), (Fraction(1, 2), (192, 160))])
def test_pixels_that_are_not_square_are_made_square(
    tmp_path: Path, aspect: Fraction, size: tuple[int, int]
) -> None:
    path = make_clip(tmp_path / "clip.mp4", duration_s=1.0, pixel_aspect=aspect)
    (snippet,), _, _ = play(path)
    assert snippet.frame.shape == (*size, 3)
    assert frame_number(snippet.frame) == 24


def test_the_picture_is_rgb(tmp_path: Path) -> None:
    (snippet,), _, _ = play(make_clip(tmp_path / "clip.mp4", duration_s=1.0))
    np.testing.assert_allclose(snippet.frame[72, 40], (200, 30, 30), atol=12)
    np.testing.assert_allclose(snippet.frame[72, 120], (30, 30, 200), atol=12)


# Tracks that are late, short or absent


def test_no_sound_at_all(tmp_path: Path) -> None:
    snippets, previews, end = play(make_clip(tmp_path / "clip.mp4", layout=None), preview=PreviewSettings())
    assert len(snippets) == 3
    assert not any(snippet.has_audio or snippet.audio.any() or snippet.gap for snippet in snippets)
    assert all(preview.audio.shape == (0, 1) for preview in previews)
    assert end.counters["corrupt_packets"] == 0


@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4"])
def test_sound_that_starts_late_and_ends_early(tmp_path: Path, name: str) -> None:
    codec = "pcm_s16le" if name.endswith("mkv") else "aac"
    path = make_clip(
        tmp_path / name, duration_s=4.0, audio_s=(0.7, 2.5), bursts_s=[(0.7, 2.5)], audio_codec=codec
    )
    snippets, _, _ = play(path)
    assert len(snippets) == 4
    # AAC starts and ends within a frame of 23 ms of the edge, as its edit list says to the millisecond.
    assert bounds_s(heard(snippets)) == pytest.approx([0.7, 2.5], abs=0.025)
    assert not any(snippet.gap for snippet in snippets)


def test_a_hole_in_the_sound_is_silence_and_a_gap(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "clip.nut", duration_s=4.0, audio_codec="pcm_s16le", hole_s=(1.2, 1.5), bursts_s=[(0, 4)]
    )
    snippets, _, end = play(path)
    sound = heard(snippets)
    quiet = np.flatnonzero(np.abs(sound).reshape(-1, 32).max(axis=1) < 0.01) * 32 / RATE
    assert quiet[0] == pytest.approx(1.2, abs=0.03)
    assert quiet[-1] == pytest.approx(1.5, abs=0.03)
    expected = tone(np.arange(len(sound)) / RATE, [(0, 4)])
    # A tone that is half a sample off differs by a tenth.
    np.testing.assert_allclose(sound[30_000:60_000], expected[30_000:60_000], atol=0.1)
    assert [snippet.gap for snippet in snippets] == [False, True, False, False]
    assert end.counters["gaps"] == 1


def test_the_last_picture_is_held_while_the_sound_goes_on(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "clip.mkv", duration_s=5.0, frame_times_s=[0.0, 0.5, 1.2], audio_codec="pcm_s16le"
    )
    snippets, _, _ = play(path)
    assert [frame_number(snippet.frame) for snippet in snippets] == [1, 2, 2, 2, 2]


def test_a_clip_shorter_than_a_second_gives_one_snippet(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", duration_s=0.4, audio_codec="pcm_s16le", bursts_s=[(0.2, 0.4)])
    (snippet,), (preview,), end = play(path, preview=PreviewSettings())
    assert bounds_s(snippet.audio) == pytest.approx([0.2, 0.4], abs=0.002)
    assert preview.dur_ns == pytest.approx(0.4 * SECOND, abs=SECOND // 50)
    assert end.seq == 1


# Pace, previews, the way in


@pytest.mark.parametrize("hop_s", [1.0, 0.5])
def test_both_paces_give_the_same_bytes(tmp_path: Path, hop_s: float) -> None:
    path = make_clip(tmp_path / "clip.mp4", duration_s=3.3, bursts_s=[(0.9, 1.4)], video_codec="libx264")
    options: dict[str, Any] = {"hop_s": hop_s, "preview": PreviewSettings()}
    asap = [normal(message) for message in FileSource(path, "a", clock=FakeClock(), pace="asap", **options)]
    clock = FakeClock()
    source = iter(FileSource(path, "a", clock=clock, pace="realtime", **options))
    began_ns, asked_ns, paced = clock.wall_ns(), clock.wall_ns(), []
    for message in source:
        paced.append(normal(message))
        if not isinstance(message, End):
            due_ns = began_ns + message.t_ns + message.dur_ns
            assert message.emitted_ns == max(due_ns, asked_ns), "it goes when its window has ended"
        clock.advance(10_000_000)  # the consumer takes its time
        asked_ns = clock.wall_ns()
    assert paced == asap


def test_decoding_is_the_same_each_time(tmp_path: Path) -> None:
    path = spoil_packets(make_clip(tmp_path / "clip.mp4", video_codec="libx264"), "video", [20, 21])
    runs = [
        [normal(message) for message in FileSource(path, "a", clock=FakeClock(), preview=PreviewSettings())]
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("hop_s", [1.0, 0.5])
def test_previews_together_are_the_clip(tmp_path: Path, hop_s: float) -> None:
    path = make_clip(
        tmp_path / "clip.mkv", duration_s=3.3, width=320, height=192, rate_hz=44_100, audio_codec="pcm_s16le"
    )
    messages = list(
        FileSource(
            path, "a", clock=FakeClock(), hop_s=hop_s, preview=PreviewSettings(max_side=100, max_fps=60)
        )
    )
    previews = [message for message in messages if isinstance(message, Preview)]
    assert previews[0].t_ns == 0
    assert sum(preview.dur_ns for preview in previews) == pytest.approx(3.3 * SECOND, abs=2e6)
    assert sum(len(preview.audio) for preview in previews) == pytest.approx(3.3 * 44_100, abs=64)
    assert all(preview.audio.shape[1] == 2 and preview.audio_rate_hz == 44_100 for preview in previews)
    pictures = [decoded(jpeg) for preview in previews for jpeg in preview.jpegs]
    assert len(pictures) == 82
    assert pictures[0].shape == (60, 100, 3)
    assert frame_number(pictures[40]) == 40
    for before, message in pairwise(messages):
        if isinstance(message, Snippet):
            assert isinstance(before, Preview)
            assert before.seq == message.seq
            assert before.t_ns + before.dur_ns == message.t_ns + message.dur_ns


def test_previews_are_thinned_to_the_rate_asked_for(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", duration_s=2.0, fps=50)
    _, previews, _ = play(path, preview=PreviewSettings(max_fps=25))
    assert [t_ns for preview in previews for t_ns in preview.frame_t_ns] == [
        k * SECOND // 25 for k in range(50)
    ]


@pytest.mark.parametrize("fps", [25, Fraction(30_000, 1001), 30])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.avi", "clip.ts"])
def test_previews_of_a_clip_with_b_pictures_have_all_of_them_in_order(
    tmp_path: Path, name: str, fps: Any
) -> None:
    path = make_clip(tmp_path / name, fps=fps, video_codec="libx264", layout=None)
    _, previews, _ = play(path, preview=PreviewSettings(max_fps=30))
    jpegs = [jpeg for preview in previews for jpeg in preview.jpegs]
    assert [frame_number(decoded(jpeg)) for jpeg in jpegs] == list(range(round(3 * fps)))


def test_padding_of_the_last_packet_of_sound_does_not_lengthen_the_clip(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", duration_s=3.0, rate_hz=48_000, bursts_s=[(0, 3)])
    with av.open(str(path)) as container:
        decoded_s = sum(frame.samples for frame in container.decode(audio=0)) / 48_000
    assert decoded_s > 3.005, "the clip has no padding to leave out"
    _, previews, end = play(path, preview=PreviewSettings())
    assert sum(preview.dur_ns for preview in previews) == 3 * SECOND
    assert sum(len(preview.audio) for preview in previews) == 3 * 48_000
    assert end.counters["seconds"] == 3.0


def test_high_rates_and_many_channels_are_previewed_in_stereo_at_48_khz(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", rate_hz=96_000, layout="5.1", audio_codec="flac", duration_s=1.0)
    _, (preview,), _ = play(path, preview=PreviewSettings())
    assert (preview.audio.shape, preview.audio_rate_hz) == ((48_000, 2), 48_000)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.ts", "clip.mkv"])
@pytest.mark.parametrize("start_s", [0.5, 8.5])
def test_beginning_later(tmp_path: Path, name: str, start_s: float) -> None:
    # One key picture at 0 and one at 10 s: a transport stream has no index that would find the first.
    path = make_clip(tmp_path / name, duration_s=12.0, bursts_s=[(9.6, 10.0)], video_codec="libx264")
    snippets, _, _ = play(path, start_s=start_s)
    assert [snippet.t_ns for snippet in snippets] == [
        round((start_s + k) * SECOND) for k in range(int(12.04 - start_s))
    ]
    assert [frame_number(snippet.frame) for snippet in snippets] == pytest.approx(
        [(start_s + k + 1) * 25 - 1 for k in range(len(snippets))], abs=1.5
    )
    assert start_s + bounds_s(heard(snippets))[0] == pytest.approx(9.6, abs=0.03)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.ts", "clip.mkv"])
@pytest.mark.parametrize("hop_s", [1.0, 0.5])
def test_going_on_behind_a_snippet_gives_the_rest_as_it_would_have_been(
    tmp_path: Path, name: str, hop_s: float
) -> None:
    path = make_clip(tmp_path / name, duration_s=5.0, bursts_s=[(0.5, 4.2)], audio_codec="aac")
    whole, strips, end = play(path, hop_s=hop_s, preview=PreviewSettings())
    at = whole[3]
    after = Place(at.generation, at.seq, at.t_ns)
    rest, new_strips, new_end = play(path, hop_s=hop_s, preview=PreviewSettings(), after=after)
    assert [(s.generation, s.seq, s.t_ns) for s in rest] == [(s.generation, s.seq, s.t_ns) for s in whole[4:]]
    for before, now in zip(whole[4:], rest, strict=True):
        assert np.array_equal(before.frame, now.frame)
        # The resampler begins anew; and Matroska stamps to the millisecond, which is sixteen samples.
        most, shifts = (0.1, range(-16, 17)) if name == "clip.mkv" else (1e-3, range(1))
        off = [np.abs(before.audio - np.roll(now.audio, k))[100:-100].max() for k in shifts]
        assert min(off) < most
    assert [strip.seq for strip in new_strips] == [strip.seq for strip in strips[4:]]
    assert (new_end.seq, new_end.t_ns) == (end.seq, pytest.approx(end.t_ns, abs=1_000_000))


def test_going_on_where_nothing_is_left_is_the_end(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", duration_s=3.0)
    whole, _, end = play(path)
    rest, _, again = play(path, after=Place(0, 2, 2 * SECOND))
    assert len(whole) == 3
    assert rest == []
    assert again.seq == end.seq


def test_closing_ends_it_without_an_end(tmp_path: Path) -> None:
    source: Source = FileSource(make_clip(tmp_path / "clip.mp4"), "a", clock=FakeClock(), pace="realtime")
    assert (source.overflow, source.live) == ("block", False)
    taken = []
    for message in source:
        taken.append(message)
        source.close()
    assert [type(message) for message in taken] == [Snippet]
    source.close()


def test_a_stream_can_be_chosen(tmp_path: Path) -> None:
    first = make_clip(tmp_path / "first.mkv", width=64, height=48, layout=None)
    second = make_clip(
        tmp_path / "second.mkv", width=128, height=96, bursts_s=[(0, 3)], audio_codec="pcm_s16le"
    )
    path = tmp_path / "both.mkv"
    with av.open(str(first)) as one, av.open(str(second)) as other, av.open(str(path), "w") as both:
        streams = [*one.streams, *other.streams]
        copies = [both.add_stream_from_template(stream) for stream in streams]  # type: ignore[type-var]
        for container in (one, other):
            for packet in container.demux():
                if packet.dts is not None:
                    packet.stream = copies[streams.index(packet.stream)]
                    both.mux(packet)
    for index, size in ((0, (48, 64)), (1, (96, 128))):
        snippets, _, _ = play(path, video_stream=index)
        assert [snippet.frame.shape[:2] for snippet in snippets] == [size] * 3
        assert heard(snippets).any()
    with pytest.raises(UserError, match="video_stream: found 2, expected one of its video streams: 0, 1"):
        FileSource(path, "a", clock=FakeClock(), video_stream=2)
    with pytest.raises(UserError, match="audio_stream: found 7, expected one of its audio streams: 2"):
        FileSource(path, "a", clock=FakeClock(), audio_stream=7)


# Damage


def test_a_corrupt_sound_packet_is_skipped_and_nothing_moves(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", duration_s=4.0, bursts_s=[(0.5, 0.9), (2.5, 3.1)])
    whole, _, _ = play(path)
    snippets, _, end = play(spoil_packets(path, "audio", [60]))
    assert end.counters["corrupt_packets"] == 1
    assert [snippet.gap for snippet in snippets] == [False, True, False, False]
    assert end.reason == "end of file"
    for k in (0, 2):
        assert bounds_s(snippets[k].audio) == pytest.approx(bounds_s(whole[k].audio), abs=2 / RATE)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_corrupt_pictures_are_skipped(tmp_path: Path, codec: str) -> None:
    path = make_clip(tmp_path / "clip.mp4", duration_s=4.0, video_codec=codec)
    snippets, _, end = play(spoil_packets(path, "video", [30, 31, 32]))
    assert end.counters["corrupt_packets"] == 3
    assert len(snippets) == 4
    assert snippets[1].gap
    assert not snippets[0].gap
    assert not snippets[3].gap


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts", "clip.mp4"])
def test_noise_in_the_middle_of_a_file_costs_no_second(tmp_path: Path, name: str) -> None:
    path = make_clip(tmp_path / name, duration_s=12.0, video_codec="libx264", bursts_s=[(11.2, 11.6)])
    data = bytearray(path.read_bytes())
    begin, length = len(data) // 5, len(data) // 20
    data[begin : begin + length] = np.random.default_rng(0).bytes(length)
    path.write_bytes(data)
    snippets, _, end = play(path)
    assert [(snippet.generation, snippet.t_ns) for snippet in snippets] == [
        (0, k * SECOND) for k in range(12)
    ]
    assert end.counters["gaps"] >= 1
    assert not snippets[-1].gap
    assert bounds_s(snippets[-1].audio) == pytest.approx([0.2, 0.6], abs=0.03)


def test_a_file_cut_short_ends_where_it_ends(tmp_path: Path) -> None:
    path = cut_short(make_clip(tmp_path / "clip.mkv", duration_s=6.0, video_codec="libx264"), 0.6)
    snippets, _, end = play(path)
    assert 1 <= len(snippets) <= 4
    assert end.reason.startswith("the file is damaged or cut short: read up to ")
    assert end.counters["seconds"] < 5


def test_a_change_of_picture_size_begins_a_generation(tmp_path: Path) -> None:
    clips = [
        make_clip(tmp_path / f"{width}.ts", width=width, duration_s=2.4, video_codec="libx264")
        for width in (160, 320)
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(clip.read_bytes() for clip in clips))
    snippets, _, _ = play(path)
    assert [(s.generation > 0, s.frame.shape[1]) for s in snippets] == [(False, 160)] * 2 + [(True, 320)] * 2
    assert [snippet.seq for snippet in snippets] == [0, 1, 2, 3]
    assert snippets[2].gap


# What is no video


def sound_only(folder: Path) -> Path:
    path = folder / "sound.wav"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=RATE)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, RATE), np.int16), "s16", "mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
    return path


def written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def link_to_itself(folder: Path) -> Path:
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    return folder / "loop.mp4"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


def drawing(folder: Path) -> Path:
    frame = av.VideoFrame.from_ndarray(draw_frame(1))
    frame.save(folder / "drawing.png")
    return folder / "drawing.png"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "nothing.mp4", "cannot be read: No such file or directory"),
        (lambda folder: folder, "found a directory, expected a video file"),
        (lambda folder: written(folder, "e.mp4", b""), r"the file is empty \(0 bytes\), expected a video"),
        (lambda folder: written(folder, "t.txt", b"hello\n" * 500), "found .*, expected a video"),
        (
            lambda folder: written(folder, "t.mp4", b"hello\n" * 500),
            "FFmpeg cannot read it .*expected a video",
        ),
        (
            lambda folder: written(folder, "s.srt", b"1\n00:00:00,000 --> 00:00:01,000\nhi\n"),
            "found no picture",
        ),
        (link_to_itself, "cannot be read: "),
        (pipe, "found a device or a pipe, expected a video file"),
        (drawing, "found .*png.*, expected a video"),
        (sound_only, "found only sound, expected a video with moving pictures"),
        (
            lambda folder: cut_short(make_clip(folder / "cut.mp4"), 0.5),
            "FFmpeg cannot read it .*it is cut short, or still being written",
        ),
        (
            lambda folder: make_clip(
                folder / "wide.mkv", duration_s=0.2, width=9000, height=64, layout=None, video_codec="ffv1"
            ),
            "found pictures of 9000 x 64, expected at most 8192 on a side",
        ),
        (
            lambda folder: spoil_packets(make_clip(folder / "bad.mp4"), "video", range(75)),
            "not one picture of its video can be decoded",
        ),
    ],
)
def test_what_is_no_video_is_told_in_one_line(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    path = make(tmp_path)
    with pytest.raises(UserError, match=words) as caught:
        play(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every file")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4")
    path.chmod(0)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        FileSource(path, "a", clock=FakeClock())


@pytest.mark.parametrize("start_s", [-1.0, 3.5])
def test_a_start_outside_the_clip(tmp_path: Path, start_s: float) -> None:
    with pytest.raises(UserError, match=rf"start_s: found {start_s}, expected 0 to below 3\.0"):
        FileSource(make_clip(tmp_path / "clip.mp4"), "a", clock=FakeClock(), start_s=start_s)


def test_nothing_of_ffmpeg_reaches_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    play(spoil_packets(make_clip(tmp_path / "clip.mp4", video_codec="libx264"), "video", range(20, 40)))
    assert capfd.readouterr() == ("", "")


# The shared recordings

CLIPS = yaml.safe_load((MEDIA / "clips.yaml").read_text()) if (MEDIA / "clips.yaml").exists() else []


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS, reason="../shared/media/clips.yaml is absent: no recordings to try")
@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip["file"])
def test_every_shared_recording_gives_a_snippet_a_second(clip: dict[str, Any]) -> None:
    snippets, previews, end = play(MEDIA / clip["file"], preview=PreviewSettings(max_side=64, max_fps=30))
    name, seconds = clip["file"], math.floor(clip["duration_s"])
    assert [(snippet.seq, snippet.t_ns) for snippet in snippets] == [(k, k * SECOND) for k in range(seconds)]
    assert not any(snippet.gap for snippet in snippets), "what is damaged lies behind the last whole second"
    assert {snippet.has_audio for snippet in snippets} == {name != "edge_noaudio_accordion.mp4"}
    assert heard(snippets).any() == (
        name not in {"edge_noaudio_accordion.mp4", "edge_silent_track_dog_and_woman.mp4"}
    )
    assert end.counters["corrupt_packets"] == (name == "edge_corrupt_aac_interview.mp4")
    assert sum(preview.dur_ns for preview in previews) / SECOND == pytest.approx(clip["duration_s"], abs=0.15)
    pictures = sum(len(preview.jpegs) for preview in previews)
    assert pictures == end.counters["frames"], "none of them has more than 30 pictures a second"
    height, width = snippets[0].frame.shape[:2]
    assert (height > width) == ("portrait" in name)
    assert all(k * SECOND + SECOND - s.frame_t_ns < 0.12 * SECOND for k, s in enumerate(snippets))
