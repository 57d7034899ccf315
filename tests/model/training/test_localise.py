"""The paper's training: what it shows, what it leaves alone, and that it teaches."""

from __future__ import annotations

import math
from itertools import islice

import pytest
import torch
from torch import Tensor

from model.data.augment import Augmentation
from model.training.clip_batch import ClipBatch
from model.training.examining import masks_told, overlaps, side_by_side
from model.training.localise import Localise
from model.training.losses import Criterion, Totals
from model.training.optimiser import OptimiserOptions
from model.training.schedule import Schedule
from model.training.trainer import Recipe, Trainer
from tests.model.small import SMALL
from tests.model.training.toys import ALL, CLIPS, FIRST, Drawn, clip_set, localise


def losses(task: Localise, clips: list[int]) -> dict[str, float]:
    """Of these of `CLIPS` in a batch, divided by its own totals; in double precision."""
    task.module.localiser.double()
    batch = ClipBatch.of([CLIPS[i].load() for i in clips], clips, "clip")
    with torch.no_grad():
        return {name: x.item() for name, x in task.module(batch, task.totals(batch)).items()}


# What is shown --------------------------------------------------------------------------------------------


def test_an_epoch_shows_every_clip_once_in_an_order_of_its_own() -> None:
    task = localise(batch_size=2)
    shown = [task._clip(sample).uid for sample in range(12)]
    epochs = [shown[0:4], shown[4:8], shown[8:12]]
    assert all(sorted(epoch) == ["clip1", "clip2", "clip3", "clip4"] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    for number in range(6):
        sizes = [tuple(x.shape[-2:]) for x in task.batch(number).frames]
        assert sizes == [task._clip(sample).size for sample in (2 * number, 2 * number + 1)]


def test_a_micro_batch_depends_on_its_number_and_the_seed_alone() -> None:
    one, other, elsewhere = localise(), localise(weights=1), localise(seed=3)
    other.batch(7)
    a, b, c = (task.batch(5) for task in (one, other, elsewhere))
    assert torch.equal(a.frames[0], b.frames[0])
    assert a.seeds == b.seeds
    assert a.seeds not in (c.seeds, one.batch(6).seeds)


def test_only_the_localiser_is_trained() -> None:
    task = localise()
    trained = {p for group in task.groups(OptimiserOptions()) for p in group["params"]}
    assert trained == set(task.module.localiser.parameters())
    before = [p.clone() for p in task.module.audio_encoder.parameters()]
    Trainer(task, Recipe(steps=2)).run()
    assert not task.module.audio_encoder.training
    assert task.module.localiser.training
    assert all(torch.equal(a, b) for a, b in zip(before, task.module.audio_encoder.parameters(), strict=True))
    assert set(task.parts()) == {"localiser", "audio_encoder"}


@pytest.mark.parametrize("objects", [0, 2])
def test_every_parameter_has_a_part_in_the_loss(objects: int) -> None:
    """So that processes need not look for those that have none."""
    task = localise(Drawn(1, (40, 64), objects, ALL))
    batch = task.batch(0)
    task.module(batch, task.totals(batch))["loss"].backward()
    without = [name for name, p in task.module.localiser.named_parameters() if p.grad is None]
    assert without == []


# What it costs --------------------------------------------------------------------------------------------


def test_a_batch_costs_what_its_clips_cost() -> None:
    """Of different sizes, with one and with three objects, one annotated in a single frame."""
    task = localise()
    together = losses(task, [1, 2])
    alone = [losses(task, [1]), losses(task, [2])]
    queries, no_object = SMALL.queries, task.options.loss.not_sounding
    objects = [1, 3]
    weights = [k + no_object * (queries - k) for k in objects]
    answers = SMALL.decoder_layers + 1
    assert len(together) == 1 + 3 * answers
    for name, value in together.items():
        shares = weights if name.startswith("sound") else objects
        if name != "loss":
            expected = sum(s * one[name] for s, one in zip(shares, alone, strict=True)) / sum(shares)
            assert value == pytest.approx(expected, rel=1e-6), name
    assert together["loss"] == pytest.approx(sum(x for name, x in together.items() if name != "loss"))


def test_company_changes_nothing() -> None:
    """Neither what else is in a batch, nor in which order, moves a loss."""
    task = localise()
    one, other = losses(task, [0, 1, 2, 3]), losses(task, [2, 3, 1, 0])
    assert one == pytest.approx(other, rel=1e-9)


def test_terms_are_those_of_the_criterion() -> None:
    task = localise()
    batch = ClipBatch.of([CLIPS[0].load()], [11], "clip")
    module = task.module
    totals = task.totals(batch)
    found = module(batch, totals)
    answer = module.localiser(batch.images([0]), module.hear(batch.examples), with_earlier=True)
    criterion = Criterion(task.options.loss, torch.Generator().manual_seed(11))
    expected = criterion(answer, batch.targets, Totals(*totals.tolist()))
    assert found["loss"].item() == pytest.approx(expected.total.item(), rel=1e-6)
    for name, value in expected.named().items():
        assert found[name].item() == pytest.approx(value, rel=1e-5)


# That it teaches ------------------------------------------------------------------------------------------


def test_it_learns_a_clip_by_heart() -> None:
    as_it_is = Augmentation(frames=3, short_sides=(64,), flip=0.0)
    task = localise(Drawn(5, (64, 64), 1, ALL), short_side=64, augmentation=as_it_is)
    task.held_out = task.clips.clips
    options = OptimiserOptions(lr=2e-3, backbone_factor=1.0)
    recipe = Recipe(
        steps=120, clip_norm=5.0, optimiser=options, schedule=Schedule(kind="cosine", warmup_steps=10)
    )
    trainer = Trainer(task, recipe)
    told = [trainer.take([task.batch(step)])["loss"].item() for step in range(recipe.steps)]
    assert sum(told[-10:]) < 0.35 * sum(told[:10])
    task.module.eval()
    with torch.no_grad():
        assert task.validate()["j"] > 0.8


# Looking at it --------------------------------------------------------------------------------------------


def test_without_held_out_clips_there_is_no_score() -> None:
    assert localise().validate() == {}


def test_validation_looks_at_every_frame_once(monkeypatch: pytest.MonkeyPatch) -> None:
    task = localise(validation_clips=1)
    task.held_out = clip_set(Drawn(1, (40, 64), 1, (True,) * 5))
    window = task.module.localiser.options.window
    assert 5 % window, "a test in which windows do not overlap shows little"
    shown: list[int] = []

    def counted(told: Tensor, truth: Tensor, supervised: Tensor) -> list[float]:
        assert len(told) == len(truth) == len(supervised)
        shown.append(len(told))
        return overlaps(told, truth, supervised)

    monkeypatch.setattr("model.training.localise.overlaps", counted)
    task.module.eval()
    with torch.no_grad():
        task.validate()
    assert shown == [window, 5 - window]


def test_validation_counts_so_many_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    task = localise(validation_clips=2)
    task.held_out = clip_set(*CLIPS)
    looked: list[Tensor] = []

    def all_of_it(_: object, size: tuple[int, int]) -> Tensor:
        looked.append(torch.ones(3, *size, dtype=torch.bool))
        return looked[-1]

    monkeypatch.setattr("model.training.localise.masks_told", all_of_it)
    task.module.eval()
    with torch.no_grad():
        found = task.validate()["j"]
    shares = []
    for drawn in islice(CLIPS, 2):
        union = drawn.load().masks.any(0)
        shares += [union[t].mean() for t in range(3) if drawn.supervised[t]]
    assert [tuple(x.shape) for x in looked] == [(3, 40, 64), (3, 40, 40)]
    assert found == pytest.approx(sum(shares) / len(shares), rel=0.05)  # the second clip is made smaller


def test_overlap_by_hand() -> None:
    truth = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]], dtype=torch.bool)
    told = torch.tensor([[0, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]], dtype=torch.bool)
    supervised = torch.tensor([True, True, True, True])
    assert overlaps(told, truth, supervised) == pytest.approx([1 / 3, 1, 0])
    assert overlaps(told, truth, torch.tensor([*FIRST, False])) == pytest.approx([1 / 3])


