"""All sections together, and what one of them says of another."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from streaming.complaints import Misfit
from streaming.config.model import ModelConfig
from streaming.config.objects import LabelsConfig, TracksConfig, VocabularyConfig
from streaming.config.openavs import OpenAvsConfig
from streaming.config.output import OutputConfig, ViewerConfig
from streaming.config.processes import LinksConfig, NodesConfig, SupervisionConfig
from streaming.config.section import Section
from streaming.config.source import SourceConfig
from streaming.errors import UserError
from streaming.security import check_address

CANDIDATES_OF_A_PAGE = 10


class Config(Section):
    """Everything a run needs to know."""

    source: SourceConfig = SourceConfig()
    """The source; or, with `sources`, what all of them have in common."""
    sources: list[SourceConfig] = Field(default=[])
    """Several sources that share one model: a list of sections, in each what is to be set as in `source`, an
    `id` and a `uri` at least."""
    model: ModelConfig = ModelConfig()
    openavs: OpenAvsConfig = OpenAvsConfig()
    tracks: TracksConfig = TracksConfig()
    labels: LabelsConfig = LabelsConfig()
    vocabulary: VocabularyConfig = VocabularyConfig()
    nodes: NodesConfig = NodesConfig()
    supervision: SupervisionConfig = SupervisionConfig()
    links: LinksConfig = LinksConfig()
    output: OutputConfig = OutputConfig()
    viewer: ViewerConfig = ViewerConfig()

    @model_validator(mode="before")
    @classmethod
    def _sources_have_much_in_common(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("sources"), list):
            return values
        given = values.get("source")
        given = given if isinstance(given, dict) else {}
        common = {key: value for key, value in given.items() if key not in ("id", "uri")}
        inherited = [common | item if isinstance(item, dict) else item for item in values["sources"]]
        return values | {"sources": inherited}

    @field_validator("sources")
    @classmethod
    def _each_source_is_one_of_its_own(
        cls, sources: list[SourceConfig], info: ValidationInfo
    ) -> list[SourceConfig]:
        source = info.data.get("source", SourceConfig())
        if sources and source.uri:
            raise ValueError("found source.uri as well, expected one or the other; leave one of them out")
        for name in (one.id for one in sources):
            if sum(one.id == name for one in sources) > 1:
                raise ValueError(f"found several with the id {name!r}, expected an id of its own for each")
        for one in sources:
            if not one.uri:
                raise ValueError(f"found no uri of {one.id!r}, expected one for each")
            if one.hop_s != source.hop_s:
                raise ValueError(f"found another hop_s for {one.id!r}; set it once, as source.hop_s")
        return sources

    @field_validator("links")
    @classmethod
    def _each_source_has_links_of_its_own(cls, links: LinksConfig, info: ValidationInfo) -> LinksConfig:
        if info.data.get("sources"):
            for name, address in {"snippets": links.snippets, "previews": links.previews}.items():
                if address is not None and not address.startswith("ipc://"):
                    raise ValueError(f"with `sources`, {name} is found at {address}, expected ipc://PATH")
        return links

    @field_validator("output")
    @classmethod
    def _publishes_to_others_with_keys(cls, output: OutputConfig, info: ValidationInfo) -> OutputConfig:
        links = info.data.get("links")
        if output.publish is not None and links is not None and links.keys is None:
            try:
                check_address(output.publish)
            except UserError as error:
                raise Misfit("publish", str(error)) from None
        return output

    @property
    def all_sources(self) -> list[SourceConfig]:
        """One or several."""
        return self.sources or [self.source]

    @property
    def shows_pictures(self) -> bool:
        """Whether the recorder is given the moving picture and its sound."""
        return self.output.annotated or self.viewer.enabled

    @property
    def candidates(self) -> int:
        """How many silent objects at most the model tells of."""
        if self.output.candidates is not None:
            return self.output.candidates
        return CANDIDATES_OF_A_PAGE if self.viewer.enabled else 0

    @property
    def captures(self) -> list[str]:
        """The names of the capture nodes, one for each of `all_sources`."""
        return [f"capture-{source.id}" for source in self.sources] or ["capture"]

    def addresses(self, link: str) -> list[str]:
        """Where a link is: `snippets` and `previews` are as many as there are sources."""
        address = str(getattr(self.links, link))
        several = self.sources and link in ("snippets", "previews")
        return [f"{address}-{source.id}" for source in self.sources] if several else [address]

    def of_node(self, name: str) -> Config:
        """What one of the nodes has to know: for a capture node, of its own source alone."""
        if name not in self.captures or not self.sources:
            return self
        place = self.captures.index(name)
        links = {link: self.addresses(link)[place] for link in ("snippets", "previews")}
        tape = self.output.tape and of_source(self.output.tape, self.sources[place].id)
        return self.model_copy(
            update={
                "source": self.sources[place],
                "sources": [],
                "links": self.links.model_copy(update=links),
                "output": self.output.model_copy(update={"tape": tape}),
            }
        )


def of_source(path: str, source_id: str) -> str:
    """A file of one of several sources: `out/tape.mcap` becomes `out/tape-ID.mcap`."""
    stem, dot, ending = path.rpartition(".")
    return f"{stem}-{source_id}.{ending}" if dot and "/" not in ending else f"{path}-{source_id}"
