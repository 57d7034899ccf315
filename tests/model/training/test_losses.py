"""Every term of the loss, what it teaches, and that it teaches."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model.audio_mask_dec import Sounding
from model.errors import ModelError
from model.localiser import normalise
from model.training import losses
from model.training.losses import Criterion, LossOptions, Objects, Targets, Totals
from model.training.matching import MaskLoss, Weights
from model.training.points import Draw, PointOptions, random_points, sample, uncertain_points
from tests.model.small import sounds, untrained

POINTS = PointOptions(count=40)
T, N, C, H, W = 3, 5, 4, 8, 12  # masks are four times as high and wide


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def answer(clips: int = 2, earlier: int = 2, seed: int = 0) -> Sounding:
    """Random answers in double precision that gradients reach."""
    draw = seeded(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64).requires_grad_()

    features = noise(clips, T, C, H, W)
    answers = [
        Sounding(noise(clips, N, 2), noise(clips, N, C), noise(clips, N, C), features, [])
        for _ in range(earlier + 1)
    ]
    return replace(answers[-1], earlier=answers[:-1])


def boxes(count: int, seed: int = 0) -> Tensor:
    """(count, T, 4 H, 4 W) bool: a rectangle in every frame."""
    draw = seeded(100 + seed)
    masks = torch.zeros(count, T, 4 * H, 4 * W, dtype=torch.bool)
    for mask in masks.flatten(0, 1):
        y, x = (int(torch.randint(0, side, (), generator=draw)) for side in (2 * H, 2 * W))
        mask[y : y + 2 * H, x : x + 2 * W] = True
    return masks


def targets(*counts: int, frames: list[list[int]] | None = None, **more: Any) -> Targets:
    """Clips of so many objects; `frames` are those supervised, all of them unless given."""
    supervised = torch.ones(len(counts), T, dtype=torch.bool)
    for b, chosen in enumerate(frames or []):
        supervised[b] = torch.tensor([t in chosen for t in range(T)])
    masks = [boxes(count, seed) for seed, count in enumerate(counts)]
    return Targets(masks=masks, supervised=supervised, **more)


def criterion(seed: int = 0, **changes: Any) -> Criterion:
    return Criterion(LossOptions(points=POINTS, **changes), seeded(seed))


def one_clip(sounding: Sounding, b: int) -> Sounding:
    def of(x: Sounding) -> Sounding:
        one = slice(b, b + 1)
        return Sounding(x.sound_logits[one], x.mask_embeddings[one], x.queries[one], x.mask_features[one], [])

    return replace(of(sounding), earlier=[of(x) for x in sounding.earlier])


# Against an implementation without tensors' tricks -------------------------------------------------------


def plain_point(logit: Tensor, share: Tensor, mask_loss: MaskLoss) -> Tensor:
    p = 1 / (1 + (-logit).exp())
    if mask_loss == "bce":
        return -(share * p.log() + (1 - share) * (1 - p).log())
    return -(share * 0.25 * (1 - p) ** 2 * p.log() + (1 - share) * 0.75 * p**2 * (1 - p).log())


def plain_dice(logits: Tensor, share: Tensor) -> Tensor:
    p = 1 / (1 + (-logits).exp())
    return 1 - (2 * (p * share).sum() + 1) / (p.sum() + share.sum() + 1)


@torch.no_grad()
def plain_cost(sound: Tensor, maps: Tensor, mask: Tensor, points: Tensor, mask_loss: MaskLoss) -> float:
    """Of one query and one object that sounds."""
    logits, share = sample(maps, points), sample(mask, points)
    point = plain_point(logits, share, mask_loss).mean()
    return float(-2 * sound.softmax(-1)[0] + 5 * point + 5 * plain_dice(logits, share))


def plain_losses(sounding: Sounding, truth: Targets, mask_loss: MaskLoss) -> dict[str, Tensor]:
    """The sums of Eq. 7 query by query, every assignment tried, for objects that all sound."""
    draw = seeded()
    answers = [*sounding.earlier, sounding]
    names = [*(f"_{i}" for i in range(len(answers) - 1)), ""]
    sums = {
        kind + name: torch.zeros((), dtype=torch.float64)
        for kind in ("sound", "mask", "dice")
        for name in names
    }
    objects = sum(len(m) for m in truth.masks)
    weight = objects + 0.1 * (len(truth) * N - objects)
    for b in range(len(truth)):
        frames = [t for t in range(T) if truth.supervised[b, t]]
        masks = truth.masks[b][:, frames].double()
        logits = [a.mask_logits()[b][:, frames] for a in answers]
        matched: list[list[tuple[int, int]]] = []
        for a, maps in zip(answers, logits, strict=True):
            points = random_points(POINTS.count, generator=draw, device=torch.device("cpu"))
            table = [
                [plain_cost(a.sound_logits[b, n], maps[n], mask, points, mask_loss) for mask in masks]
                for n in range(N)
            ]
            best = min(
                permutations(range(N), len(masks)), key=lambda c: sum(table[n][k] for k, n in enumerate(c))
            )
            matched.append(sorted((n, k) for k, n in enumerate(best)))
        maps = torch.stack(
            [
                x[n, f]
                for x, pairs in zip(logits, matched, strict=True)
                for n, _ in pairs
                for f in range(len(frames))
            ]
        )
        points = iter(uncertain_points(maps, POINTS, Draw.of(len(maps), POINTS, draw, torch.device("cpu"))))
        for name, a, x, pairs in zip(names, answers, logits, matched, strict=True):
            for n in range(N):
                kind, w = (0, 1.0) if n in dict(pairs) else (1, 0.1)
                p = a.sound_logits[b, n].exp() / a.sound_logits[b, n].exp().sum()
                sums["sound" + name] = sums["sound" + name] - 2 * w * p[kind].log() / weight
            for n, k in pairs:
                for f in range(len(frames)):
                    own = next(points)[None]
                    logit, share = sample(x[n, f][None], own), sample(masks[k, f][None], own)
                    point = plain_point(logit, share, mask_loss).mean()
                    sums["mask" + name] = sums["mask" + name] + 5 * point / objects
                    sums["dice" + name] = sums["dice" + name] + 5 * plain_dice(logit, share) / objects
    return sums


@pytest.mark.parametrize("mask_loss", ["bce", "focal"])
@pytest.mark.parametrize("frames", [None, [[0], [0, 2]]])
def test_terms_and_gradients_are_those_of_a_plain_implementation(
    mask_loss: MaskLoss, frames: list[list[int]] | None
) -> None:
    sounding, truth = answer(), targets(2, 3, frames=frames)
    found = criterion(mask_loss=mask_loss)(sounding, truth)
    expected = plain_losses(sounding, truth, mask_loss)
    assert found.named() == pytest.approx({name: value.item() for name, value in expected.items()})
    leaves = [sounding.mask_features] + [
        x for a in [*sounding.earlier, sounding] for x in (a.sound_logits, a.mask_embeddings)
    ]
    ours = torch.autograd.grad(found.total, leaves)
    plain = torch.autograd.grad(torch.stack([*expected.values()]).sum(), leaves)
    torch.testing.assert_close(ours, plain)


def in_the_middle(*shape: int, **_: Any) -> Tensor:
    return torch.full((*shape, 2), 0.5)


@pytest.mark.parametrize(("normaliser", "frames"), [("per-object", T), ("per-frame", 1)])
def test_terms_by_hand(monkeypatch: pytest.MonkeyPatch, normaliser: str, frames: int) -> None:
    """Everything unsure, one object everywhere, read four times in its middle."""
    monkeypatch.setattr(losses, "random_points", in_the_middle)
    monkeypatch.setattr(losses, "uncertain_points", lambda logits, *_: in_the_middle(len(logits), 4))
    zeros = Sounding(
        torch.zeros(1, N, 2), torch.zeros(1, N, C), torch.zeros(1, N, C), torch.zeros(1, T, C, H, W), []
    )
    truth = Targets(masks=[boxes(1) | True], supervised=torch.ones(1, T, dtype=torch.bool))
    found = criterion(normaliser=normaliser)(zeros, truth)
    assert found.named() == pytest.approx(
        {
            "sound": 2 * math.log(2),  # a weighted mean of what every query costs
            "mask": 5 * frames * math.log(2),
            "dice": 5 * frames * (1 - (2 * 2 + 1) / (2 + 4 + 1)),
        }
    )


def test_focal_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "random_points", in_the_middle)
    monkeypatch.setattr(losses, "uncertain_points", lambda logits, *_: in_the_middle(len(logits), 4))
    features = torch.zeros(1, T, C, H, W)
    features[:, :, 0] = math.log(3)  # a probability of 3/4
    embeddings = torch.zeros(1, N, C)
    embeddings[..., 0] = 1.0
    sure = Sounding(torch.zeros(1, N, 2), embeddings, torch.zeros(1, N, C), features, [])
    truth = Targets(masks=[boxes(1) | True], supervised=torch.ones(1, T, dtype=torch.bool))
    found = criterion(mask_loss="focal")(sure, truth)
    assert found.mask.item() == pytest.approx(5 * T * 0.25 * 0.25**2 * math.log(4 / 3))


def test_a_query_without_an_object_weighs_a_tenth() -> None:
    sounding, truth = answer(clips=1, earlier=0), targets(2)
    losing = criterion(weights=Weights(1, 0, 0))(sounding, truth).total
    (gradient,) = torch.autograd.grad(losing, sounding.sound_logits)
    p = sounding.sound_logits.softmax(-1)[0]
    weight = 2 + 0.1 * (N - 2)
    found = []
    for n in range(N):
        sounds_up, falls = (p[n, 0] - 1) / weight, 0.1 * p[n, 0] / weight
        found.append(bool(torch.isclose(gradient[0, n, 0], sounds_up)))
        assert torch.isclose(gradient[0, n, 0], sounds_up if found[-1] else falls)
    assert sum(found) == 2


# What the sums are made of -------------------------------------------------------------------------------


def test_nine_layers_make_thirty_terms_that_add_up() -> None:
    found = criterion()(answer(earlier=9), targets(2, 1))
    named = found.named()
    assert len(named) == 30
    assert sum(named.values()) == pytest.approx(found.total.item())
    assert named["dice_0"] == found.dice[0].item()
    assert named["dice"] == found.dice[-1].item()


def test_weights_scale_their_terms() -> None:
    sounding, truth = answer(), targets(2, 1)
    first = criterion()(sounding, truth)
    halved = criterion(earlier=0.5)(sounding, truth)
    for name in ("sound", "mask", "dice"):
        expected = getattr(first, name) * torch.tensor([0.5, 0.5, 1.0])
        torch.testing.assert_close(getattr(halved, name), expected)
    # The same proportions match alike.
    doubled = criterion(weights=Weights(4, 10, 10))(sounding, truth)
    torch.testing.assert_close(doubled.total, 2 * first.total)


def test_masks_teach_matched_queries_only_and_sound_teaches_all() -> None:
    sounding, truth = answer(clips=2, earlier=1), targets(2, 1)
    found = criterion()(sounding, truth)
    embeddings = [a.mask_embeddings for a in (*sounding.earlier, sounding)]
    for gradient in torch.autograd.grad((found.mask + found.dice).sum(), embeddings, retain_graph=True):
        taught = gradient.abs().sum(-1) > 0
        assert taught.sum(1).tolist() == [2, 1]
    for gradient in torch.autograd.grad(
        found.sound.sum(), [a.sound_logits for a in (*sounding.earlier, sounding)]
    ):
        assert (gradient.abs().sum(-1) > 0).all()


def test_only_supervised_frames_teach() -> None:
    sounding, truth = answer(clips=2), targets(2, 3, frames=[[0], [0, 1, 2]])
    (gradient,) = torch.autograd.grad(criterion()(sounding, truth).total, sounding.mask_features)
    taught = gradient.abs().flatten(2).sum(-1) > 0
    assert taught.tolist() == [[True, False, False], [True, True, True]]
    # What else the masks hold is not looked at.
    changed = [truth.masks[0].clone(), truth.masks[1]]
    changed[0][:, 1:] = ~changed[0][:, 1:]
    again = criterion()(sounding, replace(truth, masks=changed))
    assert again.named() == criterion()(sounding, truth).named()


@pytest.mark.parametrize("normaliser", ["per-object", "per-frame"])
def test_a_batch_is_its_clips(normaliser: str) -> None:
    """Clips one after the other, divided by what both hold together, cost and teach what a batch does."""
    sounding, truth = answer(), targets(2, 3, frames=[[0], [0, 1, 2]])
    together = criterion(normaliser=normaliser)(sounding, truth)
    one_by_one = criterion(normaliser=normaliser)
    singles = [
        Targets(masks=truth.masks[b : b + 1], supervised=truth.supervised[b : b + 1]) for b in range(2)
    ]
    parts = [one_by_one.totals(x, N) for x in singles]
    totals = Totals(*(sum(x) for x in zip(*parts, strict=True)))
    assert totals == pytest.approx(one_by_one.totals(truth, N))
    apart = [one_by_one(one_clip(sounding, b), singles[b], totals) for b in range(2)]
    for name in ("sound", "mask", "dice"):
        expected = sum(getattr(x, name) for x in apart)
        torch.testing.assert_close(getattr(together, name), expected)
    leaves = [sounding.mask_features, sounding.mask_embeddings, sounding.sound_logits]
    ours = torch.autograd.grad(together.total, leaves)
    torch.testing.assert_close(ours, torch.autograd.grad(apart[0].total + apart[1].total, leaves))


def test_processes_train_as_one_would() -> None:
    """Each process divides by averages; the mean of their losses is then the loss of all clips together."""
    sounding, truth = answer(), targets(1, 3)
    singles = [
        Targets(masks=truth.masks[b : b + 1], supervised=truth.supervised[b : b + 1]) for b in range(2)
    ]
    apart = criterion()
    sent = [torch.tensor(apart.totals(x, N), dtype=torch.float64) for x in singles]

    def average(own: Tensor) -> Tensor:
        assert any(torch.allclose(own, x) for x in sent)
        return (sent[0] + sent[1]) / 2

    apart.over_processes = average
    found = [apart(one_clip(sounding, b), singles[b]).total for b in range(2)]
    together = criterion()(sounding, truth).total
    torch.testing.assert_close((found[0] + found[1]) / 2, together)


def test_per_object_a_clip_weighs_by_its_frames_and_per_frame_it_does_not() -> None:
    sounding, truth = answer(clips=1), targets(2)
    per_object = criterion(normaliser="per-object")(sounding, truth)
    per_frame = criterion(normaliser="per-frame")(sounding, truth)
    torch.testing.assert_close(per_object.mask, T * per_frame.mask)
    torch.testing.assert_close(per_object.dice, T * per_frame.dice)
    torch.testing.assert_close(per_object.sound, per_frame.sound)


# Targets -------------------------------------------------------------------------------------------------


def test_the_order_of_objects_does_not_matter() -> None:
    sounding, truth = answer(), targets(3, 2)
    turned = replace(truth, masks=[truth.masks[0][[2, 0, 1]], truth.masks[1][[1, 0]]])
    assert criterion()(sounding, turned).named() == pytest.approx(criterion()(sounding, truth).named())


def test_bytes_are_masks_too() -> None:
    truth = targets(2, 1)
    as_bytes = replace(truth, masks=[x.byte() * 255 for x in truth.masks])
    assert criterion()(answer(), as_bytes).named() == criterion()(answer(), truth).named()


def test_without_objects_every_query_learns_to_be_silent() -> None:
    sounding = answer(clips=2)
    found = criterion()(sounding, targets(0, 0))
    assert found.mask.tolist() == found.dice.tolist() == [0.0, 0.0, 0.0]
    silent = -sounding.sound_logits.log_softmax(-1)[..., 1].mean()
    torch.testing.assert_close(found.sound[-1], 2 * silent)
    # DDP wants a gradient for every parameter.
    gradients = torch.autograd.grad(found.total, [sounding.mask_features, sounding.mask_embeddings])
    assert not any(x.any() for x in gradients)


def test_an_empty_clip_beside_another_adds_its_sound_only() -> None:
    sounding, truth = answer(), targets(2, 0)
    found = criterion()(sounding, truth)
    alone = criterion()(
        one_clip(sounding, 0), Targets(masks=truth.masks[:1], supervised=truth.supervised[:1])
    )
    torch.testing.assert_close(found.mask, alone.mask)
    torch.testing.assert_close(found.dice, alone.dice)
    assert not torch.isclose(found.sound, alone.sound).any()


def test_more_objects_than_queries() -> None:
    sounding, truth = answer(), targets(N + 2, 1)
    truth_totals = criterion().totals(truth, N)
    assert truth_totals == pytest.approx((N + 3, T * (N + 3), N + 1 + 0.1 * (N - 1)))
    found = criterion()(sounding, truth)
    (gradient,) = torch.autograd.grad(found.mask.sum(), sounding.mask_embeddings)
    assert (gradient.abs().sum(-1) > 0).sum(1).tolist() == [N, 1]


def test_an_object_that_no_supervised_frame_shows_is_no_target() -> None:
    truth = targets(3, 1, frames=[[0], [0, 1, 2]])
    truth.masks[0][1, 0] = False  # elsewhere it is there
    left = replace(truth, masks=[truth.masks[0][[0, 2]], truth.masks[1]])
    assert criterion()(answer(), truth).named() == criterion()(answer(), left).named()


def sounding_in(*frames: list[int]) -> Tensor:
    """(K, T) bool from each object's sounding frames."""
    return torch.tensor([[t in own for t in range(T)] for own in frames])


