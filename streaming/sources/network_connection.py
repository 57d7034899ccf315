"""One connection to a network camera: a thread of its own reads and decodes, whoever asks takes what came.

FFmpeg may block in a read for as long as it likes, and be closed by nobody else meanwhile. So a connection
that is given up is left to its thread, which ends when FFmpeg lets it; of what it still brings nothing is
seen.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Any, Literal

import av
from av.error import FFmpegError
from av.logging import set_level

from streaming.clock import Clock
from streaming.sources.address import PROTOCOLS, redacted
from streaming.sources.arrivals import Arrival, Inbox, Opened
from streaming.sources.recording import pixel_aspect

OPEN_S = 10.0

log = logging.getLogger(__name__)


class NetworkConnection:
    """A network camera, from being opened to being lost. See `arrivals.Connection`.

    uri: with name and password, which are shown nowhere.
    transport: for RTSP, how media travel.
    silent_s: FFmpeg is asked to give up a read after so long.
    threads: of the video decoder.
    patient: read on only when there is room, as what can be had again later allows.
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
        self._corrupt = 0
        self._uri, self._clock, self._threads = uri, clock, threads
        self._transport, self._silent_s = transport, silent_s
        self._inbox = Inbox(patient)
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    @property
    def tally(self) -> Counter[str]:
        """Packets that could not be decoded, and pictures that nobody took in time."""
        return Counter(corrupt_packets=self._corrupt, shed=self._inbox.shed)

    def take(self, timeout_s: float) -> Arrival | None:
        return self._inbox.take(timeout_s)

    def close(self) -> None:
        """Its thread ends as soon as FFmpeg lets it."""
        self._inbox.close()

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
        self.lost = reason
        self._inbox.close(empty=False)

    def _options(self) -> dict[str, str]:
        options = {"protocol_whitelist": PROTOCOLS, "fflags": "nobuffer", "flags": "low_delay"}
        if self._uri.lower().startswith("rtsp"):
            options["rtsp_transport"] = self._transport
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
        sound_format = None
        if audio is not None:
            sound_format = audio.codec_context.sample_rate or 0, audio.codec_context.layout.nb_channels or 1
        self.opened = Opened(pixel_aspect(video), sound_format, video.codec_context.name)
        for packet in container.demux(*[stream for stream in (video, audio) if stream is not None]):
            if self._inbox.closed:
                return
            self._decode(packet)

    def _decode(self, packet: av.Packet) -> None:
        sound = packet.stream.type == "audio"
        corrupt = packet.is_corrupt
        try:
            for frame in packet.decode():
                assert isinstance(frame, av.VideoFrame | av.AudioFrame)
                self._inbox.put(Arrival(frame, self._clock.monotonic_ns(), sound))
        except FFmpegError as error:
            corrupt = True
            log.debug("%s: %s", redacted(self._uri), error.strerror)
        if corrupt:
            self._corrupt += 1
            self._inbox.put(Arrival(None, self._clock.monotonic_ns(), sound))
