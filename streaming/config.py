"""Configuration: everything that can be set, its default, its bounds, and what it means.

Settings come in layers, each over the one before: the preset of the model (`configs/<model>.yaml`), the file
given with `--config`, the command line. All that is wrong with them is told at once, one line each, before
anything starts.

Paths are relative to the working directory, not to the file they stand in: one command means the same
wherever its configuration lies. Units are in the names: `_s` is seconds, `_fps` pictures per second, `_dbfs`
decibels relative to full scale. The text below a setting is also its row in docs/configuration.md, which
`python -m tools.configuration_reference` writes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from model import options as choices
from model.errors import ModelError
from model.vocabulary import Vocabulary
from streaming.complaints import Expects, Misfit, complaints
from streaming.errors import UserError
from streaming.outputs.broker import check_broker
from streaming.security import check_address, is_loopback
from streaming.settings import Fault, Layer, Origin, merge, nested, read_yaml, setting
from streaming.sources.address import kind_of
from streaming.viewer.guard import check_token

__all__ = ["Config", "Layer", "Origin", "load", "merge", "nested", "read_yaml", "setting", "validate"]

PRESETS = Path(__file__).resolve().parent.parent / "configs"
CANDIDATES_OF_A_PAGE = 10
HOPS_S = (1.0, 0.5, 0.25, 0.2, 0.125, 0.1)


def _whole_snippets_a_second(hop_s: float) -> float:
    if hop_s not in HOPS_S:
        raise ValueError("1 / hop_s is not whole")
    return hop_s


Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Side = Annotated[int, Field(ge=16, le=8192)]
HopS = Annotated[
    float, AfterValidator(_whole_snippets_a_second), Expects(f"one of {', '.join(map(str, HOPS_S))}")
]
SourceId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$"), Expects("1 to 64 of the characters A-Z a-z 0-9 _ . -")
]
Topic = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", max_length=200),
    Expects("text of A-Z a-z 0-9 _ . -, with / between levels"),
]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$"), Expects("auto, cpu, cuda or cuda:NUMBER")]


class Section(BaseModel):
    """Every section refuses keys it does not know, and cannot be changed once checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_sets_nothing(cls, values: Any) -> Any:
        return {} if values is None else values


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