def test_by_default_whole_masks_count_where_their_object_sounds() -> None:
    whole = targets(3, 1, sounding=[sounding_in([0, 1, 2], [1], []), sounding_in([2])])
    assert whole.sounding is not None
    cut = [m & s[..., None, None] for m, s in zip(whole.masks, whole.sounding, strict=True)]
    expected = Targets(masks=[cut[0][:2], cut[1]], supervised=whole.supervised)
    assert criterion()(answer(), whole).named() == criterion()(answer(), expected).named()


def test_all_objects_are_matched_with_whole_masks_and_silent_ones_learn_silence() -> None:
    heard = [sounding_in([0, 1, 2], [1], []), sounding_in([2])]
    truth = targets(3, 1, sounding=heard)
    clip = truth.of_clip(0, "all")
    assert torch.equal(clip.masks, truth.masks[0])
    assert torch.equal(clip.sounds, heard[0])
    assert clip.classes.tolist() == [0, 0, 1]
    sounding = answer(earlier=0)
    everything: Objects = "all"
    judge = criterion(objects=everything)
    assert judge.totals(truth, N) == pytest.approx((4, 4 * T, 4 + 0.1 * (2 * N - 4)))
    found = judge(sounding, truth)
    (gradient,) = torch.autograd.grad(found.mask.sum(), sounding.mask_embeddings, retain_graph=True)
    assert (gradient.abs().sum(-1) > 0).sum(1).tolist() == [3, 1]
    # Of each clip's queries: how many are to sound, are to be silent, and are to be silent for nobody.
    (gradient,) = torch.autograd.grad(found.sound.sum(), sounding.sound_logits)
    p = sounding.sound_logits.softmax(-1)
    share = gradient[..., 0] * (4 + 0.1 * (2 * N - 4)) / 2
    counted = [
        [int(torch.isclose(share[b], want[b]).sum()) for want in (p[..., 0] - 1, p[..., 0], 0.1 * p[..., 0])]
        for b in range(2)
    ]
    assert counted == [[2, 1, N - 3], [1, 0, N - 1]]


