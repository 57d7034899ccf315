"""The processes of a run: where they are, what becomes of one that dies, how they reach each other."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from streaming.config.section import Section
from streaming.errors import UserError
from streaming.security import check_address


class NodeConfig(Section):
    """One process."""

    here: bool = True
    """Whether it is started with the run; otherwise somebody starts it with `run_pipeline.py node`."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """How many cores it may use at once."""


class ModelNodeConfig(NodeConfig):
    """The process of the model, which has most to do."""

    threads: Annotated[int, Field(ge=1, le=256)] = 2
    """How many cores it may use at once."""


class NodesConfig(Section):
    """The processes of the pipeline."""

    capture: NodeConfig = NodeConfig()
    """Opens the source and cuts it into snippets."""
    feature: NodeConfig = NodeConfig()
    """Makes the embedding of the sound and the model's picture."""
    model: ModelNodeConfig = ModelNodeConfig()
    """Localises what sounds."""
    classification: NodeConfig = NodeConfig()
    """Names it."""
    recorder: NodeConfig = NodeConfig()
    """Writes the files."""
    viewer: NodeConfig = NodeConfig()
    """Serves the page, where one is wanted."""


class SupervisionConfig(Section):
    """What becomes of a node that dies."""

    hung_s: Annotated[float, Field(ge=2, le=3600)] = 60.0
    """A node that has said nothing for so many seconds is killed, and started again as one that died."""
    deaths: Annotated[int, Field(ge=1, le=100)] = 5
    """With so many deaths ..."""
    within_s: Annotated[float, Field(ge=1, le=86400)] = 300.0
    """... in so many seconds, a node is given up: a run over recordings ends, one with a camera goes on
    without the node and tries it every 30 s."""


class LinksConfig(Section):
    """Addresses, ipc://PATH or tcp://HOST:PORT; unless given, sockets in a private directory of the run."""

    keys: str | None = None
    """Directory of CURVE keys, which addresses beyond this machine need: `run_pipeline.py keys` makes one."""
    snippets: str | None = None
    """From capture to feature."""
    features: str | None = None
    """From feature to model."""
    masks: str | None = None
    """From model to classification."""
    results: str | None = None
    """From classification to recorder."""
    previews: str | None = None
    """The moving picture and sound, from capture to recorder."""
    broadcast: str | None = None
    """From the recorder to the page: all that comes to it."""
    control: str | None = None
    """Between the nodes and whoever supervises them."""

    @field_validator("snippets", "features", "masks", "results", "previews", "broadcast", "control")
    @classmethod
    def _may_be_used(cls, address: str | None, info: ValidationInfo) -> str | None:
        if address is not None and info.data.get("keys") is None:
            try:
                check_address(address)
            except UserError as error:
                raise ValueError(str(error)) from None
        return address


def kind_of_node(name: str) -> str:
    """What a node of this name does: `capture-ID` is a capture node."""
    return name.partition("-")[0]