class ModelConfig(Section):
    """Which model, and which of its behaviours."""

    name: str = "tiny"
    """The preset that the other settings of the model come from: a file in configs/ that bears its name."""
    family: choices.Family = "ov-avss"
    """How it works: `ov-avss`, one network that was trained to see and hear together; `openavs`, several that
    were not, joined by text (section `openavs`). They use only the sizes of pictures of what follows."""
    checkpoint: str | None = None
    """The path of a file, `bundled:tiny`, `fetched:NAME`, or `stand-in` for weights without meaning."""
    stand_in_salt: int = 0
    """Which of the stand-in weights."""
    short_side: Annotated[int, Field(ge=64, le=2048)] = 360
    """Pixels of the picture's shorter side as the model sees it ..."""
    max_side: Annotated[int, Field(ge=64, le=4096, validate_default=True)] = 1333
    """... unless the longer side would have more pixels than this."""
    window: Annotated[int, Field(ge=1, le=30)] = 5
    """How many snippets, one second apart, the model sees together: T, as it was trained."""
    audio_encoder: choices.AudioEncoder = "vggish"
    """What hears the sound."""
    backbone: choices.Backbone = "r50"
    """What sees the picture."""
    fusion: choices.Fusion = "bi-attention"
    """How picture and sound meet early (paper, Table 3)."""
    fusion_levels: choices.FusionLevels = "multi"
    """On which levels of the picture's features they meet (paper, Table 3)."""
    audio_prompt: choices.AudioPrompt = "audio-mask-dec"
    """How the queries of the decoder hear (paper, Table 4)."""
    sound_head: choices.SoundHead = "query"
    """What decides that an object sounds: `query`, what it is (Eq. 3); `relations`, how it fits the sound."""
    sound_gate: bool = False
    """Whether it is told of each snippet, apart from the mask, whether the object sounds in it."""
    second_look: bool = False
    """Whether masks are half the picture in size, edges being looked up in it, and not a quarter."""
    queries: Annotated[int, Field(ge=1, le=1000)] = 100
    """How many objects the decoder can tell apart."""
    channels: Annotated[int, Field(ge=32, le=1024, multiple_of=32)] = 256
    """Width of the pixel decoder and of AudioMaskDec."""
    heads: Annotated[int, Field(ge=1, le=64)] = 8
    """Heads of every attention; they divide `channels`."""
    encoder_layers: Annotated[int, Field(ge=1, le=32)] = 6
    """Layers of the pixel decoder ..."""
    encoder_ffn: Annotated[int, Field(ge=1)] = 1024
    """... and the inner width of each."""
    decoder_layers: Annotated[int, Field(ge=1, le=32)] = 9
    """Layers of AudioMaskDec ..."""
    decoder_ffn: Annotated[int, Field(ge=1)] = 2048
    """... and the inner width of each."""
    audio_channels: Annotated[int, Field(ge=1)] = 128
    """Width of the audio embedding, as the audio encoder makes it."""
    fusion_channels: Annotated[int, Field(ge=1)] = 1024
    """Inner width of the early fusion."""
    tags: Annotated[int, Field(ge=1)] = 416
    """How many tags the backbone was taught, where it is aligned with sound."""
    audio_grid: choices.AudioGrid = "second"
    """Which sound goes with a snippet: that of its own second, or of the clip's grid of 0.96 s."""
    behaviour: choices.Behaviour = "paper"
    """Where the paper's text and the published code differ: `paper` (the sounding score selects, the crop is
    centred) or `reference` (as the code does)."""
    selection: choices.Selection | None = None
    """Which queries become objects; as `behaviour` says unless given."""
    crop_anchor: choices.CropAnchor | None = None
    """Where in its square an object lies; as `behaviour` says unless given."""
    crop: choices.Crop = "square"
    """How an object is cut out for CLIP (paper, Table 5)."""
    clip: str = "ViT-B-16-quickgelu"
    """Which CLIP names the objects: a model of open_clip."""
    precision: choices.Precision = "auto"
    """Arithmetic of the model; `auto` takes bfloat16 where the processor is fast at it."""
    batch: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = "auto"
    """How many sources' snippets it takes in one pass, of those that are ready; `auto` takes 8 on a GPU and 1
    elsewhere, where it would gain nothing. Passes of several round differently, so that a replay may differ
    from the live run in last digits."""
    device: Device = "auto"
    """Where the model runs; `auto` takes the first GPU where there is one."""

    @field_validator("max_side")
    @classmethod
    def _holds_the_short_side(cls, max_side: int, info: ValidationInfo) -> int:
        short_side = info.data.get("short_side", 0)
        if max_side < short_side:
            raise ValueError(f"found {max_side}, expected at least model.short_side, which is {short_side}")
        return max_side

    @property
    def resolved_selection(self) -> choices.Selection:
        return self.selection or ("sounding" if self.behaviour == "paper" else "class-score")

    @property
    def resolved_anchor(self) -> choices.CropAnchor:
        return self.crop_anchor or ("centre" if self.behaviour == "paper" else "top-left")


class OpenAvsRulesConfig(Section):
    """When a noun that is heard and a region that is seen are one sounding object (docs/openavs.md)."""

    mean_s: Annotated[float, Field(gt=0, le=60)] = 3.0
    """What is heard is averaged over so many seconds: a dog barks, breathes and barks."""
    person_on: Share | None = None
    """The score of a sound that makes a person who is seen sounding; unless given, on the scale of whoever
    hears: yamnet 0.25, clap 0.2, caption 0.3 ..."""
    other_on: Share | None = None
    """... and anything else: yamnet 0.1, clap 0.2, caption 0.3."""
    stay: Share = 0.7
    """What sounded a moment ago needs this share of it, so that names do not flicker."""
    person_area: Share = 0.02
    """The least share of the picture that a person covers; specks of person are the commonest mistake ..."""
    other_area: Share = 0.005
    """... and anything else; a car drives away and still sounds."""
    drop_db: Annotated[float, Field(ge=0, le=120)] = 15.0
    """So many dB below the loudest snippet of late is silence, whatever it sounds like."""
    loudest_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """How many seconds the loudest snippet is remembered for that."""
    closer: Annotated[int, Field(ge=0, le=20)] = 0
    """So many things that are heard and not seen, people aside, are looked for again, each in a part of the
    picture: where it was last, or in the middle."""
    relatives: bool = False
    """Whether a sound of an animal (or vehicle) that is not seen may mean the largest one that is."""
    narration_speech: Share = 0.20
    """Speech with at least this score ..."""
    narration_music: Share = 0.15
    """... over music with at least this ..."""
    narration_singing: Share = 0.05
    """... and singing below this is told over the picture: no person in it speaks."""