def gated(sounding: Sounding, seed: int = 7) -> Sounding:
    """The same answers with gates, every layer its own."""
    draw = seeded(seed)

    def gate(x: Sounding) -> Sounding:
        shape = *x.sound_logits.shape[:2], T
        logits = torch.randn(*shape, generator=draw, dtype=torch.float64).requires_grad_()
        return replace(x, gate_logits=logits)

    return replace(gate(sounding), earlier=[gate(x) for x in sounding.earlier])


def test_the_gate_is_judged_where_a_matched_object_is_seen() -> None:
    """By hand: binary cross-entropy of each matched query in each supervised frame that shows its object."""
    sounding, masks = gated(answer(clips=1)), boxes(2)
    masks[1, 0] = False  # the second object is hidden in the first frame
    sounds = torch.tensor([[True, False, True], [True, True, False]])
    truth = Targets(masks=[masks], supervised=torch.ones(1, T, dtype=torch.bool), sounding=[sounds])
    judge = criterion(objects="all", gate=3.0)
    found = judge(sounding, truth)
    assert found.gate is not None
    answers = [*sounding.earlier, sounding]
    again = criterion(objects="all")
    clip = truth.of_clip(0, "all")
    stacked = [
        torch.stack([getattr(a, name)[0] for a in answers]) for name in ("sound_logits", "mask_embeddings")
    ]
    matches = again.match(stacked[0], stacked[1], sounding.mask_features[0], clip)
    for layer, (one, match) in enumerate(zip(answers, matches, strict=True)):
        total = 0.0
        assert one.gate_logits is not None
        for query, thing in zip(match.queries.tolist(), match.objects.tolist(), strict=True):
            for frame in range(T):
                if masks[thing, frame].any():
                    p = float(one.gate_logits[0, query, frame].detach().sigmoid())
                    total -= math.log(p if sounds[thing, frame] else 1 - p)
        assert float(found.gate[layer].detach()) == pytest.approx(3 * total / (2 * T))
    found.total.backward()
    for one in answers:
        assert one.gate_logits is not None
        assert one.gate_logits.grad is not None


