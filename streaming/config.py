"""Configuration: what can be set, what it defaults to, and where a mistake stands.

Settings come in layers, each over the one before: the model's preset (`configs/<model>.yaml`), the file given with
`--config`, the command line. Every value remembers the file and line it came from, so that an error can name them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from model import options as choices
from streaming.errors import UserError

PRESETS = Path(__file__).resolve().parent.parent / "configs"
Share = Annotated[float, Field(ge=0, le=1)]
HOPS_S = (1.0, 0.5, 0.25, 0.2, 0.125, 0.1)


class Section(BaseModel):
    """Every section refuses keys it does not know and cannot be changed once checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceConfig(Section):
    """Where picture and sound come from."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "source"
    uri: str = ""
    pace: Literal["asap", "realtime"] = "asap"
    # What happens when the model is slower than the source: wait (files), or keep only the newest (live).
    overflow: Literal["block", "latest"] = "block"
    hop_s: float = 1.0
    start_s: Annotated[float, Field(ge=0)] = 0.0
    video_stream: Annotated[int, Field(ge=0)] | None = None
    audio_stream: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _whole_snippets_a_second(self) -> SourceConfig:
        if self.hop_s not in HOPS_S:
            raise ValueError(f"hop_s: expected one of {', '.join(map(str, HOPS_S))}")
        return self


class ModelConfig(Section):
    """Which OV-AVSS, and which of its behaviours."""

    name: str = "r50"
    checkpoint: str | None = None  # a file in the authors' layout; `stand-in` for weights without meaning
    stand_in_salt: int = 0
    short_side: Annotated[int, Field(ge=64, le=2048)] = 360
    max_side: Annotated[int, Field(ge=64, le=4096)] = 1333
    window: Annotated[int, Field(ge=1, le=30)] = 5  # T, as the model was trained
    backbone: choices.Backbone = "r50"
    fusion: choices.Fusion = "bi-attention"
    fusion_levels: choices.FusionLevels = "multi"
    audio_prompt: choices.AudioPrompt = "audio-mask-dec"
    audio_grid: choices.AudioGrid = "second"
    # `paper`: the sounding score selects, the crop is centred. `reference`: as the published code does.
    behaviour: choices.Behaviour = "paper"
    selection: choices.Selection | None = None  # unless given, as `behaviour` says
    crop_anchor: choices.CropAnchor | None = None  # unless given, as `behaviour` says
    crop: choices.Crop = "square"
    clip: str = "ViT-B-16-quickgelu"
    precision: choices.Precision = "float32"
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"

    @property
    def resolved_selection(self) -> choices.Selection:
        return self.selection or ("sounding" if self.behaviour == "paper" else "class-score")

    @property
    def resolved_anchor(self) -> choices.CropAnchor:
        return self.crop_anchor or ("centre" if self.behaviour == "paper" else "top-left")


class TracksConfig(Section):
    """How objects keep their identity, and what counts as sounding."""

    sounding_on: Share = 0.5
    sounding_off: Share = 0.35
    nms_iou: Share = 0.6
    min_area: Share = 0.001
    max_objects: Annotated[int, Field(ge=1, le=100)] = 20
    embedding_weight: Share = 0.2
    min_affinity: Share = 0.3
    return_similarity: Share = 0.85
    keep_snippets: Annotated[int, Field(ge=0, le=1000)] = 10
    embedding_momentum: Share = 0.8
    silence_dbfs: Annotated[float, Field(ge=-120, le=0)] = -70.0  # quieter than this, nothing sounds
    offscreen_dbfs: Annotated[float, Field(ge=-120, le=0)] = -50.0  # louder, with nothing sounding in sight


class LabelsConfig(Section):
    """When CLIP looks at a track again, and how many labels a result carries."""

    top_k: Annotated[int, Field(ge=1, le=100)] = 5
    max_age_snippets: Annotated[int, Field(ge=1)] = 10
    unsure_below: Share = 0.5
    changed_iou: Share = 0.5
    looks_kept: Annotated[int, Field(ge=1, le=64)] = 8


class VocabularyConfig(Section):
    """The words to choose from: a list, "words, with commas", the name of a preset, or a YAML file of words."""

    words: list[str] | str = "avsbench-ov"
    cache_dir: str | None = None  # where text embeddings are kept between runs


class OutputConfig(Section):
    """What a run leaves behind."""

    dir: str = "runs/latest"
    results: bool = True
    annotated: bool = True
    preview_side: Annotated[int, Field(ge=64, le=4096)] = 960
    preview_fps: Annotated[float, Field(gt=0, le=120)] = 30.0
    jpeg_quantiser: Annotated[int, Field(ge=2, le=31)] = 3  # 2 is finest


class NodeConfig(Section):
    """One process."""

    here: bool = True  # False: somebody starts it on another machine with `run_pipeline.py node`
    threads: Annotated[int, Field(ge=1, le=256)] = 1


class NodesConfig(Section):
    capture: NodeConfig = NodeConfig()
    feature: NodeConfig = NodeConfig()
    model: NodeConfig = NodeConfig(threads=2)
    classification: NodeConfig = NodeConfig()
    recorder: NodeConfig = NodeConfig()


class LinksConfig(Section):
    """Addresses; those left out are ipc sockets in a private directory of the run."""

    snippets: str | None = None
    features: str | None = None
    masks: str | None = None
    results: str | None = None
    previews: str | None = None
    control: str | None = None
    keys: str | None = None  # directory of CURVE keys, needed for addresses beyond this machine


class Config(Section):
    """Everything a run needs to know."""

    source: SourceConfig = SourceConfig()
    model: ModelConfig = ModelConfig()
    tracks: TracksConfig = TracksConfig()
    labels: LabelsConfig = LabelsConfig()
    vocabulary: VocabularyConfig = VocabularyConfig()
    output: OutputConfig = OutputConfig()
    nodes: NodesConfig = NodesConfig()
    links: LinksConfig = LinksConfig()


# Reading -------------------------------------------------------------------------------------------------

Path_ = tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """Where a value was written."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Layer:
    """Settings from one place: a tree of values, and the origin of every key in it."""

    values: dict[str, Any]
    origins: dict[Path_, Origin]


