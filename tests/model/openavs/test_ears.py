"""CLAP and captioners with tiny models of random weights: what comes in and goes out, not what is heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="the extra openavs is not installed")

from model.errors import ModelError
from model.openavs.caption import MOST_CHARS, Captioner
from model.openavs.clap import SENTENCE, Clap
from model.openavs.names import Names
from model.openavs.table import Table
from tests.model.openavs import tiny_networks

WAVE = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
WORDS = ("dog", "acoustic guitar", "woman")


@pytest.fixture(scope="module")
def clap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_networks.clap(tmp_path_factory.mktemp("clap"))


@pytest.fixture(scope="module")
def captioner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_networks.captioner(tmp_path_factory.mktemp("captioner"))


def test_clap_shares_a_whole_among_its_words_as_the_library_itself_does(clap: Path) -> None:
    import soxr
    import transformers

    sounds = Clap(clap, WORDS, most=3).sounds(WAVE)
    assert sum(sounds.values()) == pytest.approx(1, abs=1e-3)
    assert list(sounds.values()) == sorted(sounds.values(), reverse=True)
    model = transformers.ClapModel.from_pretrained(clap).eval()
    prepares = transformers.ClapProcessor.from_pretrained(clap)
    asked = prepares(
        text=[SENTENCE.format(word) for word in WORDS],
        audio=soxr.resample(WAVE, 16_000, 48_000),
        sampling_rate=48_000,
        padding=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        shares = model(**asked).logits_per_audio.softmax(-1)[0]
    assert [sounds[word] for word in WORDS] == pytest.approx(shares.tolist(), abs=1e-3)


def test_clap_tells_the_closest_words_alone(clap: Path) -> None:
    whole, one = Clap(clap, WORDS, most=3).sounds(WAVE), Clap(clap, WORDS, most=1).sounds(WAVE)
    assert list(one.items()) == list(whole.items())[:1]


def test_clap_takes_more_words_than_go_through_it_at_once(clap: Path) -> None:
    words = [f"thing {i}" for i in range(150)]
    assert len(Clap(clap, words, most=150).sounds(WAVE)) == 150


def test_what_clap_hears_is_what_is_looked_for() -> None:
    prompts = Names(Table()).prompts({"Acoustic guitar": 0.6, "woman": 0.3})
    assert prompts.nouns == {"acoustic guitar": 0.6, "woman": 0.3}
    assert prompts.people == {"woman"}


def test_a_captioner_writes_one_line_of_which_its_first_words_are_no_part(captioner: Path) -> None:
    for begins in ("", "caption: "):
        (text,) = Captioner(captioner, begins).sounds(WAVE)
        assert 0 < len(text) <= MOST_CHARS
        assert text.isprintable()
        assert not text.startswith("caption")


def test_a_captioner_writes_the_same_of_the_same(captioner: Path) -> None:
    ears = Captioner(captioner)
    assert ears.sounds(WAVE) == ears.sounds(WAVE)


def test_one_network_is_not_taken_for_the_other(clap: Path, captioner: Path) -> None:
    with pytest.raises(ModelError, match="found a model of type 'whisper', expected one of clap"):
        Clap(captioner, WORDS)
    with pytest.raises(ModelError, match="found a model of type 'clap', expected one of whisper"):
        Captioner(clap)