class OpenAvsLlmConfig(Section):
    """The language model that `prompt_translation: llm` asks (docs/openavs.md)."""

    url: str = "http://127.0.0.1:11434/v1"
    """The address that has `/chat/completions` behind it, as OpenAI, llama.cpp, Ollama and vLLM serve it."""
    models: list[str] = []
    """The names of the models that are asked there; of several, more than half must name a thing."""
    wordings: Annotated[int, Field(ge=1, le=2)] = 1
    """In how many wordings each is asked; they count as models do."""
    key_variable: str | None = None
    """The name of the environment's variable that holds the key, such as OPENAI_API_KEY; never the key."""
    deadline_s: Annotated[float, Field(ge=0, le=60)] = 0.3
    """How many seconds a snippet waits for an answer of its own; after that, the table translates it."""
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 20.0
    """After so many seconds an answer is not waited for any more, not even for later snippets."""

    @field_validator("key_variable")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", name):
            raise ValueError("expected the name of a variable, of A-Z 0-9 _, and not the key itself")
        return name


class OpenAvsConfig(Section):
    """The three steps of OpenAVS and who takes them, for models of the family `openavs`."""

    audio_to_text: Literal["yamnet", "clap", "caption", "lessons"] = "yamnet"
    """Who says in text what is heard; `lessons`, what the bundled model was taught by tags alone."""
    prompt_translation: Literal["table", "names", "llm"] = "table"
    """Who says which things to look for then; `names`: what is heard is the name of a thing."""
    text_to_mask: Literal["deeplab", "grounded-sam", "lessons"] = "deeplab"
    """Who finds them in the picture; `lessons` as above."""
    yamnet: str | None = None
    """The path of YAMNet's file; unless given, the one that was fetched."""
    clap: str | None = None
    """The path of CLAP's folder, or `fetched:NAME`; unless given, the one that was fetched."""
    clap_words: list[str] | str = "audioset"
    """What CLAP chooses from, given as `vocabulary.words` is."""
    clap_most: Annotated[int, Field(ge=1, le=64)] = 2
    """How many of these words it says at most, the closest ones."""
    caption: str | None = None
    """The path of the folder of a captioner that was made of Whisper."""
    caption_begins: str = ""
    """The words that all its captions begin with, if it was trained so; they are no part of the text."""
    deeplab: str | None = None
    """The path of DeepLab's file; unless given, the one that was fetched."""
    grounding_dino: str | None = None
    """The path of GroundingDINO's folder, or `fetched:NAME`; unless given, the one that was fetched."""
    sam: str = "fetched:sam2-tiny"
    """The path of the folder of SAM or SAM 2, or `fetched:NAME`."""
    box_threshold: Share = 0.25
    """GroundingDINO's confidence from which on a box is taken ..."""
    text_threshold: Share = 0.25
    """... and that from which on a word counts for it."""
    table: str | None = None
    """The path of a translation table; unless given, model/openavs/table.yaml."""
    clip: str | None = "auto"
    """The weights of the CLIP that confirms names (`model.clip`): a path, `fetched:NAME` or `bundled:tiny`;
    `auto`, those that were fetched for it, if any were; null: nobody confirms them."""
    llm: OpenAvsLlmConfig = OpenAvsLlmConfig()
    rules: OpenAvsRulesConfig = OpenAvsRulesConfig()


class TracksConfig(Section):
    """How objects keep their identity, and what counts as sounding."""

    sounding_on: Share = 0.5
    """The sounding score that makes a new object ..."""
    sounding_off: Annotated[Share, Field(validate_default=True)] = 0.35
    """... and the one that a known object needs to be still sounding."""
    nms_iou: Share = 0.6
    """Of masks that overlap by more than this share, the surest stays."""
    min_area: Share = 0.001
    """The least share of the picture that an object covers."""
    min_part: Share = 0.0
    """A piece of a mask that is smaller than this share of its largest one is left out."""
    guide_radius: Annotated[int, Field(ge=0, le=64)] = 0
    """Masks follow the picture's edges within so many pixels of the model's (guided filter); 0: not."""
    guide_eps: Annotated[float, Field(ge=1e-6, le=1)] = 1e-3
    """The variance of colours, of 0 to 1, in which such a mask sees no edge yet."""
    max_objects: Annotated[int, Field(ge=1, le=100)] = 20
    """How many objects there are at most in a snippet."""
    embedding_weight: Share = 0.2
    """How much looks count when objects of two windows are matched; the rest is how their masks overlap."""
    min_affinity: Share = 0.3
    """Objects that match less are different ones."""
    return_similarity: Share = 0.85
    """How alike an object must look to come back after it was lost."""
    keep_s: Annotated[float, Field(ge=0, le=600)] = 10.0
    """For how many seconds a lost object can come back."""
    embedding_momentum: Share = 0.8
    """How slowly the memory of an object's looks changes."""
    silence_dbfs: Annotated[float, Field(ge=-120, le=0)] = -70.0
    """Quieter than this, nothing sounds."""
    offscreen_dbfs: Annotated[float, Field(ge=-120, le=0)] = -50.0
    """Louder than this, with nothing sounding in sight, the source is out of sight."""

    @field_validator("sounding_off")
    @classmethod
    def _not_above_on(cls, sounding_off: float, info: ValidationInfo) -> float:
        sounding_on = info.data.get("sounding_on", 1.0)
        if sounding_off > sounding_on:
            limit = f"at most tracks.sounding_on, which is {sounding_on:g}"
            raise ValueError(f"found {sounding_off:g}, expected {limit}")
        return sounding_off


