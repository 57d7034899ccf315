"""What becomes of the model's answers: which objects there are, and what they are called."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from model.errors import ModelError
from model.vocabulary import Vocabulary
from streaming.config.section import Section, Share


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
