"""A microphone of this machine, captured with PortAudio at its own rate, and when its sound was recorded."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

import av
import numpy as np

from streaming.backoff import Backoff
from streaming.clock import Clock
from streaming.errors import UserError
from streaming.sources.sample_clock import SampleClock, SteadySound

BLOCK_S = 0.02
LATENCY_S = 0.1  # of PortAudio's buffers: stamps take it into account
DEAF_S = 2.0  # a stream that brings nothing for so long is opened anew
HOLE_S = 0.1  # a block so far from where it was expected belongs to another stretch of sound
NANOSECOND = Fraction(1, 1_000_000_000)

log = logging.getLogger(__name__)


class Block(NamedTuple):
    """What a callback is given."""

    samples: np.ndarray  # (n, channels) float32
    t_ns: int  # when the first of them was recorded, by the monotonic clock
    overrun: bool  # some before it were lost


class Stream(Protocol):
    """An open microphone, which calls back from a thread of its own until it is closed."""

    rate_hz: int
    channels: int
    name: str

    def close(self) -> None: ...


Listener = Callable[[av.AudioFrame | None, int], None]
OpenStream = Callable[[str, Clock, Callable[[Block], None]], Stream]


def deaf(frame: av.AudioFrame | None, came_ns: int) -> None:
    """Listens to nothing."""


class PortAudioStream:
    """A device by index, by a part of its name, or `default`.

    Raises `UserError`: PortAudio is not installed, there is no such device, or it cannot be opened.
    """

    def __init__(self, which: str, clock: Clock, deliver: Callable[[Block], None]) -> None:
        sd = portaudio()
        device = find_device(which, devices())
        self.rate_hz, self.name = round(device["default_samplerate"]), device["name"]
        self.channels = min(2, device["max_input_channels"])

        def called_back(samples: np.ndarray, frames: int, times: Any, status: Any) -> None:
            now_ns = clock.monotonic_ns()
            age_s = times.currentTime - times.inputBufferAdcTime
            if not 0 < age_s < 2 or not times.inputBufferAdcTime:  # some drivers do not tell
                age_s = frames / self.rate_hz
            deliver(Block(samples.copy(), now_ns - round(age_s * 1e9), bool(status.input_overflow)))

        try:
            self._stream = sd.InputStream(
                device=device["index"], samplerate=self.rate_hz, channels=self.channels, dtype="float32",
                blocksize=round(BLOCK_S * self.rate_hz), latency=LATENCY_S, callback=called_back,
            )  # fmt: skip
            self._stream.start()
        except sd.PortAudioError as error:
            raise UserError(f"microphone {which}: {device['name']!r} cannot be opened: {error}") from None

    def close(self) -> None:
        self._stream.close()


def portaudio() -> Any:
    """The sounddevice module. Raises `UserError` where PortAudio is missing."""
    try:
        import sounddevice
    except OSError:
        raise UserError(
            "microphone: PortAudio is not installed: sudo apt-get install libportaudio2"
        ) from None
    return sounddevice


def devices() -> list[dict[str, Any]]:
    """What PortAudio knows of every device that can record, also one that was plugged in just now.

    Not while a stream is open: it would be closed. Raises `UserError` where PortAudio is missing.
    """
    sd = portaudio()
    sd._terminate()
    sd._initialize()
    return [device for device in sd.query_devices() if device["max_input_channels"] > 0]


def find_device(which: str, known: list[dict[str, Any]]) -> dict[str, Any]:
    """A device by index, by a part of its name whatever its case, or `default`.

    Raises `UserError` for none, and for a name that several have.
    """
    offered = ", ".join(f"{device['index']} {device['name']!r}" for device in known) or "none"
    if which == "default":
        index = portaudio().default.device[0]
        found = [device for device in known if device["index"] == index] or known[:1]
    elif which.isdigit():
        found = [device for device in known if device["index"] == int(which)]
    else:
        found = [device for device in known if which.lower() in device["name"].lower()]
        found = [device for device in found if device["name"].lower() == which.lower()] or found
    if len(found) != 1:
        problem = "several microphones of that name" if found else "no such microphone"
        raise UserError(f"microphone {which}: {problem}; found: {offered}")
    return found[0]


class Microphone:
    """A microphone for as long as a run lasts, opened anew when it is lost; its sound in its place in time.

    which: as for `PortAudioStream`.

    Attributes:
        listener: is given sound at an even rate, stamped in ns of the monotonic clock, or None where some was
            lost; and when it came. It is called from the device's own thread.
        tally: `overruns`, and `silences`: how often it was lost.
    """

    def __init__(self, which: str, clock: Clock, open_stream: OpenStream = PortAudioStream) -> None:
        self.listener: Listener = deaf
        self.tally: Counter[str] = Counter(overruns=0, silences=0)
        self._which, self._clock, self._open_stream = which, clock, open_stream
        self._stream: Stream | None = None
        self._placing: Placing | None = None
        self._backoff = Backoff(2.0, 30.0)
        self._heard_ns = self._try_ns = 0
        self._told = ""

    @property
    def sound_format(self) -> tuple[int, int] | None:
        """Rate in Hz and channels; None while it is not open."""
        return (self._stream.rate_hz, self._stream.channels) if self._stream else None

    @property
    def ppm(self) -> float:
        """How much faster than it says it has been found to run, in parts per million."""
        return self._placing.clock.ppm if self._placing else 0.0

    def tend(self) -> None:
        """See to it that it is open: to be called now and then."""
        now_ns = self._clock.monotonic_ns()
        if self._stream is not None and now_ns - self._heard_ns > DEAF_S * 1e9:
            log.warning("microphone %s: nothing comes from it any more; trying again", self._which)
            self.tally["silences"] += 1
            self.close()
        if self._stream is None and now_ns >= self._try_ns:
            self._open(now_ns)

    def close(self) -> None:
        stream, self._stream, self._placing = self._stream, None, None
        if stream is not None:
            stream.close()

    def _open(self, now_ns: int) -> None:
        self._heard_ns = now_ns
        try:
            self._stream = self._open_stream(self._which, self._clock, self._called_back)
        except UserError as error:
            if str(error) != self._told:
                log.warning("%s; trying again", error)
            self._told = str(error)
            self._try_ns = now_ns + round(self._backoff.failed() * 1e9)
            return
        self._told = ""
        self._backoff.succeeded()
        log.info("microphone: %s, %d Hz", self._stream.name, self._stream.rate_hz)

    def _called_back(self, block: Block) -> None:
        came_ns = self._heard_ns = self._clock.monotonic_ns()
        if (stream := self._stream) is None:  # not quite open yet, or not any more
            return
        placing = self._placing = self._placing or Placing(stream.rate_hz, stream.channels)
        if block.overrun or placing.hole_s(block) > HOLE_S:
            self.tally["overruns"] += 1
            placing = self._placing = placing.anew()
            self.listener(None, came_ns)
        if (frame := placing.put(block)) is not None:
            self.listener(frame, came_ns)


class Placing:
    """A stretch of sound without a hole, from a device's clock to ours."""

    def __init__(self, rate_hz: int, channels: int, clock: SampleClock | None = None) -> None:
        self.clock = clock or SampleClock(rate_hz)
        self._rate_hz, self._channels = rate_hz, channels
        self._steady = SteadySound(self.clock, rate_hz, channels)
        self._count = 0

    def anew(self) -> Placing:
        """Another stretch of the same device."""
        return Placing(self._rate_hz, self._channels, self.clock.again())

    def hole_s(self, block: Block) -> float:
        """How far a block is from where it was expected."""
        return abs(block.t_ns - self.clock.time_ns(self._count)) / 1e9 if self._count else 0.0

    def put(self, block: Block) -> av.AudioFrame | None:
        self.clock.note(self._count, block.t_ns)
        self._count += len(block.samples)
        if (came := self._steady.put(block.samples)) is None:
            return None
        t_ns, samples = came
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.reshape(1, -1)), "flt", "mono" if self._channels == 1 else "stereo"
        )
        frame.sample_rate, frame.pts, frame.time_base = self._rate_hz, t_ns, NANOSECOND
        return frame