class LabelsConfig(Section):
    """When CLIP looks at a track again, and how many labels a result carries."""

    top_k: Annotated[int, Field(ge=1, le=100)] = 5
    """How many labels of an object a result has, best first."""
    max_age_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """CLIP looks again after so many seconds ..."""
    unsure_below: Share = 0.5
    """... or when the best label has a smaller probability than this ..."""
    changed_iou: Share = 0.5
    """... or when the mask overlaps by less than this share with the one that was looked at."""
    looks_kept: Annotated[int, Field(ge=1, le=64)] = 8
    """Over how many looks a label is averaged."""


class VocabularyConfig(Section):
    """The words to choose from."""

    words: list[str] | str = "avsbench-ov"
    """A list of words or phrases; or text: words with commas between them, the name of a preset, or a YAML
    file with a list of words."""
    cache_dir: str | None = "~/.cache/ov-avss-live"
    """The directory that keeps text embeddings from one run to the next; empty, to keep none."""

    @field_validator("words")
    @classmethod
    def _can_be_looked_for(cls, words: list[str] | str) -> list[str] | str:
        if isinstance(words, list):
            try:
                Vocabulary(tuple(words))
            except ModelError as error:
                raise ValueError(str(error).removeprefix("vocabulary: ")) from None
        return words


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
    names: list[str] = []
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


class Config(Section):
    """Everything a run needs to know."""

    source: SourceConfig = SourceConfig()
    """The source; or, with `sources`, what all of them have in common."""
    sources: list[SourceConfig] = []
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


def is_live(source: SourceConfig) -> bool:
    """Whether it is a camera, which goes on for ever, and not a recording."""
    return kind_of(source.uri) in ("webcam", "network")


def kind_of_node(name: str) -> str:
    """What a node of this name does: `capture-ID` is a capture node."""
    return name.partition("-")[0]


def load(file: Path | None = None, *, model: str | None = None, settings: Iterable[Layer] = ()) -> Config:
    """The checked configuration: preset of the model, then the file, then settings.

    model: name of the preset, over what file and settings say.

    Raises `UserError` with a line for each mistake.
    """
    later = merge([*([read_yaml(file)] if file else []), *settings])
    section = later.values.get("model")
    name, origin = model or ModelConfig().name, Origin("--model")
    if not model and isinstance(section, dict) and isinstance(section.get("name"), str):
        name, origin = section["name"], later.origin(("model", "name"))
    preset = _preset(name)
    if preset is None:
        fault = Fault(origin, ("model", "name"), f"found {name!r}, expected one of {', '.join(_presets())}")
        return validate(replace(later, faults=(*later.faults, fault)))
    return validate(merge([preset, later]))


def validate(layer: Layer) -> Config:
    """A layer as a checked configuration. Raises `UserError` with a line for each mistake."""
    faults = list(layer.faults)
    try:
        config = Config.model_validate(layer.values)
    except ValidationError as error:
        faults += complaints(error, layer, Config)
    if faults:
        faults.sort(key=lambda fault: (fault.origin.file, fault.origin.line or 0))
        raise UserError("\n".join(map(str, faults)))
    return config


def _preset(name: str) -> Layer | None:
    """The preset of a model: the file in configs/ whose model bears the file's own name."""
    if f"{name}.yaml" not in os.listdir(PRESETS):
        return None
    layer = read_yaml(Path(os.path.relpath(PRESETS / f"{name}.yaml")))
    section = layer.values.get("model")
    return layer if isinstance(section, dict) and section.get("name") == name else None


def _presets() -> list[str]:
    names = []
    for path in sorted(PRESETS.glob("*.yaml")):
        with suppress(UserError):  # another file that is broken is not what is being told
            names += [path.stem] if _preset(path.stem) is not None else []
    return names
