"""A network camera as a source: both tracks come over one connection, on the camera's own clock."""

from __future__ import annotations

from typing import Literal

from streaming.backoff import Backoff
from streaming.clock import Clock
from streaming.sources.address import redacted
from streaming.sources.base import PreviewSettings
from streaming.sources.live import LiveSource
from streaming.sources.network_connection import NetworkConnection


def network_source(
    uri: str,
    source_id: str,
    *,
    clock: Clock,
    hop_s: float = 1.0,
    transport: Literal["tcp", "udp"] = "tcp",
    preview: PreviewSettings | None = None,
    silent_s: float = 5.0,
    threads: int = 1,
    backoff: Backoff | None = None,
) -> LiveSource:
    """Whatever FFmpeg opens by a network address: RTSP(S), HTTP(S), HLS, RTMP, SRT.

    uri: with name and password, which are shown nowhere.
    transport: for RTSP, how media travel.
    threads: of the video decoder.

    The rest is as for `LiveSource`.
    """
    bursts = uri.lower().startswith("http")  # segment by segment, or as fast as the network is

    def connect() -> NetworkConnection:
        return NetworkConnection(
            uri, clock=clock, transport=transport, silent_s=silent_s, threads=threads, patient=bursts
        )

    return LiveSource(
        source_id, connect, shown=redacted(uri), clock=clock, hop_s=hop_s, preview=preview, silent_s=silent_s,
        backoff=backoff, bursts=bursts,
    )  # fmt: skip