def test_a_gate_adds_its_terms_and_changes_no_other() -> None:
    plain, truth = answer(), targets(2, 1)
    without, with_gate = criterion()(plain, truth), criterion()(gated(plain), truth)
    assert without.gate is None
    assert "gate" not in without.named()
    named = with_gate.named()
    assert {name: named[name] for name in without.named()} == without.named()
    assert set(named) - set(without.named()) == {"gate", "gate_0", "gate_1"}
    gates = sum(value for name, value in named.items() if name.startswith("gate"))
    assert float(with_gate.total.detach()) == pytest.approx(float(without.total.detach()) + gates)
    both = with_gate + with_gate
    assert float(both.total.detach()) == pytest.approx(2 * float(with_gate.total.detach()))


def claiming(sounding: Sounding, logits: Tensor) -> Sounding:
    """The same answers, all with these object logits (B, N)."""
    return replace(
        sounding,
        object_logits=logits,
        earlier=[replace(x, object_logits=logits) for x in sounding.earlier],
    )


def test_one_query_answers_for_each_object_and_all_others_learn_that_they_do_not() -> None:
    """By hand: binary cross-entropy of all queries, in each answer by its own match, for each object."""
    truth = targets(2)
    claims = torch.linspace(-2, 2, N, dtype=torch.float64)[None].requires_grad_()
    sounding = claiming(answer(clips=1), claims)
    found = criterion(object=1.5)(sounding, truth)
    answers = [*sounding.earlier, sounding]
    sound, embeddings, claimed = (
        torch.stack([getattr(a, name)[0] for a in answers])
        for name in ("sound_logits", "mask_embeddings", "object_logits")
    )
    clip = truth.of_clip(0, "sounding")
    matches = criterion().match(sound, embeddings, sounding.mask_features[0], clip, claimed)
    p = claims.detach()[0].sigmoid()
    expected = []
    for match in matches:
        answering = torch.zeros(N, dtype=torch.bool)
        answering[match.queries] = True
        expected.append(-1.5 * float(torch.where(answering, p, 1 - p).log().sum()) / 2)
    assert found.object is not None
    assert found.object.tolist() == pytest.approx(expected)
    assert {"object", "object_0", "object_1"} <= set(found.named())


