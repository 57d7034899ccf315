"""CLIP as classifier: OpenAI's layout, embeddings equal to the plain recipe, the authors' decision."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.classifier import (
    OpenVocabularyClassifier,
    Pair,
    build_clip,
    is_causal,
    paint,
    pixel_statistics,
    probabilities,
    reference_pairs,
)
from model.errors import ModelError
from model.prompts import TEMPLATES, ensemble, prompts
from model.standin import fill_with_stand_in

WORDS = ["dog", "emergency-car", "a rather long description of a steam engine", "guqin"]

SMALL: dict[str, Any] = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 3},
}


class StandIn:
    """Stand-in weights, as the command's `--weights stand-in` gives them."""

    def __init__(self, salt: int = 0) -> None:
        self.salt = salt

    def fill(self, part: str, module: nn.Module) -> None:
        assert part == "clip"
        fill_with_stand_in(module, self.salt, name_of=lambda name: f"clip_adapter.clip_model.{name}")


@pytest.fixture(scope="module", autouse=True)
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """CLIPs of a few layers, by the names `small*`."""
    folder = tmp_path_factory.mktemp("clip")
    text = SMALL["text_cfg"]
    models = {
        "small": SMALL,
        "small-custom": SMALL | {"custom_text": True},
        "small-eos": SMALL | {"text_cfg": text | {"pool_type": "eos", "eos_id": 49407}},
        "small-two-way": SMALL | {"text_cfg": text | {"no_causal_mask": True}},
        "small-last": SMALL | {"text_cfg": text | {"pool_type": "last"}},
        "small-linear": SMALL | {"custom_text": True, "text_cfg": text | {"proj_bias": True}},
        "small-foreign": SMALL | {"text_cfg": text | {"hf_tokenizer_name": "someone/tokenizer"}},
    }
    for name, config in models.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    yield
    for name in models:
        del open_clip.factory._MODEL_CONFIGS[name]


@pytest.fixture(scope="module")
def small() -> OpenVocabularyClassifier:
    return OpenVocabularyClassifier("small", StandIn())


