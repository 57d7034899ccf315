"""A camera and a microphone on one clock: together for minutes, apart when one of them fails."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from streaming.clock import Clock, FakeClock
from streaming.errors import UserError
from streaming.messages import Snippet
from streaming.sources import microphone as microphone_module
from streaming.sources.arrivals import Arrival, Opened
from streaming.sources.camera import OpenCvCamera
from streaming.sources.live import LiveOptions, LiveSource
from streaming.sources.microphone import Block, Microphone, PortAudioStream, find_device
from streaming.sources.webcam import WebcamSource
from tests.media import draw_frame, tone
from tests.microphones import RATE_HZ, PulseMicrophone, needs_microphone
from tests.streaming.sources.watching import SECOND, Watched, onsets

FPS = 25
FLASHES_S = [(k + 0.4, k + 0.6) for k in range(200)]


def lit(t_s: float) -> bool:
    return any(begin - 1e-9 <= t_s < end - 1e-9 for begin, end in FLASHES_S)


class Device:
    """A microphone in the test's hands."""

    rate_hz, channels, name = 48_000, 1, "stand-in"

    def __init__(self, which: str, clock: Clock, deliver: Callable[[Block], None]) -> None:
        self.deliver, self.closed = deliver, False

    def close(self) -> None:
        self.closed = True


# Together, in no time -------------------------------------------------------------------------------------