def test_what_is_told_is_what_scores_above_one_half() -> None:
    task = localise().module.eval()
    batch = ClipBatch.of([CLIPS[0].load()], [0], "clip")
    with torch.no_grad():
        answer = task.localiser(batch.images([0]), task.hear(batch.examples))
        told = masks_told(answer, (40, 64))
    assert told.shape == (3, 40, 64)
    logits = answer.mask_logits()[0, answer.scores[0] > 0.5]
    fine = torch.nn.functional.interpolate(logits, scale_factor=4, mode="bilinear")
    assert torch.equal(told, (fine > 0).any(0)[:, :40, :64])
    assert 0 < told.float().mean() < 1


def test_pictures_show_truth_above_prediction() -> None:
    task = localise()
    task.module.eval()
    batch = task.batch(0)
    with torch.no_grad():
        (picture,) = task.pictures(batch).values()
    h, w = batch.frames[0].shape[-2:]
    assert picture.shape == (3, 2 * h, 3 * w)
    assert picture.dtype == torch.uint8

    frames = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    truth = torch.tensor([[[True, False], [False, False]]])
    shown = side_by_side(frames, truth, ~truth).float().sum(0)
    assert (shown > 0).tolist() == [[True, False], [False, False], [False, True], [True, True]]
    assert math.isclose(float(shown.max()), (255 + 64 + 160) // 2, abs_tol=2)