def test_of_two_queries_that_show_the_same_the_one_that_claims_it_answers() -> None:
    sounding, truth = answer(clips=1, earlier=0), targets(1)
    clip = truth.of_clip(0, "sounding")
    alike = sounding.mask_embeddings[0, :1].expand(N, -1)[None]
    logits = sounding.sound_logits[0, :1].expand(N, -1)[None]
    for one in range(N):
        claims = torch.full((1, N), -1.0)
        claims[0, one] = 1.0
        (match,) = criterion().match(logits, alike, sounding.mask_features[0], clip, claims)
        assert match.queries.tolist() == [one]


def test_all_objects_need_to_be_told_apart() -> None:
    with pytest.raises(ModelError, match="needs to be told which objects sound"):
        criterion(objects="all")(answer(), targets(1, 1))


def test_targets_go_to_a_device() -> None:
    truth = targets(2, 1, sounding=[sounding_in([0], [1]), sounding_in([2])]).to("meta")
    assert truth.sounding is not None
    assert all(x.is_meta for x in (*truth.masks, *truth.sounding))
    assert targets(1).to("cpu").sounding is None


EVERY = torch.ones(1, T, dtype=torch.bool)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"supervised": EVERY.float()}, r"supervised: found \(1, 3\) torch.float32, expected \(B, T\)"),
        ({"supervised": EVERY.expand(2, T)}, "masks: found 1 clips, expected 2"),
        ({"supervised": EVERY[:, :2]}, r"masks of clip 0: found \(1, 3, 32, 48\), expected \(K, 2, H, W\)"),
        ({"supervised": ~EVERY}, "clip 0 has no supervised frame"),
        ({"masks": [boxes(1).float()]}, "masks of clip 0: found torch.float32"),
        ({"sounding": []}, "sounding: found 0 clips, expected 1"),
        ({"sounding": [EVERY[:, :1]]}, r"sounding of clip 0: found \(1, 1\), expected \(1, 3\)"),
    ],
)
def test_targets_that_contradict_themselves_are_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        Targets(**({"masks": [boxes(1)], "supervised": EVERY} | wrong))