class Both:
    """A camera and a microphone whose clock is off, as a connection; time is what they make of it."""

    def __init__(self, clock: FakeClock, ppm: float, seconds: int) -> None:
        self.opened: Opened | None = Opened(Fraction(1), (48_000, 1), "webcam")
        self.lost: str | None = None
        self.tally: Counter[str] = Counter()
        self._clock, self._waiting = clock, list[Arrival]()
        made: list[Device] = []
        self.microphone = Microphone("stand-in", clock, lambda *args: made.append(Device(*args)) or made[-1])
        self.microphone.tend()
        self.microphone.listener = lambda frame, t_ns: self._waiting.append(Arrival(frame, t_ns, sound=True))
        self._events = self._script(made[0], ppm, seconds)

    def _script(self, device: Device, ppm: float, seconds: int) -> Iterator[None]:
        """Pictures and blocks of sound, each when it is there, with the jitter of real ones."""
        rng = np.random.default_rng(1)
        true_hz, block = 48_000 * (1 + ppm / 1e6), 960
        pictures = [(n / FPS + 0.002 + rng.exponential(0.001), n) for n in range(FPS * seconds)]
        blocks = [((k + 1) * block / true_hz + 0.01, -1 - k) for k in range(int(seconds * true_hz) // block)]
        for t_s, what in sorted(pictures + blocks):
            self._clock.advance(max(0, round(t_s * 1e9) - self._clock.monotonic_ns()))
            now_ns = self._clock.monotonic_ns()
            if what >= 0:
                frame = av.VideoFrame.from_ndarray(draw_frame(what % 1000, lit=lit(what / FPS)))
                frame.pts, frame.time_base = now_ns, Fraction(1, SECOND)
                self._waiting.append(Arrival(frame, now_ns))
            else:
                first = (-1 - what) * block
                times_s = (first + np.arange(block)) / true_hz
                stamp_s = first / true_hz + rng.uniform(-0.002, 0.002)
                device.deliver(Block(tone(times_s, FLASHES_S)[:, None], round(stamp_s * 1e9), False))
            yield

    def take(self, timeout_s: float) -> Arrival | None:
        while not self._waiting:
            if next(self._events, self) is self:
                self.lost = "over"
                return None
        return self._waiting.pop(0)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("ppm", [0.0, 200.0])
def test_flash_and_beep_stay_together_though_the_microphone_runs_fast(ppm: float) -> None:
    clock = FakeClock()
    both = Both(clock, ppm, 130)

    def connect() -> Both:
        if both.lost:
            source.close()
        return both

    source = LiveSource("cam", connect, shown="webcam:0", clock=clock, options=LiveOptions(hop_s=0.5 / FPS))
    snippets = [message for message in source if isinstance(message, Snippet)]
    found = onsets(snippets)
    assert len(found) > 120
    off_s = np.array([heard_s - seen_s for seen_s, heard_s in found])
    assert np.abs(off_s).max() <= 1 / FPS
    late_s = off_s[100:].mean() - off_s[:20].mean()
    assert abs(late_s) < 0.005  # uncorrected, 200 ppm are 20 ms by then
    assert both.microphone.ppm == pytest.approx(ppm, abs=20)
    assert both.microphone.tally["overruns"] == 0
    assert {snippet.generation for snippet in snippets} == {0}
    assert sum(snippet.gap for snippet in snippets) == 0


# Apart, in real time --------------------------------------------------------------------------------------


class Camera:
    """A camera in the test's hands, lit when it is told to be."""

    def __init__(self, fps: float = FPS) -> None:
        self.fps = fps
        self.closed = False
        self.stalled = threading.Event()
        self.gone = threading.Event()
        self.is_lit: Callable[[], bool] = lambda: False
        self.count = 0

    def read(self) -> np.ndarray | None:
        time.sleep(1 / self.fps)
        while self.stalled.is_set():
            time.sleep(0.01)
        if self.gone.is_set():
            return None
        self.count += 1
        return draw_frame(self.count % 1000, lit=self.is_lit())[..., ::-1].copy()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def begin(cameras: list[Camera], microphone: Microphone | None, **options: Any) -> Watched:
        left = list(cameras)

        def open_camera() -> Camera:
            if not left:
                raise UserError("no camera /dev/video0; found: none")
            return left.pop(0)

        live = LiveOptions(**{"hop_s": 0.5, "silent_s": 1.0, "retry_s": (0.2, 0.5)} | options)
        made.append(
            Watched(
                WebcamSource("cam", open_camera, microphone, shown="webcam:0", clock=Clock(), options=live)
            )
        )
        return made[-1]

    yield begin
    for one in made:
        one.close()


def test_a_camera_without_a_microphone_works(watch: Callable[..., Watched]) -> None:
    found = watch([Camera()], None).more(3)
    assert not any(snippet.has_audio or snippet.gap for snippet in found)


def test_a_camera_that_stalls_is_given_up_and_the_next_try_works(watch: Callable[..., Watched]) -> None:
    first, second = Camera(), Camera()
    watched = watch([first, second], None)
    watched.more(2)
    first.stalled.set()
    watched.until(lambda: watched.state() == "lost", 5)
    assert "no picture for 1 s" in str(watched.source.counters["reason"])
    watched.until(lambda: watched.snippets[-1].generation == 1, 5)
    assert not first.closed  # its read has not returned
    first.stalled.clear()
    watched.until(lambda: first.closed, 5)


def test_a_camera_that_is_pulled_out_is_tried_again_and_the_microphone_goes_on(
    watch: Callable[..., Watched],
) -> None:
    made: list[Device] = []
    microphone = Microphone("x", Clock(), lambda *args: made.append(Device(*args)) or made[-1])
    first, second = Camera(), Camera()
    watched = watch([first, second], microphone)
    going = threading.Event()

    def hum() -> None:
        begun_ns, count = time.monotonic_ns(), 0
        while not going.wait(0.02):
            while begun_ns + count * SECOND // 50 < time.monotonic_ns():
                samples = np.full((960, 1), 0.25, np.float32)
                made[0].deliver(Block(samples, begun_ns + count * SECOND // 50, False))
                count += 1

    watched.until(lambda: made)
    thread = threading.Thread(target=hum)
    thread.start()
    try:
        watched.until(lambda: watched.snippets and watched.snippets[-1].has_audio)
        assert np.abs(watched.more(3)[-1].audio).max() == pytest.approx(0.25, abs=0.01)
        first.gone.set()
        watched.until(lambda: first.closed, 5)
        watched.until(lambda: watched.snippets[-1].generation == 1, 5)
        after = watched.more(3)[-1]
        assert np.abs(after.audio).max() == pytest.approx(0.25, abs=0.01)
        assert len(made) == 1
    finally:
        going.set()
        thread.join()
    watched.close()
    assert made[0].closed


def test_no_camera_is_told_in_a_line_and_tried_again(
    watch: Callable[..., Watched], caplog: pytest.LogCaptureFixture
) -> None:
    watched = watch([], None)
    watched.until(lambda: watched.state() == "lost")
    assert watched.source.counters["reason"] == "no camera /dev/video0; found: none"
    assert "no camera /dev/video0" in caplog.text


@pytest.mark.parametrize("which", ["98", "/dev/video98"])
def test_a_camera_that_is_not_there_is_told_in_one_line(
    which: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"^no camera /dev/video98; found: "):
        OpenCvCamera(which)
    assert capfd.readouterr().err == ""  # nothing of OpenCV's own


def test_a_device_that_is_no_camera_is_told(tmp_path: Path) -> None:
    (tmp_path / "video").touch()
    with pytest.raises(UserError, match="video cannot be opened; does another program use it"):
        OpenCvCamera(str(tmp_path / "video"))


# The microphone -------------------------------------------------------------------------------------------


def heard_by(microphone: Microphone) -> list[Any]:
    heard: list[Any] = []
    microphone.listener = lambda frame, came_ns: heard.append(frame)
    return heard


def test_an_overrun_and_a_hole_are_counted_and_begin_a_new_stretch() -> None:
    clock, made = FakeClock(10 * SECOND), list[Device]()
    microphone = Microphone("x", clock, lambda *args: made.append(Device(*args)) or made[-1])
    microphone.tend()
    heard = heard_by(microphone)

    def block(t_s: float, overrun: bool = False) -> None:
        made[0].deliver(Block(np.zeros((960, 1), np.float32), round(t_s * 1e9), overrun))

    for n in range(50):
        block(n / 50)
    assert None not in heard
    block(1.0, overrun=True)
    for n in range(50):
        block(1.02 + n / 50)
    block(3.0)  # a second is missing
    assert heard.count(None) == 2
    assert microphone.tally["overruns"] == 2
    after = heard[len(heard) - 1 - heard[::-1].index(None) + 1 :]
    assert all(frame.pts >= 2.99e9 for frame in after)


def test_a_microphone_that_falls_silent_or_is_absent_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    clock, made, there = FakeClock(10 * SECOND), list[Device](), [True]

    def open_(*args: Any) -> Device:
        if not there[0]:
            raise UserError("microphone x: no such microphone; found: none")
        made.append(Device(*args))
        return made[-1]

    microphone = Microphone("x", clock, open_)
    microphone.tend()
    assert microphone.sound_format == (48_000, 1)
    clock.advance(SECOND)
    microphone.tend()
    assert len(made) == 1
    there[0] = False
    clock.advance(2 * SECOND)
    microphone.tend()
    assert made[0].closed
    assert microphone.sound_format is None
    there[0] = True
    microphone.tend()  # not at once again
    assert len(made) == 1
    clock.advance(3 * SECOND)
    microphone.tend()
    assert len(made) == 2
    assert microphone.tally["silences"] == 1
    assert "no such microphone" in caplog.text


DEVICES = [
    {"index": 0, "name": "HDA Intel: ALC (hw:0,0)", "max_input_channels": 2},
    {"index": 3, "name": "USB Microphone", "max_input_channels": 1},
    {"index": 4, "name": "USB Microphone 2", "max_input_channels": 1},
]


@pytest.mark.parametrize(
    ("which", "index"), [("3", 3), ("alc", 0), ("usb microphone", 3), ("Microphone 2", 4), ("default", 4)]
)
def test_a_microphone_is_found_by_index_or_name(
    which: str, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = SimpleNamespace(default=SimpleNamespace(device=(4, 0)))
    monkeypatch.setattr(microphone_module, "portaudio", lambda: default)
    assert find_device(which, DEVICES)["index"] == index


@pytest.mark.parametrize(
    ("which", "told"),
    [
        ("7", r"microphone 7: no such microphone; found: 0 'HDA.*', 3 'USB Microphone', 4"),
        ("webcam", "no such microphone"),
        ("micro", "several microphones of that name; found"),
    ],
)
def test_a_microphone_that_cannot_be_meant_is_told_with_those_there_are(which: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        find_device(which, DEVICES)


@needs_microphone
def test_a_real_microphone_is_heard_when_it_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: Callable[..., Watched]
) -> None:
    """A camera sees a lamp go on in the moment in which the microphone's membrane begins to tremble."""
    pulse = PulseMicrophone(tmp_path, monkeypatch)
    going, lamp = threading.Event(), threading.Event()

    def beep() -> None:
        begun, chunk = time.monotonic(), RATE_HZ // 100
        for count in range(10_000):
            times_s = (count * chunk + np.arange(chunk)) / RATE_HZ
            while time.monotonic() - begun < count / 100:
                if going.wait(0.001):
                    return
            (lamp.set if lit(count / 100) else lamp.clear)()
            pulse.hear(tone(times_s, FLASHES_S))

    thread = threading.Thread(target=beep)
    thread.start()
    try:
        camera = Camera(2 * FPS)  # so that what it adds itself, until it sees the lamp, is half a picture
        camera.is_lit = lamp.is_set
        microphone = Microphone("pulse", Clock())
        watched = watch([camera], microphone, hop_s=0.25 / FPS)
        watched.until(lambda: watched.snippets and watched.snippets[-1].has_audio, 10)
        watched.more(32 * FPS, 20)
        found = onsets(watched.snippets)
        assert len(found) >= 6
        off_s = np.array([heard_s - seen_s for seen_s, heard_s in found])
        assert np.median(np.abs(off_s)) <= 1 / FPS  # a busy machine may be late for one
        assert isinstance(microphone._stream, PortAudioStream)
        assert microphone._stream.rate_hz == RATE_HZ
        watched.close()
    finally:
        going.set()
        thread.join()
        pulse.close()
