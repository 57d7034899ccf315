"""A webcam with a microphone as a source: two devices, put on one clock.

Pictures are stamped when their read returns, sound with when the device recorded it. The microphone outlives
the camera: it goes on while one that was pulled out is waited for, so what is known of its clock is kept.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction

import av

from streaming.clock import Clock
from streaming.errors import UserError
from streaming.messages import End, Preview, Snippet
from streaming.sources.arrivals import Arrival, Inbox, Opened
from streaming.sources.camera import Camera
from streaming.sources.live import LiveOptions, LiveSource
from streaming.sources.microphone import NANOSECOND, Microphone, deaf


class WebcamSource(LiveSource):
    """The devices of this machine.

    open_camera: raises `UserError` for a camera that cannot be opened.
    microphone: None for a camera without one.
    """

    def __init__(
        self,
        source_id: str,
        open_camera: Callable[[], Camera],
        microphone: Microphone | None,
        *,
        shown: str,
        clock: Clock,
        options: LiveOptions | None = None,
    ) -> None:
        def connect() -> Devices:
            return Devices(open_camera, microphone, clock)

        super().__init__(source_id, connect, shown=shown, clock=clock, options=options)
        self._microphone = microphone

    @property
    def counters(self) -> dict[str, int | float | str]:
        """Also what the microphone has lost, and how far off its clock is."""
        counters = super().counters
        if self._microphone is not None:
            counters |= {**self._microphone.tally, "microphone_ppm": round(self._microphone.ppm, 1)}
        return counters

    def __iter__(self) -> Iterator[Snippet | Preview | End | None]:
        try:
            yield from super().__iter__()
        finally:
            if self._microphone is not None:
                self._microphone.close()


class Devices:
    """A camera from being opened to being lost, and the microphone meanwhile. See `arrivals.Connection`."""

    def __init__(
        self, open_camera: Callable[[], Camera], microphone: Microphone | None, clock: Clock
    ) -> None:
        self.opened: Opened | None = None
        self.lost: str | None = None
        self._open_camera, self._microphone, self._clock = open_camera, microphone, clock
        self._inbox = Inbox()
        if microphone is not None:
            microphone.tend()
        threading.Thread(target=self._run, name="camera", daemon=True).start()

    @property
    def tally(self) -> Counter[str]:
        """Pictures that nobody took in time; the microphone counts for itself."""
        return Counter(shed=self._inbox.shed)

    def take(self, timeout_s: float) -> Arrival | None:
        if self._microphone is not None:
            self._microphone.tend()
        return self._inbox.take(timeout_s)

    def close(self) -> None:
        """The camera's thread ends when its read returns, and closes it."""
        if self._microphone is not None:
            self._microphone.listener = deaf
        self._inbox.close()

    def _heard(self, frame: av.AudioFrame | None, came_ns: int) -> None:
        self._inbox.put(Arrival(frame, came_ns, sound=True))

    # In the camera's thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        reason = "the camera gives no more pictures"
        try:
            camera = self._open_camera()
            try:
                self._read(camera)
            finally:
                camera.close()
        except UserError as error:
            reason = str(error)
        except Exception as error:  # whatever it is, the camera is lost and will be tried again
            reason = f"{type(error).__name__}: {error}"
        self.lost = reason
        self._inbox.close(empty=False)

    def _read(self, camera: Camera) -> None:
        microphone = self._microphone
        self.opened = Opened(Fraction(1), microphone.sound_format if microphone else None, "webcam")
        if microphone is not None and not self._inbox.closed:
            microphone.listener = self._heard
        while not self._inbox.closed and (picture := camera.read()) is not None:
            came_ns = self._clock.monotonic_ns()  # after the read: before it, the picture was not there yet
            frame = av.VideoFrame.from_ndarray(picture, "bgr24")
            frame.pts, frame.time_base = came_ns, NANOSECOND
            self._inbox.put(Arrival(frame, came_ns))
