"""Where picture and sound come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from streaming.config.section import Count, HopS, Section, Side, SourceId
from streaming.errors import UserError
from streaming.sources.address import kind_of


class SourceConfig(Section):
    """Where picture and sound come from."""

    id: SourceId = "source"
    """The name of the source in every result."""
    uri: str = ""
    """The path of a recording: any container and codec that FFmpeg reads, or a tape of `record`. Or the
    address of a network camera: `rtsp://NAME:${CAMERA_PASSWORD}@HOST/PATH`, the variable being taken from
    the environment; rtsps, http and https (HLS, too), rtmp and srt as well. Or a camera of this machine:
    `webcam:0`, `webcam:/dev/video2`."""
    pace: Literal["asap", "realtime"] = "asap"
    """How a recording is played: `asap`, as fast as possible; `realtime`, as fast as it was recorded."""
    overflow: Literal["block", "latest"] | None = None
    """What happens when the model is slower than the source: `block`, the source waits; `latest`, only the
    newest snippet waits, and those that it replaces are counted as dropped. Unless given, recordings wait
    and cameras do not."""
    hop_s: HopS = 1.0
    """From one snippet to the next, in seconds. Each is one second long; 1.0 is the paper's."""
    start_s: Annotated[float, Field(ge=0)] = 0.0
    """Where in a recording to begin, in seconds."""
    dropped_too: bool = False
    """Whether a replay has the snippets, too, that the live pipeline was too slow for."""
    microphone: str = "default"
    """What is heard with a webcam: `default`, an index or a part of a name as `doctor` lists them, or `none`
    at all."""
    camera_width: Side | None = None
    """Pixels of width to ask a webcam for; its own choice unless given ..."""
    camera_height: Side | None = None
    """... and of height."""
    camera_fps: Annotated[float, Field(gt=0, le=240)] | None = None
    """Pictures per second to ask a webcam for; its own choice unless given."""
    transport: Literal["tcp", "udp"] = "tcp"
    """How pictures and sound of an RTSP camera travel; udp loses some where a network is bad."""
    silent_s: Annotated[float, Field(ge=0.5, le=600)] = 5.0
    """A camera that gives no picture for so many seconds counts as lost, and is tried again."""
    video_stream: Count | None = None
    """Index in the file of the video stream to take; FFmpeg's choice unless given."""
    audio_stream: Count | None = None
    """Index in the file of the audio stream to take; FFmpeg's choice unless given."""

    @field_validator("uri")
    @classmethod
    def _is_no_wrong_address(cls, uri: str) -> str:
        try:
            kind_of(uri)
        except UserError as error:
            raise ValueError(str(error)) from None
        return uri


def is_live(source: SourceConfig) -> bool:
    """Whether it is a camera, which goes on for ever, and not a recording."""
    return kind_of(source.uri) in ("webcam", "network")