def read_yaml(path: Path) -> Layer:
    """A configuration file as a layer; raises `UserError` with file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{path}: cannot be read as a configuration ({reason})") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise UserError(f"{path}{line}: {problem}; expected YAML") from error
    origins: dict[Path_, Origin] = {}
    values = {} if node is None else _plain(node, (), str(path), origins)
    if not isinstance(values, dict):
        raise UserError(f"{path}:1: found {_kind(values)}, expected sections such as 'source:' and 'model:'")
    return Layer(values, origins)


def _plain(node: yaml.Node, at: Path_, file: str, origins: dict[Path_, Origin]) -> Any:
    origins.setdefault(at, Origin(file, node.start_mark.line + 1))
    if isinstance(node, yaml.MappingNode):
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in values:
                raise UserError(f"{file}:{key_node.start_mark.line + 1}: {key}: given twice; keep one")
            origins[(*at, key)] = Origin(file, key_node.start_mark.line + 1)
            values[key] = _plain(value_node, (*at, key), file, origins)
        return values
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*at, str(i)), file, origins) for i, item in enumerate(node.value)]
    return yaml.SafeLoader("").construct_object(node, deep=True)


def setting(text: str) -> Layer:
    """`key.path=value` from the command line as a layer; the value is read as YAML."""
    key, equals, value = text.partition("=")
    path = tuple(key.strip().split("."))
    if not equals or not all(path):
        raise UserError(f"--set {text}: expected section.key=value, such as source.hop_s=0.5")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UserError(f"--set {text}: the value is not YAML ({value!r})") from error
    return nested(path, parsed, "--set")


def nested(path: Path_, value: Any, origin: str) -> Layer:
    """A single value as a layer."""
    tree: Any = value
    for key in reversed(path):
        tree = {key: tree}
    return Layer(tree, {path[:i]: Origin(origin) for i in range(1, len(path) + 1)})


def merge(layers: Iterable[Layer]) -> Layer:
    """Later layers over earlier ones, key by key; lists are replaced whole."""
    values: dict[str, Any] = {}
    origins: dict[Path_, Origin] = {}
    for layer in layers:
        _overlay(values, layer.values)
        origins |= layer.origins
    return Layer(values, origins)


def _overlay(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _overlay(below[key], value)
        else:
            below[key] = _copied(value)


def _copied(value: Any) -> Any:
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value


def load(
    file: Path | None = None, *, model: str | None = None, settings: Iterable[Layer] = ()
) -> Config:
    """The checked configuration: preset of the model, then the file, then settings; raises `UserError`."""
    own = [read_yaml(file)] if file else []
    later = merge([*own, *settings])
    name = model or (later.values.get("model") or {}).get("name") or ModelConfig().name
    preset = preset_path(str(name), later.origins.get(("model", "name"), Origin("--model")))
    return validate(merge([read_yaml(preset), later]))


def preset_path(name: str, origin: Origin) -> Path:
    """The preset of a model; raises `UserError` that lists those there are."""
    known = sorted(path.stem for path in PRESETS.glob("*.yaml") if "model" in (read_yaml(path).values or {}))
    models = [stem for stem in known if read_yaml(PRESETS / f"{stem}.yaml").values["model"].get("name") == stem]
    if name not in models:
        raise UserError(f"{origin}: model.name: found {name!r}, expected one of {', '.join(models)}")
    return PRESETS / f"{name}.yaml"


def validate(layer: Layer) -> Config:
    """A layer as a checked configuration; raises `UserError` that names file, line, key, value and what would do."""
    try:
        return Config.model_validate(layer.values)
    except ValidationError as error:
        told = [_told(detail, layer) for detail in error.errors(include_url=False)]
        raise UserError("\n".join(told)) from error


def _told(detail: Any, layer: Layer) -> str:
    at = tuple(str(key) for key in detail["loc"])
    # Unions add the tried type to the path: keep what was really written.
    while at and at not in layer.origins:
        at = at[:-1]
    origin = layer.origins.get(at) or layer.origins.get(at[:1]) or Origin("configuration")
    if detail["type"] == "extra_forbidden":
        known = list(_fields_at(at[:-1]))
        near = difflib.get_close_matches(at[-1], known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(known)}"
        return f"{origin}: {'.'.join(at)}: no such key; {hint}"
    message = detail["msg"].removeprefix("Value error, ")
    expected = message.removeprefix("Input should be ").removeprefix("String should ")
    found = detail["input"]
    told = f"found {_kind(found)}" if isinstance(found, dict | BaseModel) else f"found {found!r}"
    return f"{origin}: {'.'.join(at)}: {told}, expected {expected}"


def _fields_at(path: Path_) -> Iterable[str]:
    section: Any = Config
    for key in path:
        section = section.model_fields[key].annotation
    return section.model_fields


def _kind(value: Any) -> str:
    return {dict: "a section", list: "a list", str: "text", type(None): "nothing"}.get(
        type(value), type(value).__name__
    )
