"""What a run leaves behind, whom it tells, and where it can be watched."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from streaming.complaints import Expects
from streaming.config.section import Section, Topic
from streaming.errors import UserError
from streaming.outputs.broker import check_broker
from streaming.security import is_loopback
from streaming.viewer.guard import check_token


class MqttConfig(Section):
    """Events for an MQTT broker (docs/outputs.md)."""

    address: str = ""
    """Where the broker is: `mqtt://HOST`, `mqtt://NAME:${MQTT_PASSWORD}@HOST:PORT`, the variable being taken
    from the environment, or `mqtts://` for TLS; nothing is told unless given."""
    topic: Topic = "ov-avss"
    """What all topics begin with."""
    ca_file: str | None = None
    """The certificates, in PEM, of those who vouch for the broker; those that this machine trusts unless
    given."""
    silent_s: Annotated[float, Field(ge=0, le=600)] = 1.0
    """What has not sounded for longer than this, in seconds of the stream, has fallen silent."""

    @field_validator("address")
    @classmethod
    def _is_no_wrong_address(cls, address: str) -> str:
        try:
            if address:
                check_broker(address)
        except UserError as error:
            raise ValueError(str(error)) from None
        return address


class OutputConfig(Section):
    """What a run leaves behind, and whom it tells."""

    dir: str = "runs/latest"
    """The directory that the files go to; it is made."""
    results: bool = True
    """Whether results.jsonl is written."""
    annotated: bool = True
    """Whether annotated.mp4 is written."""
    preview_side: Annotated[int, Field(ge=64, le=4096)] = 960
    """Most pixels of the longer side of the annotated picture."""
    preview_fps: Annotated[float, Field(gt=0, le=120)] = 30.0
    """Most pictures per second of the annotated video."""
    candidates: Annotated[int, Field(ge=0, le=20)] | None = None
    """How many objects at most that are seen and held for silent are told beside those that sound; unless it
    is set, 10 to a page and none to anybody else."""
    certainty: bool = False
    """Whether each object has the key `certainty`: how sure its mask is of itself."""
    jpeg_quantiser: Annotated[int, Field(ge=2, le=31)] = 3
    """How coarse the pictures on their way there are; 2 is finest."""
    tape: str | None = None
    """The path of an MCAP file that keeps what the pipeline was given, to be played again exactly."""
    tape_pictures: Literal["lossless", "jpeg"] = "lossless"
    """How pictures are kept there; `jpeg` takes a tenth of the room, and a replay then differs a little."""
    publish: str | None = None
    """The address of a ZeroMQ socket that publishes results as they come, ipc://PATH or tcp://HOST:PORT."""
    mqtt: MqttConfig = MqttConfig()
    metrics: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """The port, on this machine alone, at which Prometheus finds figures of the run."""


class ViewerConfig(Section):
    """A page to watch a run on (docs/viewer.md)."""

    enabled: bool = False
    """Whether there is one."""
    host: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9_.:-]{1,255}$"),
        Expects("text, an address of this machine or its name"),
    ] = "127.0.0.1"
    """The address at which it is served; one that others can reach, such as 0.0.0.0, needs a `token` ..."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8765
    """... and the port; 0 for any that is free."""
    token: str = Field(default="", validate_default=True)
    """What whoever wants to watch has to know, at least 16 characters; `${NAME}` takes a variable of the
    environment."""
    certificate: str | None = None
    """The certificate, in PEM, with which the page is served over TLS ..."""
    key: str | None = None
    """... and its key, unless that stands in the same file."""
    plain: Annotated[bool, Field(validate_default=True)] = False
    """Whether others may reach it without TLS, where everybody on the way can read and change everything."""
    names: list[str] = Field(default=[])
    """By which names, besides its addresses, the machine may be asked for the page."""
    linger_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """How long the page outlives a run over recordings while nobody watches, and plays its end again to
    whoever does; 0: it ends with the run."""

    @field_validator("token")
    @classmethod
    def _others_need_a_token(cls, token: str, info: ValidationInfo) -> str:
        host = info.data.get("host", "127.0.0.1")
        if not token and not is_loopback(host):
            raise ValueError(
                f"found none, expected one, as others can reach {host}: viewer.token=${{VIEWER_TOKEN}}, the "
                "variable being taken from the environment"
            )
        check_token(token)
        return token

    @field_validator("key")
    @classmethod
    def _belongs_to_a_certificate(cls, key: str | None, info: ValidationInfo) -> str | None:
        if key is not None and info.data.get("certificate") is None:
            raise ValueError("found one without viewer.certificate, expected both or neither")
        return key

    @field_validator("plain")
    @classmethod
    def _others_need_tls(cls, plain: bool, info: ValidationInfo) -> bool:
        host = info.data.get("host", "127.0.0.1")
        if not plain and not info.data.get("certificate") and not is_loopback(host):
            raise ValueError(
                f"found false, and no viewer.certificate, with which others could reach {host} safely: give "
                "one and its viewer.key, or set this to true in a network that you trust"
            )
        return plain
