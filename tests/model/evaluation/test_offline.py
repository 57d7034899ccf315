"""Whole clips at once, against the same steps taken plainly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from model.audio_mask_dec import Sounding
from model.crops import crop_objects
from model.data.clips import Clip
from model.evaluation.offline import Offline
from model.evaluation.parts import Parts
from model.labels import TrackMask, look_quality
from model.localiser import normalise
from model.memory import Memory
from model.reference import label_clip
from model.selection import select
from tests.model.evaluation.small_parts import EASY, noisy, parts_of, same


def decoded(parts: Parts, clip: Clip) -> tuple[torch.Tensor, Sounding]:
    """The pictures (T, 3, h, w) and what the localiser says of a clip of T frames."""
    images = torch.from_numpy(parts.images(clip)).permute(0, 3, 1, 2)
    heard = torch.cat([parts.audio_encoder(one[None]) for one in clip.examples("second")])
    return images, parts.localiser(normalise(images)[None], heard[None])


def test_each_frame_holds_what_is_selected_there() -> None:
    parts, clip = parts_of(), noisy()
    answers = Offline(parts)(clip)
    images, sounding = decoded(parts, clip)
    assert images.shape[-2:] == (56, 78)
    for t, answer in enumerate(answers):
        candidates = select(
            sounding,
            (56, 78),
            selection="sounding",
            threshold=0.4,
            nms_iou=0.9,
            min_area=0,
            max_objects=20,
            snippet=t,
        )
        assert len(answer.claims) == len(candidates) > 0
        padded = F.interpolate(candidates.mask_logits[:, t][None], (64, 96), mode="bilinear")
        whole = F.interpolate(padded[..., :56, :78], (72, 100), mode="bilinear")[0].numpy()
        for claim, score, logits in zip(answer.claims, candidates.scores.tolist(), whole, strict=True):
            assert claim.score == score
            np.testing.assert_array_equal(claim.mask, logits > 0)
        np.testing.assert_allclose(answer.probability, 1 / (1 + np.exp(-whole.max(axis=0))), atol=1e-6)


def test_a_query_is_named_by_what_is_seen_of_it_in_all_frames() -> None:
    parts, clip = parts_of(), noisy()
    answers = Offline(parts)(clip)
    images, sounding = decoded(parts, clip)
    logits = sounding.mask_logits()[0]  # (N, 5, 16, 24)
    text = parts.classifier.encode_words(parts.words)
    named = {claim.score: claim.name for answer in answers for claim in answer.claims}
    assert len(set(named.values())) > 1, "a test in which all have one name shows little"
    for query, score in enumerate(sounding.scores[0].tolist()):
        claimed = [t for t in range(5) if score in [claim.score for claim in answers[t].claims]]
        if not claimed:
            continue
        soft = F.interpolate(logits[query][None], (64, 96), mode="bilinear")[0].sigmoid()[:, :56, :78]
        regions = crop_objects(images, soft[claimed], torch.tensor(claimed), size=8)
        p = (100 * parts.classifier.encode_regions(regions) @ text.T).softmax(-1)
        weights = [look_quality(TrackMask(0, soft[t].numpy(), score)) for t in claimed]
        mean = (torch.tensor(weights)[:, None] * p).sum(0)
        assert named.pop(score) == parts.words[int(mean.argmax())]
    assert not named


def test_longer_clips_are_windows_that_know_nothing_of_each_other() -> None:
    offline, clip = Offline(parts_of()), noisy(frames=7)
    answers = offline(clip)
    assert same(answers[:5], offline(clip.take(range(5))))
    assert same(answers[5:], offline(clip.take(range(2, 7)))[3:])


def test_a_shorter_clip_begins_with_its_first_frame_repeated() -> None:
    offline, clip = Offline(parts_of()), noisy(frames=2)
    repeated = offline(clip.take([0, 0, 0, 0, 1]))
    assert same(offline(clip), repeated[3:], names=False)


def test_bare_answers_are_the_same_without_names() -> None:
    offline, clip = Offline(parts_of()), noisy()
    bare = offline(clip, bare=True)
    assert same(bare, offline(clip), names=False)
    assert {claim.name for answer in bare for claim in answer.claims} == {None}


class Gated:
    """A decoder whose queries do not sound in some snippets."""

    def __init__(self, parts: Parts, silent: Sequence[int]) -> None:
        self.decode, self.silent = parts.localiser.decode, silent

    def __call__(self, window: Memory, with_earlier: bool = False) -> Sounding:
        sounding = self.decode(window, with_earlier)
        gates = torch.full((*sounding.scores.shape, 5), 20.0)
        gates[..., list(self.silent)] = -20.0
        return replace(sounding, gate_logits=gates)


def test_a_gate_that_is_shut_in_a_snippet_silences_that_frame_only(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, clip = parts_of(), noisy()
    plain = Offline(parts)(clip, bare=True)
    monkeypatch.setattr(parts.localiser, "decode", Gated(parts, silent=[1, 4]))
    gated = Offline(parts)(clip, bare=True)
    for t, (one, other) in enumerate(zip(plain, gated, strict=True)):
        assert one.claims
        assert len(other.claims) == (0 if t in (1, 4) else len(one.claims))


def test_by_class_score_the_published_decision_is_taken() -> None:
    parts, clip = parts_of("class-score", silence_dbfs=None), noisy()
    answers = Offline(parts)(clip)
    images = torch.from_numpy(parts.images(clip)).permute(0, 3, 1, 2)
    heard = torch.cat([parts.audio_encoder(one[None]) for one in clip.examples("second")])
    maps = label_clip(parts.localiser, parts.classifier, images, heard, parts.words, (72, 100)).numpy()
    assert len(np.unique(maps)) > 1
    ids = {word: number for number, word in enumerate(parts.words, start=1)}
    for answer, labels in zip(answers, maps, strict=True):
        np.testing.assert_array_equal(answer.label_map(ids), labels)
        np.testing.assert_array_equal(answer.claimed, labels > 0)


def test_the_grid_of_the_sound_is_as_configured() -> None:
    clip = noisy()
    second, whole = (Offline(parts_of(audio_grid=grid))(clip, bare=True) for grid in ("second", "clip"))
    assert not same(second, whole)
    one = replace(clip, sound=np.repeat(clip.sound[:16_000], 5))
    assert not same(Offline(parts_of(tracks=EASY))(one, bare=True), second), "it listens"
