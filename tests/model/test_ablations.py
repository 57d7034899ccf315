"""The switches of Tables 3 to 5: each builds, runs, loads, and changes the answer."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor

from model.audio_mask_dec import Sounding
from model.checkpoint import PARTS, CheckpointWeights, checkpoint_name
from model.crops import crop_regions
from model.localiser import Localiser, normalise
from model.options import AudioPrompt, Crop, Fusion, FusionLevels
from tests.model.small import SMALL, pictures, small_localiser, sounds, untrained

FUSIONS, LEVELS, PROMPTS = get_args(Fusion), get_args(FusionLevels), get_args(AudioPrompt)
VARIANTS = [
    dict(fusion=fusion, fusion_levels=levels, audio_prompt=prompt)
    for fusion, levels, prompt in product(FUSIONS, LEVELS, PROMPTS)
]
ROWS = [  # one switch at a time, as the tables have them
    {switch: value}
    for switch, values in (("fusion", FUSIONS), ("fusion_levels", LEVELS), ("audio_prompt", PROMPTS))
    for value in values
]
DEFAULT = dict(fusion=SMALL.fusion, fusion_levels=SMALL.fusion_levels, audio_prompt=SMALL.audio_prompt)
IMAGES, SOUNDS = pictures(1, 5), sounds(1, 5)


def answer(localiser: Localiser, audio: Tensor = SOUNDS) -> Sounding:
    with torch.inference_mode():
        return localiser(normalise(IMAGES[0])[None], audio)


def differ(a: Sounding, b: Sounding) -> bool:
    """Whether two answers differ by more than rounding, in their masks or in their scores."""
    masks = (a.mask_logits() - b.mask_logits()).norm() / b.mask_logits().norm()
    return bool(masks > 1e-3) or bool((a.scores - b.scores).abs().max() > 1e-3)


def named(variant: dict[str, str]) -> str:
    return "+".join(variant.values())


@pytest.mark.parametrize("variant", VARIANTS, ids=named)
def test_every_combination_runs_and_its_entries_have_names_of_their_own(variant: dict[str, str]) -> None:
    localiser = small_localiser(**variant)
    found = answer(localiser)
    assert found.mask_logits().shape == (1, SMALL.queries, 5, 16, 24)
    assert found.mask_logits().isfinite().all()
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    own = list(untrained(**variant).state_dict())
    names = {checkpoint_name("localiser", name) for name in own}
    assert len(names) == len(own)
    assert all(name.startswith(PARTS["localiser"]) for name in names)


@pytest.mark.parametrize("change", ROWS, ids=named)
def test_every_switch_changes_the_answer(change: dict[str, str]) -> None:
    is_default = change.items() <= DEFAULT.items()
    assert differ(answer(small_localiser(**change)), answer(small_localiser())) != is_default


@pytest.mark.parametrize(
    "values", [("fusion", FUSIONS), ("audio_prompt", PROMPTS)], ids=lambda values: values[0]
)
def test_the_rows_of_a_table_differ_from_each_other(values: tuple[str, tuple[str, ...]]) -> None:
    switch, rows = values
    answers = [answer(small_localiser(**{switch: row})) for row in rows]
    for i, one in enumerate(answers):
        assert all(differ(one, other) for other in answers[:i])


@pytest.mark.parametrize("variant", ROWS, ids=named)
def test_a_checkpoint_of_a_variant_loads_into_it(tmp_path: Path, variant: dict[str, str]) -> None:
    trained = untrained(**variant)
    entries = {checkpoint_name("localiser", own): value for own, value in trained.state_dict().items()}
    torch.save({"model": entries}, tmp_path / "model.pth")
    loaded = untrained(**variant)
    CheckpointWeights(tmp_path / "model.pth").fill("localiser", loaded)
    for own, value in loaded.state_dict().items():
        assert torch.equal(value, trained.state_dict()[own])


def test_without_fusion_and_prompt_sound_is_not_heard() -> None:
    deaf = small_localiser(fusion="none", audio_prompt="none")
    assert torch.equal(answer(deaf).mask_logits(), answer(deaf, sounds(1, 5, seed=9)).mask_logits())
    assert torch.equal(answer(deaf).scores, answer(deaf, sounds(1, 5, seed=9)).scores)


@pytest.mark.parametrize(
    ("fusion", "prompt"), [pair for pair in product(FUSIONS, PROMPTS) if set(pair) != {"none"}]
)
def test_with_either_it_is(fusion: Fusion, prompt: AudioPrompt) -> None:
    localiser = small_localiser(fusion=fusion, audio_prompt=prompt)
    assert differ(answer(localiser), answer(localiser, sounds(1, 5, seed=9)))


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("fusion", FUSIONS)
@torch.inference_mode()
def test_what_fusion_lets_through(fusion: str, levels: str) -> None:
    localiser = small_localiser(fusion=fusion, fusion_levels=levels)
    images = normalise(IMAGES[0])
    _, pixels, audio, _ = localiser.represent(images, SOUNDS[0])
    _, louder, _, _ = localiser.represent(images, sounds(5, seed=9))
    _, _, elsewhere, _ = localiser.represent(normalise(pictures(5, seed=9)), SOUNDS[0])
    pixels_hear = not torch.allclose(pixels.mask_features, louder.mask_features, rtol=0, atol=1e-4)
    audio_sees = not torch.allclose(audio, elsewhere, rtol=0, atol=1e-4)
    assert (pixels_hear, audio_sees) == {
        "none": (False, False),
        "add": (True, False),
        "bi-attention": (True, True),
        "similarity": (True, True),
    }[fusion]
    if fusion in ("none", "add"):
        assert torch.equal(audio, SOUNDS[0])


@pytest.mark.parametrize("prompt", PROMPTS)
def test_how_often_the_queries_hear(prompt: AudioPrompt) -> None:
    decoder = untrained(audio_prompt=prompt).audio_mask_dec
    audible = {
        "none": (False, False, 0),
        "concat-add": (True, False, 0),
        "cross-attention": (False, True, 0),
        "audio-mask-dec": (False, True, SMALL.decoder_layers),
    }[prompt]
    hearing = sum(layer.audio is not None for layer in decoder.layers)
    assert (decoder.audio_concat is not None, decoder.audio_into_queries is not None, hearing) == audible


def test_concatenated_sound_is_one_vector_added_to_every_query() -> None:
    decoder = small_localiser(audio_prompt="concat-add").audio_mask_dec
    queries, place = decoder.query_feat.weight[None], decoder.query_embed.weight[None]
    heard, memory, _ = decoder.listen(queries, place, SOUNDS)
    assert memory is None
    first, second = decoder.audio_proj.layers
    clip = torch.cat([second(first(second_of_sound).relu()) for second_of_sound in SOUNDS[0]])
    assert decoder.audio_concat is not None
    expected = (decoder.audio_concat.weight @ clip + decoder.audio_concat.bias).expand_as(queries)
    torch.testing.assert_close(heard - queries, expected, rtol=1e-5, atol=1e-5)


def test_clip_is_shown_something_else_by_each_crop() -> None:
    frames = pictures(1, height=32, width=48)
    masks = torch.zeros(1, 1, 32, 48)
    masks[..., 4:12, 10:40] = 0.9
    shown = [
        crop_regions(frames, masks, masks.flatten(2).any(-1), crop=crop, anchor="centre", size=24)
        for crop in get_args(Crop)
    ]
    assert {tuple(regions.shape) for regions in shown} == {(1, 3, 24, 24)}
    for i, one in enumerate(shown):
        assert all((one - other).abs().max() > 1 for other in shown[:i])