def regions(count: int, size: int = 32) -> Tensor:
    return 255 * torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def openai_layout(
    embed: int, image: int, patch: int, vision: tuple[int, int], text: tuple[int, int]
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of an OpenAI CLIP with a ViT; `vision` and `text` are (width, layers)."""
    (v, v_layers), (t, t_layers) = vision, text
    shapes: dict[str, tuple[int, ...]] = {
        "positional_embedding": (77, t),
        "text_projection": (t, embed),
        "logit_scale": (),
        "token_embedding.weight": (49408, t),
        "ln_final.weight": (t,),
        "ln_final.bias": (t,),
        "visual.class_embedding": (v,),
        "visual.positional_embedding": ((image // patch) ** 2 + 1, v),
        "visual.proj": (v, embed),
        "visual.conv1.weight": (v, 3, patch, patch),
    }
    shapes |= {f"visual.ln_{end}.{leaf}": (v,) for end in ("pre", "post") for leaf in ("weight", "bias")}
    for tower, width, layers in (("visual.", v, v_layers), ("", t, t_layers)):
        for layer in range(layers):
            block = f"{tower}transformer.resblocks.{layer}"
            shapes |= {
                f"{block}.attn.in_proj_weight": (3 * width, width),
                f"{block}.attn.in_proj_bias": (3 * width,),
                f"{block}.attn.out_proj.weight": (width, width),
                f"{block}.attn.out_proj.bias": (width,),
                f"{block}.mlp.c_fc.weight": (4 * width, width),
                f"{block}.mlp.c_fc.bias": (4 * width,),
                f"{block}.mlp.c_proj.weight": (width, 4 * width),
                f"{block}.mlp.c_proj.bias": (width,),
            }
            norms = {f"{block}.ln_{n}.{leaf}": (width,) for n in (1, 2) for leaf in ("weight", "bias")}
            shapes |= norms
    return shapes


@pytest.mark.parametrize(
    ("name", "layout", "count"),
    [
        ("ViT-B-16-quickgelu", openai_layout(512, 224, 16, (768, 12), (512, 12)), 302),
        ("ViT-L-14-336-quickgelu", openai_layout(768, 336, 14, (1024, 24), (768, 12)), 446),
    ],
)
def test_entries_are_those_of_openai_checkpoints(
    name: str, layout: dict[str, tuple[int, ...]], count: int
) -> None:
    found = {entry: tuple(tensor.shape) for entry, tensor in build_clip(name).state_dict().items()}
    assert found == layout
    assert len(found) == count


def test_building_leaves_the_random_numbers_alone_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    before = torch.get_rng_state()
    with caplog.at_level(logging.DEBUG):
        build_clip("small")
    assert torch.equal(torch.get_rng_state(), before)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert logging.root.manager.disable == 0


def test_the_model_is_frozen(small: OpenVocabularyClassifier) -> None:
    assert not small.model.training
    assert not any(parameter.requires_grad for parameter in small.model.parameters())
    assert not small.encode_regions(regions(1)).requires_grad


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ViT-B-61-quickgelu", "expected one that open_clip knows; close to it: ViT-B-16-quickgelu"),
        ("hf-hub:someone/something", "expected one that open_clip knows"),
        ("ViT-B-16-SigLIP", "needs a tokenizer that open_clip does not carry"),
        ("small-foreign", "needs a tokenizer that open_clip does not carry"),
    ],
)
def test_models_that_would_need_a_download_are_refused(name: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        OpenVocabularyClassifier(name, StandIn())


@pytest.mark.parametrize("name", ["small", "small-custom", "small-eos", "small-linear"])
def test_the_tree_gives_what_the_whole_context_gives(name: str) -> None:
    classifier = OpenVocabularyClassifier(name, StandIn())
    assert is_causal(getattr(classifier.model, "text", classifier.model))
    found = classifier.encode_words(WORDS)
    for word, embedding in zip(WORDS, found, strict=True):
        whole = classifier.model.encode_text(classifier.tokenizer(prompts(word)))
        torch.testing.assert_close(embedding, ensemble(whole), atol=1e-6, rtol=0)
    assert (found @ found.T - torch.eye(len(WORDS))).abs().max() > 1e-3  # not all alike, nor orthogonal


@pytest.mark.parametrize("name", ["small-two-way", "small-last"])
def test_other_text_towers_get_their_whole_context(name: str) -> None:
    classifier = OpenVocabularyClassifier(name, StandIn())
    assert not is_causal(classifier.model)
    whole = classifier.model.encode_text(classifier.tokenizer(prompts("dog")))
    torch.testing.assert_close(classifier.encode_words(["dog"])[0], ensemble(whole))


def test_a_word_longer_than_the_context_is_cut_as_clip_cuts_it(small: OpenVocabularyClassifier) -> None:
    word = "very " * 90 + "long"
    whole = small.model.encode_text(small.tokenizer(prompts(word)))
    torch.testing.assert_close(small.encode_words([word])[0], ensemble(whole), atol=1e-6, rtol=0)


def test_a_word_is_the_same_to_the_last_bit_in_any_company(small: OpenVocabularyClassifier) -> None:
    other = OpenVocabularyClassifier("small", StandIn())
    assert torch.equal(small.encode_words(["dog"])[0], other.encode_words(["cat", "tall ship", "dog"])[2])
    assert torch.equal(other.encode_words(["dog", "cat", "dog"]), other.encode_words(["dog", "cat", "dog"]))
    assert other.encode_words([]).shape == (0, 24)


def test_regions_are_embedded_by_the_published_recipe(small: OpenVocabularyClassifier) -> None:
    images = regions(5)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    expected = F.normalize(small.model.encode_image((images / 255 - mean) / std), dim=-1)
    torch.testing.assert_close(small.encode_regions(images), expected)
    torch.testing.assert_close(small.encode_regions(images, batch=2), expected)
    assert small.encode_regions(images[:0]).shape == (0, 24)


def test_regions_of_another_size_are_resized(small: OpenVocabularyClassifier) -> None:
    large = F.interpolate(regions(2, 4), size=64, mode="bilinear")
    same = F.interpolate(large, size=32, mode="bicubic", antialias=True)
    torch.testing.assert_close(small.encode_regions(large), small.encode_regions(same))


def test_bfloat16_gives_nearly_the_same_unit_vectors() -> None:
    exact = OpenVocabularyClassifier("small", StandIn())
    rough = OpenVocabularyClassifier("small", StandIn(), precision="bfloat16")
    images = regions(4)
    for a, b in (
        (exact.encode_regions(images), rough.encode_regions(images)),
        (exact.encode_words(WORDS), rough.encode_words(WORDS)),
    ):
        assert b.dtype == torch.float32
        torch.testing.assert_close(b.norm(dim=-1), torch.ones(4))
        assert (a * b).sum(dim=-1).min() > 0.999
        assert not torch.equal(a, b)


def test_pixel_statistics_are_the_models_own() -> None:
    assert pixel_statistics("PE-Core-B-16") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert pixel_statistics("MobileCLIP2-S0") == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert pixel_statistics("small") == pixel_statistics("ViT-B-16-quickgelu")


def test_word_embeddings_outlive_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = OpenVocabularyClassifier("small", StandIn(), cache_dir=tmp_path).encode_words(WORDS)
    again = OpenVocabularyClassifier("small", StandIn(), cache_dir=tmp_path)
    other = OpenVocabularyClassifier("small", StandIn(salt=1), cache_dir=tmp_path)
    monkeypatch.setattr(again, "_encode_word", None)  # calling it would fail
    assert torch.equal(again.encode_words(WORDS), first)
    assert not torch.allclose(other.encode_words(WORDS), first)
    assert len(list(tmp_path.iterdir())) == 2


def test_probabilities_are_a_softmax_over_the_words() -> None:
    image = F.normalize(torch.tensor([[1.0, 0.02], [0.0, 1.0]]), dim=-1)
    text = torch.eye(2)
    found = probabilities(image, text)
    expected = 1 / (1 + torch.exp(100 * (image[0, 1] - image[0, 0])))
    torch.testing.assert_close(found[0, 0], expected)
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(2))
    assert probabilities(image, text, temperature=1.0)[0, 0] < found[0, 0]


def test_the_authors_decision() -> None:
    # Words along the axes; embeddings given by their cosine with each, a hundredth being a logit of one.
    text = torch.eye(3)
    cosines = torch.tensor(
        [
            [0.05, 0.00, 0.00],  # query 4, frame 0
            [0.03, 0.07, 0.00],  # query 7
            [0.01, 0.05, 0.00],  # query 4, frame 1: together (0.03, 0.025, 0)
            [0.00, 0.00, 0.00],  # query 9: a third each
        ]
    )
    found = reference_pairs(cosines, torch.tensor([4, 7, 4, 9]), text)
    means = {4: [3.0, 2.5, 0.0], 7: [3.0, 7.0, 0.0], 9: [0.0, 0.0, 0.0]}
    expected = []
    for query, logits in means.items():
        scores = np.exp(logits) / np.exp(logits).sum()
        expected += [(query, index, score) for index, score in enumerate(scores) if score > 0.3]
    expected.sort(key=lambda entry: -entry[2])
    assert [(pair.query, pair.class_index) for pair in found] == [entry[:2] for entry in expected]
    assert [pair.score for pair in found] == pytest.approx([entry[2] for entry in expected], rel=1e-5)
    assert [pair.query for pair in found].count(4) == 2
    assert reference_pairs(cosines, torch.tensor([4, 7, 4, 9]), text, keep=2) == found[:2]
    assert reference_pairs(cosines[:0], torch.tensor([], dtype=torch.int64), text) == []


def test_the_best_pair_stays_on_top() -> None:
    masks = torch.zeros(3, 1, 2, 4, dtype=torch.bool)
    masks[0, :, :, :2] = True
    masks[2, :, :, 1:3] = True
    pairs = [Pair(2, 6, 0.9), Pair(0, 3, 0.5), Pair(2, 1, 0.4)]
    assert paint(pairs, masks).tolist() == [[[4, 7, 7, 0], [4, 7, 7, 0]]]
    assert not paint([], masks).any()


@pytest.mark.slow
def test_the_whole_size_tower_agrees_with_its_full_context() -> None:
    classifier = OpenVocabularyClassifier("ViT-B-16-quickgelu", StandIn())
    assert len(TEMPLATES) == 14
    whole = classifier.model.encode_text(classifier.tokenizer(prompts("emergency-car")))
    found = classifier.encode_words(["emergency-car"])[0]
    torch.testing.assert_close(found, ensemble(whole), atol=1e-6, rtol=0)
