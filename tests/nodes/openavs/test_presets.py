"""The presets of foundation models from a snippet to a result, with tiny models of random weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="the extra openavs is not installed")

from model.errors import ModelError
from model.openavs.llm import Llm
from model.openavs.rules import Rules
from model.openavs.scales import SCALES
from nodes import families
from nodes.families import stages_of
from nodes.openavs import providers
from nodes.openavs.providers import require_providers, table_of, translation_of
from nodes.openavs.seeing import SeeingStage, rules_of
from streaming.config import Config, load
from streaming.memory import Memory
from streaming.messages import Result, decode, encode
from streaming.settings import setting
from tests.model.openavs import tiny_networks
from tests.model.openavs.speaker import Speaker, completion, named
from tests.nodes.samples import snippet

LOUD = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("networks")
    kinds = {"clap": "clap", "caption": "captioner", "grounding_dino": "grounding_dino", "sam": "sam2"}
    return {name: getattr(tiny_networks, kind)(base / name) for name, kind in kinds.items()}


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are: torch lets a process set them once, and a node is a process of its own."""
    monkeypatch.setattr(families, "_set_threads", lambda threads: None)


@pytest.fixture
def speaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Speaker]:
    """A language model that finds a piano in whatever comes first."""
    monkeypatch.setenv("no_proxy", "*")
    one = Speaker(lambda *_: completion(named(**{"Grand Piano": [1], "woman": [1]})))
    yield one
    one.close()


def configured(preset: str, folders: dict[str, Path], *more: str) -> Config:
    """A preset that stands on the tiny models, sees a box in anything and remembers nothing."""
    places = [f"openavs.{name}={path}" for name, path in folders.items()]
    anything = ["openavs.box_threshold=0", "openavs.text_threshold=0", "vocabulary.cache_dir="]
    sizes = ["model.short_side=64", "model.max_side=96", "model.device=cpu"]
    given = [setting(one) for one in (*places, *anything, *sizes, *more)]
    return load(model=preset, settings=given)


def result_of(config: Config) -> tuple[Result, SeeingStage]:
    """What comes of a second of noise and a picture of it, through all stages and over the wire."""
    require_providers(config)
    stages = [make(config, Memory()) for make in stages_of(config)]
    message = snippet(0, frame=tiny_networks.noise(96, 144), audio=LOUD, has_audio=True)
    for stage in stages:
        (message,) = stage.process(decode(encode(message)))
    assert isinstance(message, Result)
    seeing = stages[1]
    assert isinstance(seeing, SeeingStage)
    return message, seeing


def test_sam4avs_looks_for_the_word_that_clap_finds_closest(folders: dict[str, Path]) -> None:
    config = configured("sam4avs", folders, "openavs.clap_words=[hurdy gurdy, kazoo]")
    result, _ = result_of(config)
    (track,) = result.tracks
    assert track["label"] in ("hurdy gurdy", "kazoo")
    assert track["mask"]["size"] == [96, 144]


def test_openavs_looks_for_what_the_language_model_says_and_the_vocabulary_has_the_last_word(
    folders: dict[str, Path], speaker: Speaker
) -> None:
    config = configured(
        "openavs",
        folders,
        "openavs.clap_words=[piano]",
        f"openavs.llm.url={speaker.url}",
        "openavs.llm.models=[tiny]",
        "openavs.llm.deadline_s=30",
        "vocabulary.words=[Grand piano, violin]",
        "openavs.rules.person_on=1.0",
    )
    result, seeing = result_of(config)
    assert {track["label"] for track in result.tracks} == {"Grand piano", "woman"}
    (body,) = speaker.asked
    asked = json.loads(body["messages"][1]["content"])
    assert asked == {"sounds": {"1": "piano"}, "words": ["Grand piano", "violin"]}
    assert seeing.stats()["translation"] == "llm"


