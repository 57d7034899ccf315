"""Which model it is, and which of its behaviours."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from model import options as choices
from streaming.config.section import Device, Section


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
