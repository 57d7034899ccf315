"""CLIP confirms what OpenAVS calls things: where its weights are, in the words of the vocabulary."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from model.checkpoint import SHELF, CheckpointWeights
from model.classifier import OpenVocabularyClassifier
from model.clip_weights import ClipWeights
from model.errors import ModelError
from model.labels import LabelOptions
from model.naming import Namer
from model.openavs.table import Table
from model.options import ClassifierOptions
from model.vocabulary import Vocabulary
from nodes.openavs.calling import CallingStage
from nodes.openavs.providers import clip_path, clip_weights_of, require_providers
from streaming.config import Config, load, setting
from streaming.messages import Result
from streaming.results import checked_line, result_line, result_of
from tests.nodes.samples import end, sounding_masks

TINY = SHELF / "tiny.safetensors"
SIDE = 96


class Sees(OpenVocabularyClassifier):
    """Takes every object for a mixture of words, each of which has an axis of its own."""

    def __init__(self, **seen: float) -> None:
        self.seen, self.looks, self.axes = seen, 0, dict[str, int]()
        self.image_size = 32

    def encode_words(self, words: object) -> Tensor:
        assert isinstance(words, list | tuple)
        places = [self.axes.setdefault(word, len(self.axes)) for word in words]
        return _axes(np.eye(32, dtype=np.float32)[places])

    def encode_regions(self, regions: Tensor, *, batch: int = 8) -> Tensor:
        self.looks += len(regions)
        one = np.zeros(32, np.float32)
        for word, share in self.seen.items():
            one[self.axes.setdefault(word, len(self.axes))] = share
        return _axes(np.repeat(one[None] / np.linalg.norm(one), len(regions), axis=0))


def _axes(x: NDArray[np.float32]) -> Tensor:
    import torch

    return torch.from_numpy(x)


def stage(sees: OpenVocabularyClassifier | None, *words: str, clip: str = "none") -> CallingStage:
    namer = None
    if sees is not None:
        labels, options = LabelOptions(max_age=1000, sure_probability=0.0), ClassifierOptions(clip=clip)
        namer = Namer(sees, words, labels=labels, options=options)
    return CallingStage(Table(), Vocabulary(words), namer=namer)


def called(calling: CallingStage, noun: str, seq: int = 0) -> dict[str, object]:
    logits = np.full((1, SIDE // 4, SIDE // 4), -8, np.float32)
    logits[0, 4:20, 4:20] = 8
    about = {"image": np.zeros((SIDE, SIDE, 3), np.uint8), "frame_size": (SIDE, SIDE), "window_fill": 1}
    message = sounding_masks(seq, logits, [1], **about)
    for track in message.tracks:
        track["noun"] = noun
    (result,) = calling.process(message)
    assert isinstance(result, Result)
    (track,) = checked_line(result_line(result, wall_ns=10**9).encode())["tracks"]
    assert result_of(checked_line(result_line(result, wall_ns=10**9).encode()))[0].tracks == [track]
    return track


def test_clip_says_which_of_several_words_for_a_noun_it_is() -> None:
    words = ("man", "woman", "violin")
    assert called(stage(None, *words), "person")["label"] == "person"
    track = called(stage(Sees(woman=1.0, man=0.97), *words), "person")
    assert (track["label"], track["confirmed"]) == ("woman", True)
    assert [label["name"] for label in track["labels"]] == ["woman", "man", "violin"]  # type: ignore[index]


def test_what_clip_takes_for_something_else_keeps_its_name_and_is_not_confirmed() -> None:
    track = called(stage(Sees(donkey=1.0, horse=0.95), "horse", "donkey", "dog"), "horse")
    assert (track["label"], track["confirmed"]) == ("horse", False)
    first, second = track["labels"][:2]  # type: ignore[index]
    assert (first["name"], second["name"]) == ("horse", "donkey")
    assert first["p"] < second["p"]


def test_a_noun_that_no_word_means_takes_part_in_its_own_name() -> None:
    calling = stage(Sees(dog=1.0, violin=0.95), "violin", "drum")
    track = called(calling, "dog")
    assert (track["label"], track["confirmed"]) == ("dog", True)
    assert sum(label["p"] for label in track["labels"]) == pytest.approx(1, abs=1e-3)  # type: ignore[index]
    assert "dog" not in [label["name"] for label in called(calling, "violin", 1)["labels"]]  # type: ignore[index]


def test_clip_looks_once_at_a_track_and_other_words_name_it_anew() -> None:
    sees = Sees(hound=1.0, dog=0.9)
    calling = stage(sees, "dog")
    assert [called(calling, "dog", seq)["label"] for seq in range(3)] == ["dog"] * 3
    assert (sees.looks, calling.stats()["clip_calls"], calling.stats()["clip_calls_saved"]) == (1, 1, 2)
    assert calling.request("vocabulary.set", {"words": ["hound", "puppy"]})["revision"] == 2
    assert called(calling, "dog", 3)["label"] == "hound"
    assert sees.looks == 1
    calling.forget(end(4).source)
    called(calling, "dog", 4)
    assert sees.looks == 2


def config(*settings: str) -> Config:
    return load(model="edge", settings=[setting(one) for one in settings])


def test_weights_that_were_fetched_confirm_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OV_AVSS_CACHE", str(tmp_path))
    assert clip_path(config()) is None
    assert clip_weights_of(config()) is None
    from model.depot import shelf, table

    one = table.table()["clip-vit-b-16"]
    place = shelf.place(one, one.files[0])
    place.parent.mkdir(parents=True)
    place.write_bytes(b"x")
    assert clip_path(config()) == place
    assert clip_path(config("openavs.clip=")) is None
    assert clip_path(config("model.clip=ov-avss-tiny")) is None, "those are not its weights"


def test_weights_that_were_asked_for_and_are_not_there_are_told_before_the_run(tmp_path: Path) -> None:
    missing = config(f"openavs.clip={tmp_path}/none.pt", f"openavs.yamnet={TINY}", f"openavs.deeplab={TINY}")
    with pytest.raises(
        ModelError, match=r"openavs.clip: found no file .*none.pt, expected weights of ViT-B-16"
    ):
        require_providers(missing)


def test_clip_alone_is_read_from_a_whole_model_and_from_a_file_of_its_own(tmp_path: Path) -> None:
    whole = OpenVocabularyClassifier("ov-avss-tiny", CheckpointWeights(TINY))
    state = {name: value.clone() for name, value in whole.model.state_dict().items()}
    save_file(state, tmp_path / "clip.safetensors")
    for path in (TINY, tmp_path / "clip.safetensors"):
        alone = OpenVocabularyClassifier("ov-avss-tiny", ClipWeights(path)).model.state_dict()
        assert all((alone[name] == value).all() for name, value in state.items())
    with pytest.raises(ModelError, match="this CLIP"):
        OpenVocabularyClassifier("ViT-B-32", ClipWeights(TINY))


def test_a_run_writes_down_all_weights_that_it_computes_with(tmp_path: Path) -> None:
    from commands.facts import what_runs

    for name in ("ears", "eyes", "clip"):
        (tmp_path / name).write_text(name)
    given = ("openavs.yamnet=", "openavs.deeplab=", "openavs.clip=")
    paths = [f"{one}{tmp_path}/{name}" for one, name in zip(given, ("ears", "eyes", "clip"), strict=True)]
    told = what_runs(config(*paths))["weights"]["files"]
    assert list(told) == ["yamnet", "deeplab", "clip"]
    assert told["clip"] == hashlib.sha256(b"clip").hexdigest()
    told = what_runs(load(model="lessons"))["weights"]["files"]
    assert told == {"lessons": hashlib.sha256(TINY.read_bytes()).hexdigest()}
    assert "files" not in what_runs(load(model="tiny"))["weights"]
