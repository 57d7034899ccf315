"""When pictures are shown, where the file does not say; and an even choice among them."""

from __future__ import annotations

import av


class PictureStamps:
    """The presentation stamps of one track's pictures, for what its demuxer and decoder give.

    Nearly every container stores them. AVI does not: FFmpeg makes them up, late, and out of order where there
    are B-pictures. But pictures leave the decoder in the order in which they are shown, each with the
    decoding stamp of the packet that pushed it out. That is late by the packets that the decoder holds back,
    which shows whenever a key picture comes out: how far its stamp is behind that of its own packet.
    """

    def __init__(self, container_format: str) -> None:
        self._made_up = container_format == "avi"
        self._newest_key: int | None = None
        self._held_back = 0
        self._last: int | None = None
        self._step = 0

    def note(self, packet: av.Packet) -> None:
        """A packet of the track goes into the decoder."""
        if packet.is_keyframe and packet.dts is not None:
            self._newest_key = packet.dts

    def of(self, frame: av.VideoFrame) -> int | None:
        """When the frame is shown, in ticks; None where that is when the one before it ends."""
        if not self._made_up:
            return frame.pts
        if frame.dts is None:  # no packet pushed it out, but the end of the file
            return None if self._last is None else self._follow(self._last + self._step)
        if frame.key_frame and self._newest_key is not None:
            self._held_back = max(0, frame.dts - self._newest_key)
        return self._follow(frame.dts - self._held_back)

    def _follow(self, stamp: int) -> int:
        self._step = 0 if self._last is None else stamp - self._last
        self._last = stamp
        return stamp


class Thinner:
    """Chooses pictures so that there are no more than `max_fps` in the long run, as evenly as they come.

    One that comes a little early or late for its turn is taken: stamps are rounded and jitter, and a clip
    that has the rate asked for must keep all its pictures. The slack on either side is just short of a
    quarter of the distance, so that 59.94 pictures a second are halved for 30, and never two taken in a row.
    """

    def __init__(self, max_fps: float) -> None:
        self._distance_ns = round(1e9 / max_fps)
        self._slack_ns = self._distance_ns * 24 // 100
        self._due_ns: int | None = None

    def takes(self, t_ns: int) -> bool:
        """Whether the picture shown from t_ns on is one of them. Where time leaps, the choice begins anew."""
        if self._due_ns is None or self._due_ns - t_ns > 2 * self._distance_ns:
            self._due_ns = t_ns
        if t_ns < self._due_ns - self._slack_ns:
            return False
        self._due_ns = max(self._due_ns, t_ns - self._slack_ns) + self._distance_ns
        return True