def test_targets_that_do_not_fit_the_answer_are_refused() -> None:
    with pytest.raises(ModelError, match=r"targets of \(clips, frames\) \(1, 3\), expected \(2, 3\)"):
        criterion()(answer(), targets(1))
    narrow = Targets(masks=[boxes(1)[..., :-1]], supervised=EVERY)
    with pytest.raises(ModelError, match=r"masks of clip 0: found 32 x 47, .* 32 x 48: pad masks"):
        criterion()(answer(clips=1), narrow)


@pytest.mark.parametrize("counts", [(2, 1), (0, 0)])
def test_an_answer_that_is_not_finite_is_told(counts: tuple[int, ...]) -> None:
    sounding = answer()
    with torch.no_grad():
        sounding.earlier[0].sound_logits[1, 2, 0] = math.nan
    with pytest.raises(ModelError, match="NaN or infinite sound logits"):
        criterion()(sounding, targets(*counts))


def test_masks_that_are_not_finite_are_told() -> None:
    sounding = answer()
    with torch.no_grad():
        sounding.mask_embeddings[1, 2, 0] = math.nan
    with pytest.raises(ModelError, match="in 1 of 5 queries"):
        criterion()(sounding, targets(2, 1))


def test_half_precision_answers_are_judged_in_float32() -> None:
    sounding, truth = answer(clips=1, earlier=0), targets(2)
    half = Sounding(
        sounding.sound_logits.detach().bfloat16(),
        sounding.mask_embeddings.detach().bfloat16(),
        sounding.queries.detach().bfloat16(),
        sounding.mask_features.detach().bfloat16(),
        [],
    )
    found = criterion()(half, truth)
    assert found.total.dtype == torch.float32
    assert found.named() == pytest.approx(criterion()(sounding, truth).named(), rel=0.05)


