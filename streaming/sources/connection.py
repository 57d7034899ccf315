"""One connection to a network camera: a thread of its own reads and decodes, whoever asks takes what came.

FFmpeg may block in a read for as long as it likes, and be closed by nobody else meanwhile. So a connection
that is given up is left to its thread, which ends when FFmpeg lets it; of what it still brings nothing is
seen.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import av
from av.error import FFmpegError
from av.logging import set_level

from streaming.clock import Clock
from streaming.sources.address import PROTOCOLS, redacted
from streaming.sources.recording import pixel_aspect

OPEN_S = 10.0
# What may wait to be taken. Pictures are large and soon old: of too many, the oldest goes.
MOST_PICTURES = 45
MOST_WAITING = 3000

log = logging.getLogger(__name__)


class Arrival(NamedTuple):
    """Something that came, and when, by the monotonic clock."""

    frame: av.VideoFrame | av.AudioFrame | None  # None: something was lost here
    came_ns: int
    sound: bool = False


class Opened(NamedTuple):
    """What a camera has to offer."""

    aspect: Fraction
    sound_format: tuple[int, int] | None  # rate in Hz and channels; None for a camera without sound
    codec: str


class Connection:
    """A camera, from being opened to being lost.

    uri: with name and password, which are shown nowhere.
    transport: for RTSP, how media travel.
    silent_s: FFmpeg is asked to give up a read after so long.
    patient: read on only when there is room, as what can be had again later allows; otherwise pictures that
        nobody takes in time are dropped.

    Attributes:
        opened: what it offers; None until it is open.
        lost: why it ended, in words without the password; None as long as it has not.
        corrupt: packets that could not be decoded.
        shed: pictures that were dropped because nobody took them in time.
    """

    def __init__(
        self,
        uri: str,
        *,
        clock: Clock,
        transport: Literal["tcp", "udp"] = "tcp",
        silent_s: float = 5.0,
        threads: int = 1,
        patient: bool = False,
    ) -> None:
        self.opened: Opened | None = None
        self.lost: str | None = None
        self.corrupt = self.shed = 0
        self._uri, self._clock, self._threads = uri, clock, threads
        self._transport, self._silent_s, self._patient = transport, silent_s, patient
        self._waiting: deque[Arrival] = deque()
        self._pictures = 0  # of those waiting
        self._changed = threading.Condition()
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float) -> Arrival | None:
        """What came first of what was not taken yet; None if nothing comes in time, or any more."""
        with self._changed:
            if not self._waiting and self.lost is None:
                self._changed.wait(timeout_s)
            if not self._waiting:
                return None
            arrival = self._waiting.popleft()
            self._pictures -= isinstance(arrival.frame, av.VideoFrame)
            self._changed.notify_all()
            return arrival

    def close(self) -> None:
        """Give it up; its thread ends as soon as FFmpeg lets it."""
        with self._changed:
            self._given_up = True
            self._waiting.clear()
            self._changed.notify_all()

    # In the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        reason = "the camera has ended the stream"
        try:
            set_level(None)
            with av.open(
                self._uri,
                options=self._options(),
                timeout=(OPEN_S, self._silent_s),
                metadata_errors="replace",
            ) as container:
                self._read(container)
        except FFmpegError as error:
            reason = error.strerror or type(error).__name__
        except Exception as error:  # whatever it is, the camera is lost and will be tried again
            reason = redacted(f"{type(error).__name__}: {error}")
        with self._changed:
            self.lost = reason
            self._changed.notify_all()

    def _options(self) -> dict[str, str]:
        options = {"protocol_whitelist": PROTOCOLS, "fflags": "nobuffer", "flags": "low_delay"}
        if self._uri.lower().startswith("rtsp"):
            options |= {"rtsp_transport": self._transport, "rtsp_flags": "prefer_tcp"}
        return options

    def _read(self, container: Any) -> None:
        video, audio = container.streams.best("video"), container.streams.best("audio")
        if video is None or video.codec_context is None:
            raise ValueError("it has no picture that this FFmpeg can decode")
        if audio is not None and audio.codec_context is None:
            log.warning("%s: no decoder for its sound; going on without", redacted(self._uri))
            audio = None
        video.codec_context.thread_count = self._threads
        video.codec_context.thread_type = "SLICE"  # threads by frame would hold some back
        with self._changed:
            self.opened = Opened(
                pixel_aspect(video),
                (audio.codec_context.sample_rate or 0, audio.codec_context.layout.nb_channels or 1)
                if audio is not None
                else None,
                video.codec_context.name,
            )
            self._changed.notify_all()
        for packet in container.demux(*[stream for stream in (video, audio) if stream is not None]):
            if self._given_up:
                return
            self._decode(packet)

    def _decode(self, packet: av.Packet) -> None:
        sound = packet.stream.type == "audio"
        corrupt = packet.is_corrupt
        try:
            for frame in packet.decode():
                self._came(Arrival(frame, self._clock.monotonic_ns(), sound))
        except FFmpegError as error:
            corrupt = True
            log.debug("%s: %s", redacted(self._uri), error.strerror)
        if corrupt:
            self.corrupt += 1
            self._came(Arrival(None, self._clock.monotonic_ns(), sound))

    def _came(self, arrival: Arrival) -> None:
        with self._changed:
            while self._patient and self._pictures >= MOST_PICTURES and not self._given_up:
                self._changed.wait()
            if self._given_up:
                return
            self._waiting.append(arrival)
            self._pictures += isinstance(arrival.frame, av.VideoFrame)
            if self._pictures > MOST_PICTURES:
                self._shed_a_picture()
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
            self._changed.notify_all()

    def _shed_a_picture(self) -> None:
        """Put a note in the place of the oldest one."""
        place, old = next(
            (i, one) for i, one in enumerate(self._waiting) if isinstance(one.frame, av.VideoFrame)
        )
        self._waiting[place] = old._replace(frame=None)
        self._pictures -= 1
        self.shed += 1
