"""Each lesson draws its batches by number, has a loss that can be learnt from, and keeps what it should."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from model.audio_mask_dec import Sounding
from model.checkpoint import PARTS, checkpoint_name
from model.ears import Ears
from model.localiser import Localiser
from model.training.board import Board
from model.training.fresh import draw_weights
from model.training.localise import LocaliseOptions
from model.training.losses import LossOptions
from model.training.optimiser import OptimiserOptions
from model.training.points import PointOptions
from model.training.task import Task
from model.training.tiny import naming
from model.training.tiny.hearing import HearingOptions, HearingTask
from model.training.tiny.locating import Locating, alike_recoloured, draw_part, draw_slots
from model.training.tiny.naming import NamingOptions, NamingTask
from model.training.tiny.seeing import SeeingOptions, SeeingTask, Sight, evidence, square_about
from model.training.tiny.stock import Stock
from model.training.tiny.tags import sounding_tags, tags
from model.training.trainer import Recipe, Trainer, Upkeep
from tests.model.training.tiny.conftest import SMALL


def seeing(gallery: Stock, **options: Any) -> SeeingTask:
    return SeeingTask(SMALL, gallery, SeeingOptions(batch_size=6, batches=100, **options))


def hearing(clips: Stock) -> HearingTask:
    return HearingTask(SMALL.audio_channels, clips, HearingOptions(batch_size=6))


def locating(clips: Stock, precision: torch.dtype = torch.float32) -> Locating:
    options = SMALL
    torch.manual_seed(0)
    localiser, ears = Localiser(options), Ears(len(sounding_tags()), options.audio_channels)
    draw_weights(localiser)
    sight = Sight(options)
    localiser.backbone, localiser.alignment = sight.backbone, sight.alignment
    loss = LossOptions(objects="all", points=PointOptions(count=64))
    return Locating(localiser, ears, clips, LocaliseOptions(batch_size=2, loss=loss), precision)


@pytest.fixture
def naming_task(gallery: Stock, monkeypatch: pytest.MonkeyPatch) -> NamingTask:
    monkeypatch.setattr(naming, "token_embeddings", lambda tokenizer, width: torch.zeros(49408, width))
    monkeypatch.setattr(naming, "other_words", lambda tag: ["puppy"] if tag == "dog" else [])
    return NamingTask("ov-avss-tiny", gallery, NamingOptions(batch_size=3, batches=100))


def tensors(batch: Any) -> Iterator[Tensor]:
    for part in batch if isinstance(batch, tuple | list) else [batch]:
        if isinstance(part, Tensor):
            yield part


def repeats(task: Task) -> None:
    for a, b in zip(tensors(task.batch(5)), tensors(task.batch(5)), strict=True):
        assert torch.equal(a, b)
    assert any(
        a.shape != b.shape or not torch.equal(a, b)
        for a, b in zip(tensors(task.batch(5)), tensors(task.batch(6)), strict=True)
    )


def falls(task: Task, steps: int, lr: float) -> tuple[float, float]:
    """The loss on one batch, before and after it was learnt for some steps."""
    torch.manual_seed(0)
    trained = [p for p in task.module.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=lr)
    batch = task.batch(0)
    losses = []
    for _ in range(steps):
        loss = task.module(batch, task.totals(batch))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses[0], losses[-1]


# Seeing ---------------------------------------------------------------------------------------------------


def test_seeing_draws_tagged_pictures(gallery: Stock) -> None:
    task = seeing(gallery)
    repeats(task)
    images, present = task.batch(0)
    assert images.shape[:2] == (6, 3)
    assert images.shape[-1] in (64, 96)
    assert present.shape == (6, len(tags()))
    assert present.any(1).all()
    shown = {name for names in gallery.names for name in names}
    assert {tags()[n] for n in present.any(0).nonzero()[:, 0].tolist()} <= shown


def test_seeing_can_be_learnt(gallery: Stock) -> None:
    first, last = falls(seeing(gallery, sides=(64,)), 8, 1e-3)
    assert first == pytest.approx(np.log(len(tags())), abs=1.5)
    assert last < 0.7 * first


def test_evidence_is_half_of_all_and_half_of_the_best() -> None:
    even = torch.ones(1, 9, 2)
    torch.testing.assert_close(evidence(even), torch.ones(1, 2))
    one = torch.zeros(1, 9, 2)
    one[0, 4, 1] = 30.0
    torch.testing.assert_close(evidence(one), torch.tensor([[0.0, 15 + 15 / 9]]), atol=1e-3, rtol=0)


def test_a_square_holds_most_of_the_thing() -> None:
    mask = np.zeros((100, 100), np.bool_)
    mask[40:60, 30:70] = True
    for seed in range(50):
        rows, columns = square_about(np.random.default_rng(seed), mask, 2.0)
        part = mask[rows, columns]
        assert part.shape[0] == part.shape[1] >= 42
        assert part.sum() > 0.7 * mask.sum()


# Hearing --------------------------------------------------------------------------------------------------


def test_hearing_draws_tagged_seconds(clips: Stock) -> None:
    task = hearing(clips)
    repeats(task)
    examples, heard = task.batch(0)
    assert examples.shape == (6, 96, 64)
    assert heard.shape == (6, len(sounding_tags()))
    assert heard.sum(1).max() <= 2


def test_hearing_can_be_learnt(clips: Stock) -> None:
    first, last = falls(hearing(clips), 12, 1e-2)
    assert last < 0.3 * first


# Naming ---------------------------------------------------------------------------------------------------


def test_naming_holds_cut_outs_against_all_names(naming_task: NamingTask) -> None:
    batch = naming_task.batch(0)
    for a, b in zip(batch, naming_task.batch(0), strict=True):
        assert torch.equal(a, b)
    assert batch.images.shape == (3, 3, 64, 64)
    assert len(batch.sentences) > len(tags())  # AVSBench's other names are there, and fit nothing
    assert batch.which.max() < len(tags())
    assert float(batch.temperature) == 30.0
    assert float(naming_task.batch(50).temperature) == 65.0


def test_sentences_are_read_as_the_classifier_reads_them(naming_task: NamingTask) -> None:
    module = naming_task.module.eval()
    torch.nn.init.normal_(module.clip.token_embedding.weight)
    short = naming_task.batch(0).sentences[:5]
    whole = torch.zeros(5, 77, dtype=torch.long)
    whole[:, : short.shape[1]] = short
    with torch.no_grad():
        torch.testing.assert_close(module.read(short), module.clip.encode_text(whole), rtol=1e-4, atol=1e-4)


def test_a_thing_goes_by_another_name_now_and_then(naming_task: NamingTask) -> None:
    place = tags().index("dog")
    own = {tuple(row.tolist()) for row in naming_task._sentences[place][0]}
    drawn = [tuple(naming_task.batch(n).sentences[place].tolist()) for n in range(40)]
    assert 0 < sum(sentence not in own for sentence in drawn) < 30


# Locating -------------------------------------------------------------------------------------------------


def test_locating_shows_all_objects_and_tells_which_sound(clips: Stock) -> None:
    task = locating(clips)
    batch = task.batch(3)
    again = task.batch(3)
    assert all(torch.equal(a, b) for a, b in zip(batch.frames, again.frames, strict=True))
    assert torch.equal(batch.examples, again.examples)
    assert batch.examples.shape == (2, 5, 96, 64)
    sounding = batch.targets.sounding
    assert sounding is not None
    for masks, sounds in zip(batch.targets.masks, sounding, strict=True):
        assert masks.shape[:2] == sounds.shape


def test_a_clip_is_recoloured_as_a_whole_and_nothing_moves(clips: Stock) -> None:
    plain, coloured = locating(clips), locating(clips)
    coloured.colours = 0.5
    before, after = plain.batch(3), coloured.batch(3)
    assert all(torch.equal(a, b) for a, b in zip(before.targets.masks, after.targets.masks, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(before.frames, after.frames, strict=True))
    repeated = after.frames[0][:1].expand(5, -1, -1, -1)[None]
    of_one = alike_recoloured(repeated, 1.0, (1, 2))[0]
    assert of_one.shape == repeated.shape[1:]
    assert all(torch.equal(picture, of_one[0]) for picture in of_one)
    square = torch.zeros(1, 1, 3, 32, 32, dtype=torch.uint8)
    square[..., 4:12, 4:12] = 255
    for seed in range(20):
        light = alike_recoloured(square, 0.3, (seed, 0))[0, 0].float().mean(0)
        inside, outside = light[5:11, 5:11].mean(), light[5:11, 21:27].mean()
        assert abs(inside - outside) > 60


def test_windows_are_full_or_have_just_begun() -> None:
    drawn = [tuple(draw_slots(np.random.default_rng(n), 5, 5)) for n in range(200)]
    begun = {(0, 0, 0, 0, 0), (0, 0, 0, 0, 1), (0, 0, 0, 1, 2), (0, 0, 1, 2, 3)}
    assert set(drawn) == begun | {(0, 1, 2, 3, 4)}
    assert 0.6 < drawn.count((0, 1, 2, 3, 4)) / 200 < 0.8


def test_shorter_windows_are_from_anywhere() -> None:
    assert {tuple(draw_slots(np.random.default_rng(n), 5, 1)) for n in range(50)} == {(n,) for n in range(5)}
    pairs = {tuple(draw_slots(np.random.default_rng(n), 5, 2)) for n in range(100)}
    assert pairs == {(0, 0), (0, 1), (1, 2), (2, 3), (3, 4)}


def test_pictures_are_square_or_a_part_that_is_not() -> None:
    drawn = [draw_part(np.random.default_rng(n), 160) for n in range(200)]
    sizes = {(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in drawn}
    assert sizes == {(160, 160), (96, 160), (128, 160), (160, 96), (160, 128)}
    assert all(0 <= one.start < one.stop <= 160 for pair in drawn for one in pair)


def test_locating_can_be_learnt_and_leaves_what_sees_and_hears_alone(clips: Stock) -> None:
    task = locating(clips)
    before = {name: x.clone() for name, x in task.parts()["localiser"].state_dict().items()}
    first, last = falls(task, 6, 2e-3)
    assert last < 0.9 * first
    after = task.parts()["localiser"].state_dict()
    assert set(after) == set(Localiser(SMALL).state_dict())
    for name, x in after.items():
        seen = name.startswith(("backbone.", "alignment."))
        assert torch.equal(x, before[name]) == seen or x.numel() <= 64, name
    assert not any(p.requires_grad for p in task.module.audio_encoder.parameters())


def test_pictures_show_what_sounds_and_are_made_in_the_precision_of_the_lesson(
    clips: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = locating(clips, torch.bfloat16)
    drawn = []
    monkeypatch.setattr(Board, "pictures", lambda board, step, pictures: drawn.append((step, pictures)))
    recipe = Recipe(steps=1, optimiser=OptimiserOptions(lr=1e-3), seed=1, precision="bfloat16")
    Trainer(task, recipe, Upkeep(pictures_every=1)).run()
    ((step, pictures),) = drawn
    batch = task.batch(0)
    height, width = batch.frames[0].shape[-2:]
    above, below = torch.stack(next(iter(pictures.values())).split(width, -1)).split(height, -2)
    assert batch.targets.sounding is not None
    sounding = batch.targets.masks[0] & batch.targets.sounding[0][:, :, None, None]
    untinted = (above == batch.frames[0]).all(1)
    assert step == 1
    assert below.shape == above.shape
    assert sounding.any()
    assert torch.equal(~untinted, sounding.any(0)[:, :height, :width])


def test_folding_changes_no_answer(clips: Stock) -> None:
    task = locating(clips)
    whole = task.parts()["localiser"].eval()
    batch = task.batch(0)
    audio = task.module.hear(batch.examples[:1])
    answers: list[Sounding] = []
    with torch.no_grad():
        for localiser in (task.module.localiser.eval(), whole):
            answers.append(localiser(batch.images([0]), audio))
    torch.testing.assert_close(*(a.mask_embeddings for a in answers), rtol=1e-3, atol=1e-3)


def test_parts_have_the_names_of_a_checkpoint(gallery: Stock, clips: Stock) -> None:
    for task in (seeing(gallery), hearing(clips), locating(clips)):
        for part, module in task.parts().items():
            for own in module.state_dict():
                assert checkpoint_name(part, own).startswith(PARTS[part])