# Learning ------------------------------------------------------------------------------------------------

SIZE = 64, 96


def moving_things() -> tuple[Tensor, Tensor]:
    """Pictures (3, 3, 64, 96) uint8 of a red disc, a green box and a blue disc; masks (2, 3, 64, 96) of the
    first two, which sound."""
    rows, columns = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    pictures = torch.full((T, 3, *SIZE), 90, dtype=torch.uint8)
    masks = torch.zeros(2, T, *SIZE, dtype=torch.bool)
    for t in range(T):
        masks[0, t] = (columns - 20 - 6 * t) ** 2 + (rows - 32) ** 2 < 13**2
        masks[1, t] = ((columns - 70).abs() < 14) & ((rows - 18 - 8 * t).abs() < 11)
        silent = (columns - 46) ** 2 + (rows - 8 - 2 * t) ** 2 < 7**2
        colours = [(silent, (30, 30, 220)), (masks[0, t], (220, 40, 40)), (masks[1, t], (40, 200, 60))]
        for where, colour in colours:
            pictures[t][:, where] = torch.tensor(colour, dtype=torch.uint8)[:, None]
    return pictures, masks


def test_a_small_localiser_learns_one_clip_by_heart() -> None:
    torch.manual_seed(0)
    localiser = untrained(window=T).train()
    pictures, masks = moving_things()
    images, audio = normalise(pictures)[None], sounds(1, T)
    truth = Targets(masks=[masks], supervised=torch.ones(1, T, dtype=torch.bool))
    judge = Criterion(LossOptions(points=PointOptions(count=512)), seeded())
    optimiser = torch.optim.AdamW(localiser.parameters(), lr=2e-3, weight_decay=0)
    history = []
    for _ in range(50):
        optimiser.zero_grad()
        loss = judge(localiser(images, audio, with_earlier=True), truth).total
        loss.backward()
        torch.nn.utils.clip_grad_norm_(localiser.parameters(), 1.0)
        optimiser.step()
        history.append(float(loss.detach()))
    assert history[-1] < history[0] / 5
    with torch.inference_mode():
        sounding = localiser.eval()(images, audio)
    said = sounding.scores[0] > 0.5
    logits = sounding.mask_logits()[0, said]
    found = F.interpolate(logits, SIZE, mode="bilinear", align_corners=False) > 0
    assert len(found) == 2  # nobody answers for the blue disc, and nobody answers twice
    for mask in masks:
        overlaps = [float((x & mask).sum() / (x | mask).sum()) for x in found]
        assert max(overlaps) > 0.9