def test_without_its_language_model_openavs_goes_on_by_the_table_and_says_so(
    folders: dict[str, Path], speaker: Speaker
) -> None:
    speaker.close()
    config = configured(
        "openavs",
        folders,
        "openavs.clap_words=[barking dog]",
        f"openavs.llm.url={speaker.url}",
        "openavs.llm.models=[tiny]",
        "openavs.llm.deadline_s=30",
    )
    result, seeing = result_of(config)
    assert [track["label"] for track in result.tracks] == ["dog"]
    assert (seeing.stats()["translation"], seeing.stats()["by_table"]) == ("table", 1)


def test_a_captioner_can_hear_for_the_same_eyes(folders: dict[str, Path], speaker: Speaker) -> None:
    config = configured(
        "openavs",
        folders,
        "openavs.audio_to_text=caption",
        f"openavs.llm.url={speaker.url}",
        "openavs.llm.models=[tiny]",
        "openavs.llm.deadline_s=30",
    )
    result, _ = result_of(config)
    assert {track["label"] for track in result.tracks} == {"grand piano", "woman"}


def test_ears_bring_their_scale_and_what_is_given_goes_over_it(folders: dict[str, Path]) -> None:
    plain = rules_of(configured("openavs", folders))
    assert (plain.person_on, plain.other_on) == (SCALES["clap"].person_on, SCALES["clap"].other_on)
    assert table_of(configured("openavs", folders)).sure == SCALES["clap"].sure
    given = rules_of(configured("openavs", folders, "openavs.rules.other_on=0.5"))
    assert (given.person_on, given.other_on) == (SCALES["clap"].person_on, 0.5)
    yamnet = SCALES["yamnet"]
    assert (yamnet.person_on, yamnet.other_on) == (Rules().person_on, Rules().other_on)


def test_sam4avs_holds_nothing_for_silent_and_remembers_nothing() -> None:
    from model.openavs.rules import Ears

    ears = Ears(rules_of(load(model="sam4avs")))
    ears.hear(0, -10.0, {"dog": 1.0})
    assert ears.hear(250_000_000, -120.0, {"cat": 0.01}) == {"cat": 0.01}


def test_a_language_model_can_choose_among_the_nouns_of_deeplab() -> None:
    config = load(model="edge", settings=[setting("openavs.prompt_translation=llm")])
    translation = translation_of(config, {"dog", "cat"})
    assert isinstance(translation, Llm)
    assert translation.words == ["cat", "dog"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("openavs.sam=nowhere", r"openavs\.sam: found no nowhere/config\.json, expected a model's folder"),
        ("openavs.sam=fetched:sam-vit-b", r"weights fetch sam-vit-b"),
        ("openavs.llm.models=[]", r"openavs\.llm\.models: names no model"),
        ("openavs.llm.url=ftp://a", r"openavs\.llm\.url: found 'ftp://a'"),
        ("openavs.llm.key_variable=NOT_SET_AT_ALL", "the variable NOT_SET_AT_ALL is not set"),
    ],
)
def test_what_is_missing_is_told_in_a_line(
    folders: dict[str, Path], more: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OV_AVSS_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=told) as error:
        require_providers(configured("openavs", folders, "openavs.llm.models=[tiny]", more))
    assert "\n" not in str(error.value)


def test_a_captioner_has_to_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load(model="openavs", settings=[setting("openavs.audio_to_text=caption")])
    with pytest.raises(ModelError, match=r"openavs\.caption: found nothing, expected the path"):
        require_providers(config)


def test_every_preset_has_a_set_for_all_it_stands_on() -> None:
    from model.depot.table import table

    for preset in ("openavs", "sam4avs"):
        o = load(model=preset).openavs
        sets = [
            one
            for step in (o.audio_to_text, o.text_to_mask)
            for one in providers.OF_TRANSFORMERS[step].items()
        ]
        for name, usual in sets:
            given = getattr(o, name)
            wanted = usual if given is None else given.removeprefix(providers.FETCHED)
            assert wanted is not None
            assert preset in table()[wanted].presets
