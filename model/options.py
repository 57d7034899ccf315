"""Every choice OV-AVSS leaves open, by a plain name. Free of torch, so that configuration can use it.

The paper's text and the authors' published code differ in places; where they do, both behaviours are
options here, and the ablation switches of the paper's Tables 3 to 5 stand beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

# One network that was trained to see and hear together, or several that were not, joined by text.
Family = Literal["ov-avss", "openavs"]
Backbone = Literal["r50", "swinb", "tiny"]
# What hears: VGGish, or a network of a hundredth of its size.
AudioEncoder = Literal["vggish", "tiny"]
# Table 3: what the early fusion does with sound, and on which levels. Not the paper's: `similarity`, where
# each pixel takes as much of the sound as it looks like what is heard.
Fusion = Literal["none", "add", "bi-attention", "similarity"]
FusionLevels = Literal["one", "multi"]
# Table 4: how the decoder's queries hear.
AudioPrompt = Literal["none", "concat-add", "cross-attention", "audio-mask-dec"]
# What decides that a query sounds: its content (Eq. 3), or only how its looks fit what is heard.
SoundHead = Literal["query", "relations"]
# Table 5: what CLIP is shown of an object; the paper centres the square, the code anchors it top-left.
Crop = Literal["none", "resize", "square"]
CropAnchor = Literal["centre", "top-left"]
# Which queries become objects: those whose sounding score is high (the paper's text), or all of them, the
# ten best (query, class) pairs above 0.3 deciding (the published code).
Selection = Literal["sounding", "class-score"]
# Which 0.975 s of sound a snippet hears: the start of its own second, or the example that the reference
# cuts for it from the whole clip on a 0.96 s grid (0.04 s earlier with every snippet).
AudioGrid = Literal["second", "clip"]
# `auto`: bfloat16 where the hardware computes it natively, float32 elsewhere.
Precision = Literal["auto", "float32", "bfloat16"]
Behaviour = Literal["paper", "reference"]


@dataclass(frozen=True, kw_only=True)
class LocaliserOptions:
    """Universal sound source localisation (Section 3.3): what is built, and how large.

    The defaults are the published model's; `window` is the paper's T.
    """

    backbone: Backbone = "r50"
    window: int = 5
    queries: int = 100
    channels: int = 256
    heads: int = 8
    encoder_layers: int = 6
    encoder_ffn: int = 1024
    decoder_layers: int = 9
    decoder_ffn: int = 2048
    audio_channels: int = 128
    fusion_channels: int = 1024
    fusion: Fusion = "bi-attention"
    fusion_levels: FusionLevels = "multi"
    audio_prompt: AudioPrompt = "audio-mask-dec"
    sound_head: SoundHead = "query"
    tags: int = 416  # what an aligned backbone was taught to tell apart
    sound_gate: bool = False  # whether a query's sounding is told snippet by snippet, apart from its mask
    second_look: bool = False  # whether masks are half the picture in size, with another look at it

    @classmethod
    def of(cls, settings: Any) -> LocaliserOptions:
        """Those that the `model` section of a configuration has."""
        return cls(**{field.name: getattr(settings, field.name) for field in fields(cls)})

    @property
    def aligned(self) -> bool:
        """Whether a dense map of what things look like is needed, to hold against what is heard."""
        return self.fusion == "similarity" or self.sound_head == "relations"


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions:
    """Open-vocabulary classification (Section 3.4)."""

    clip: str = "ViT-B-16-quickgelu"
    crop: Crop = "square"
    crop_anchor: CropAnchor = "centre"
    mask_threshold: float = 0.5
