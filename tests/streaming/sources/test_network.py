"""Network cameras: real servers, that come, go, freeze and fall silent."""

from __future__ import annotations

import functools
import http.server
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streaming.backoff import Backoff
from streaming.clock import Clock, FakeClock
from streaming.messages import End, Preview, Snippet, encode
from streaming.snippets import Strip, Window
from streaming.sources.base import PreviewSettings
from streaming.sources.connection import Arrival, Opened
from streaming.sources.cutting import Cut, Cutting
from streaming.sources.network import Feed, NetworkSource, Playout
from tests.cameras import RtspCamera, needs_rtsp
from tests.media import draw_frame, frame_number, is_lit, make_clip

SECOND = 1_000_000_000
RATE = 16_000
FPS = 25


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every second, a flash and a beep together."""
    return make_clip(
        tmp_path_factory.mktemp("clips") / "flash.mp4",
        duration_s=90,
        fps=FPS,
        video_codec="libx264",
        rate_hz=48_000,
        bursts_s=[(k + 0.4, k + 0.6) for k in range(90)],
    )


@pytest.fixture
def camera(clip: Path) -> Iterator[Callable[..., RtspCamera]]:
    made: list[RtspCamera] = []

    def make(*options: str) -> RtspCamera:
        made.append(RtspCamera(clip, *options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@dataclass
class Watched:
    """A source that a thread of its own plays, and what came of it."""

    source: NetworkSource
    snippets: list[Snippet] = field(default_factory=list)
    came_ns: list[int] = field(default_factory=list)
    previews: list[Preview] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def _play(self) -> None:
        for message in self.source:
            if message is None:
                continue
            assert not isinstance(message, End)
            encode(message)  # every message keeps its schema
            if isinstance(message, Preview):
                self.previews.append(message)
            else:
                self.came_ns.append(time.monotonic_ns())
                self.snippets.append(message)

    def until(self, what: Callable[[], Any], timeout_s: float = 20.0) -> float:
        """Wait until something is so; after how many seconds."""
        begun = time.monotonic()
        while not what():
            assert time.monotonic() - begun < timeout_s, self.source.counters
            time.sleep(0.02)
        return time.monotonic() - begun

    def more(self, count: int, timeout_s: float = 20.0) -> list[Snippet]:
        """So many new snippets."""
        have = len(self.snippets)
        self.until(lambda: len(self.snippets) >= have + count, timeout_s)
        return self.snippets[have : have + count]

    def state(self) -> Any:
        return self.source.counters["state"]

    def close(self) -> None:
        self.source.close()
        self._thread.join(5)
        assert not self._thread.is_alive()


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def begin(uri: str, **options: Any) -> Watched:
        options = {"hop_s": 0.5, "silent_s": 1.5, "backoff": Backoff(0.2, 0.5)} | options
        made.append(Watched(NetworkSource(uri, "front", clock=Clock(), **options)))
        return made[-1]

    yield begin
    for one in made:
        one.close()


def onsets(snippets: list[Snippet]) -> list[tuple[float, float]]:
    """When light goes on and the sound that goes with it begins, in seconds of stream time.

    From snippets so close together that each frame is the picture of one.
    """
    lights = sorted({snippet.frame_t_ns: is_lit(snippet.frame) for snippet in snippets}.items())
    found = []
    for (_, dark), (t_ns, lit) in pairwise(lights):
        if dark or not lit:
            continue
        around = next((s for s in snippets if s.t_ns + SECOND // 4 <= t_ns <= s.t_ns + 3 * SECOND // 4), None)
        if around is None:
            continue
        loud = np.abs(around.audio) > 0.1
        starts = np.flatnonzero(loud[1:] & ~loud[:-1]) + 1
        starts = [int(s) for s in starts if not loud[max(0, s - 800) : s].any()]
        heard_s = [around.t_ns / 1e9 + start / RATE for start in starts]
        if heard_s:
            found.append((t_ns / 1e9, min(heard_s, key=lambda s: abs(s - t_ns / 1e9))))
    return found


# The real thing -----------------------------------------------------------------------------------------


@needs_rtsp
def test_flash_and_beep_stay_together_for_a_minute(
    camera: Callable[..., RtspCamera], watch: Callable[..., Watched]
) -> None:
    watched = watch(camera().uri, hop_s=1 / FPS)
    watched.until(lambda: watched.snippets and watched.snippets[-1].t_ns > 62 * SECOND, 90)
    found = onsets(watched.snippets)
    assert len(found) > 55
    assert found[-1][0] > 60
    assert max(abs(seen_s - heard_s) for seen_s, heard_s in found) <= 1 / FPS
    assert {snippet.generation for snippet in watched.snippets} == {0}
    assert not any(snippet.gap for snippet in watched.snippets)


@needs_rtsp
def test_a_camera_that_is_gone_for_a_while_comes_back_as_a_new_generation(
    camera: Callable[..., RtspCamera], watch: Callable[..., Watched], caplog: pytest.LogCaptureFixture
) -> None:
    one = camera()
    watched = watch(one.uri, preview=PreviewSettings(max_side=96))
    before = watched.more(4)
    assert {snippet.generation for snippet in before} == {0}
    one.kill()
    assert watched.until(lambda: watched.state() == "lost") < 4
    time.sleep(2)
    one.start()
    after = watched.more(3)
    assert {snippet.generation for snippet in after[-2:]} == {1}
    first = next(snippet for snippet in watched.snippets if snippet.generation == 1)
    assert first.gap
    assert first.t_ns > before[-1].t_ns + 2 * SECOND  # stream time goes on while the camera is away
    assert [s.seq for s in watched.snippets] == list(range(len(watched.snippets)))
    assert {preview.generation for preview in watched.previews} == {0, 1}
    assert watched.source.counters["connections"] == 2
    assert "trying again" in caplog.text


@needs_rtsp
def test_a_stream_that_freezes_without_closing_is_noticed_and_taken_up_again(
    camera: Callable[..., RtspCamera], watch: Callable[..., Watched]
) -> None:
    one = camera()
    watched = watch(one.uri)
    watched.more(2)
    one.freeze()
    assert watched.until(lambda: watched.state() == "lost") < 5
    one.thaw()
    watched.until(lambda: watched.snippets[-1].generation > 0)
    assert watched.state() == "live"


@needs_rtsp
def test_a_camera_that_is_absent_at_first_is_picked_up_when_it_appears(
    camera: Callable[..., RtspCamera], watch: Callable[..., Watched]
) -> None:
    one = camera()
    one.kill()
    watched = watch(one.uri)
    watched.until(lambda: watched.state() == "lost")
    assert watched.source.counters["reason"] == "Connection refused"
    time.sleep(1)
    one.start()
    watched.more(2)
    assert watched.source.counters["connections"] == 1


@needs_rtsp
def test_sound_that_stops_is_not_waited_for_and_is_heard_again_when_it_is_back(
    camera: Callable[..., RtspCamera], watch: Callable[..., Watched]
) -> None:
    one = camera()
    watched = watch(one.uri)
    assert all(snippet.has_audio for snippet in watched.more(3))
    one.tell("mute")
    watched.until(lambda: not watched.snippets[-1].has_audio)
    quiet = watched.more(4)
    assert not any(snippet.has_audio or snippet.audio.any() for snippet in quiet)
    one.tell("unmute")
    watched.until(lambda: watched.snippets[-1].has_audio)
    assert all(snippet.has_audio for snippet in watched.more(4)[1:])
    assert max(np.abs(snippet.audio).max() for snippet in watched.more(3)) > 0.1
    assert {snippet.generation for snippet in watched.snippets} == {0}
    gaps_s = np.diff(watched.came_ns) / 1e9
    assert gaps_s.max() < 2.0  # pictures went on all the time


@needs_rtsp
def test_a_camera_without_sound_works(
    camera: Callable[..., RtspCamera], watch: Callable[..., Watched]
) -> None:
    watched = watch(camera("--silent").uri)
    found = watched.more(4)
    assert not any(snippet.has_audio or snippet.audio.any() or snippet.gap for snippet in found)
    numbers = [frame_number(snippet.frame) for snippet in found]
    assert np.diff(numbers).tolist() == pytest.approx([FPS / 2] * 3, abs=1)


@needs_rtsp
def test_a_password_opens_the_camera_and_is_shown_nowhere(
    camera: Callable[..., RtspCamera], watch: Callable[..., Watched], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    address = camera("--login", "me:hunter2").uri.removeprefix("rtsp://")
    refused = watch(f"rtsp://me:hunter3@{address}")
    refused.until(lambda: refused.state() == "lost")
    assert "authorization failed" in str(refused.source.counters["reason"])
    watched = watch(f"rtsp://me:hunter2@{address}")
    shown = [encode(snippet)[1] for snippet in watched.more(1)]
    told = f"{caplog.text} {shown} {watched.source.counters} {refused.source.counters} {refused.source.uri}"
    assert "hunter" not in told
    assert "rtsp://***@127.0.0.1" in caplog.text


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server on loopback that serves a folder; its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_hls_is_played_at_its_own_pace_though_it_comes_in_pieces(
    web: str, tmp_path: Path, watch: Callable[..., Watched]
) -> None:
    options = {"hls_time": "2", "hls_list_size": "0", "hls_playlist_type": "vod"}
    source = make_clip(
        tmp_path / "source.ts", duration_s=12, fps=FPS, video_codec="libx264", rate_hz=48_000,
        bursts_s=[(k + 0.4, k + 0.6) for k in range(12)],
    )  # fmt: skip
    with av.open(str(source)) as made, av.open(str(tmp_path / "live.m3u8"), "w", options=options) as pieces:
        streams = {stream.index: pieces.add_stream_from_template(stream) for stream in made.streams}
        for packet in made.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                pieces.mux(packet)
    watched = watch(f"{web}/live.m3u8", hop_s=1 / FPS)
    watched.more(5 * FPS)
    steps_s = np.diff(watched.came_ns[FPS:]) / 1e9
    assert steps_s.mean() == pytest.approx(1 / FPS, rel=0.1)
    found = onsets(watched.snippets)
    assert len(found) >= 4
    assert max(abs(seen_s - heard_s) for seen_s, heard_s in found) <= 1 / FPS
    assert watched.source.counters["shed"] == 0


def test_an_address_cannot_lead_to_a_file_of_this_machine(
    web: str, clip: Path, tmp_path: Path, watch: Callable[..., Watched]
) -> None:
    (tmp_path / "trap.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{clip}\n")
    watched = watch(f"{web}/trap.m3u8")
    watched.until(lambda: watched.state() == "lost")
    assert not watched.snippets


# What no server can be made to do: frames put in by hand --------------------------------------------------


def picture(number: int, t_s: float, *, width: int = 160, height: int = 96) -> Arrival:
    frame = av.VideoFrame.from_ndarray(draw_frame(number, width=width, height=height))
    frame.pts, frame.time_base = round(t_s * 90_000), Fraction(1, 90_000)
    return Arrival(frame, 0)


def sound(t_s: float, dur_s: float = 0.02, rate_hz: int = 48_000) -> Arrival:
    frame = av.AudioFrame.from_ndarray(
        np.full((1, round(dur_s * rate_hz)), 8000, np.int16), format="s16", layout="mono"
    )
    frame.sample_rate, frame.pts, frame.time_base = rate_hz, round(t_s * rate_hz), Fraction(1, rate_hz)
    return Arrival(frame, 0, sound=True)


def feed(has_sound: bool = False) -> Feed:
    cutting = Cutting(
        "front", clock=FakeClock(), hop_s=1.0, has_sound=has_sound, sound_format=(48_000, 1), preview=None,
        patience_s=0.4,
    )  # fmt: skip
    return Feed(cutting, Opened(Fraction(1), (48_000, 1) if has_sound else None, "h264"), 0, "front")


def windows(cuts: Iterator[Cut] | list[Cut]) -> list[Window[av.VideoFrame]]:
    return [cut for cut in cuts if not isinstance(cut, Strip)]


def play(one: Feed, arrivals: list[Arrival]) -> list[Window[av.VideoFrame]]:
    return windows([cut for arrival in arrivals for cut in one.take(arrival)])


def stamp_s(arrival: Arrival) -> float:
    frame: Any = arrival.frame
    return float(frame.pts * frame.time_base)


def at(arrivals: list[Arrival], begin_s: float) -> list[Arrival]:
    """The same, each having come when the camera says, counted from begin_s of ours."""
    first_s = min(map(stamp_s, arrivals))
    return [a._replace(came_ns=round((begin_s + stamp_s(a) - first_s) * 1e9)) for a in arrivals]


@pytest.mark.parametrize("leap_s", [3600.0, -1800.0])
def test_a_camera_whose_clock_leaps_begins_a_generation(leap_s: float) -> None:
    one = feed()
    before = [picture(n, 5000 + n / 10) for n in range(31)]
    after = [picture(100 + n, 5003.1 + leap_s + n / 10) for n in range(31)]
    found = play(one, at(before, 7.0) + after)
    assert [(w.generation, w.gap) for w in found] == [(0, False)] * 3 + [(1, True), (1, False), (1, False)]
    assert found[0].t_ns == 7 * SECOND


@pytest.mark.parametrize("has_sound", [False, True])
def test_a_camera_that_changes_its_resolution_begins_a_generation(has_sound: bool) -> None:
    one = feed(has_sound)
    arrivals = [picture(n, n / 10) for n in range(35)]
    arrivals += [picture(n, n / 10, width=320, height=192) for n in range(35, 70)]
    if has_sound:
        arrivals += [sound(n / 50) for n in range(350)]
        arrivals.sort(key=stamp_s)
    found = play(one, at(arrivals, 0.0))
    assert [w.generation for w in found] == [0] * 3 + [1] * 3
    assert [w.frame.width for w in found] == [160] * 3 + [320] * 3


def test_sound_that_starts_late_does_not_hold_up_pictures() -> None:
    one = feed(has_sound=True)
    arrivals = [picture(n, n / 10) for n in range(80)] + [sound(n / 50) for n in range(200, 400)]
    arrivals.sort(key=stamp_s)
    came = at(arrivals, 0.0)
    found = play(one, came)
    assert len(found) == 7
    assert [bool(w.audio.any()) for w in found] == [False] * 4 + [True] * 3


def test_frames_that_cannot_be_placed_or_are_too_large_are_left_out_and_flagged() -> None:
    one = feed()
    arrivals = at([picture(n, n / 10) for n in range(45)], 0.0)
    huge = av.VideoFrame(16_384, 64, "yuv420p")
    huge.pts, huge.time_base = 90_000 * 15 // 10 + 4500, Fraction(1, 90_000)
    nowhere = av.VideoFrame(160, 96, "yuv420p")
    arrivals[16:16] = [Arrival(huge, 0), Arrival(nowhere, 0), Arrival(None, 0)]
    found = play(one, arrivals)
    assert [w.gap for w in found] == [False, True, False, False]
    assert {w.frame.width for w in found} == {160}


def test_what_comes_in_bursts_goes_evenly_and_does_not_stay_old() -> None:
    clock, stop = FakeClock(), threading.Event()
    playout = Playout(clock)
    one = feed()
    cuts = play(one, at([picture(n, n / 10) for n in range(2000)], 0.0))
    gone_s = []
    for place, cut in enumerate(cuts):
        came_ns = (10 * (place // 6)) * SECOND * 6 // 10  # six together
        clock.advance(max(0, came_ns - clock.monotonic_ns()))
        while not playout.wait(cut, stop):
            pass
        gone_s.append(clock.monotonic_ns() / 1e9)
    steps_s = np.diff(gone_s)
    assert steps_s.min() > 0.9
    assert steps_s.max() < 1.1
