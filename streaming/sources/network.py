"""A network camera as a source: both tracks come over one connection, on the camera's own clock."""

from __future__ import annotations

from typing import Literal

from streaming.clock import Clock
from streaming.sources.address import redacted
from streaming.sources.live import LiveOptions, LiveSource
from streaming.sources.network_connection import NetworkConnection


def network_source(
    uri: str,
    source_id: str,
    *,
    clock: Clock,
    options: LiveOptions | None = None,
    transport: Literal["tcp", "udp"] = "tcp",
    threads: int = 1,
) -> LiveSource:
    """Whatever FFmpeg opens by a network address: RTSP(S), HTTP(S), HLS, RTMP, SRT.

    uri: with name and password, which are shown nowhere.
    transport: for RTSP, how media travel.
    threads: of the video decoder.
    """
    options = options or LiveOptions()
    bursts = uri.lower().startswith("http")  # segment by segment, or as fast as the network is

    def connect() -> NetworkConnection:
        return NetworkConnection(
            uri, clock=clock, transport=transport, silent_s=options.silent_s, threads=threads, patient=bursts
        )

    return LiveSource(source_id, connect, shown=redacted(uri), clock=clock, options=options, bursts=bursts)
