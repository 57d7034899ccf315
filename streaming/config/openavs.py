"""Models of the family `openavs`: who takes their three steps, and by which rules (docs/openavs.md)."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from streaming.config.section import Section, Share


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
    models: list[str] = Field(default=[])
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
