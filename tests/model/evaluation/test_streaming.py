"""Clips a second at a time: what the nodes would have written, no more and no less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from model.data.clips import Clip
from model.evaluation.offline import Offline
from model.evaluation.parts import Parts
from model.evaluation.streaming import Streaming
from model.options import AudioGrid, Selection
from model.rle import decode_mask
from model.vggish import VGGish
from model.vocabulary import Vocabulary
from nodes.classification import ClassificationStage
from nodes.feature import FeatureStage
from nodes.model import ModelStage
from streaming.messages import Message, Result
from tests.model.evaluation.small_parts import EASY, noisy, parts_of, same
from tests.nodes.samples import snippet


def through_the_nodes(parts: Parts, clip: Clip) -> list[Result]:
    """What the stages of a stream make of a clip's seconds, one after the other."""
    stages: Sequence[Any] = (
        FeatureStage(
            cast(VGGish, parts.audio_encoder),
            short_side=parts.short_side,
            max_side=parts.max_side,
            window=parts.window,
            grid=parts.audio_grid,
            hop_s=1.0,
        ),
        ModelStage(parts.live),
        ClassificationStage(
            parts.classifier,
            Vocabulary(tuple(parts.words)),
            labels=parts.labels,
            options=parts.regions,
            selection=parts.live.selection,
        ),
    )
    results = []
    for seq, (frame, wave) in enumerate(zip(clip.frames, clip.waves(), strict=True)):
        message: Message = snippet(seq, frame=frame, audio=wave)
        for stage in stages:
            (message,) = stage.process(message)
        assert isinstance(message, Result)
        results.append(message)
    return results


@pytest.mark.parametrize("grid", ["second", "clip"])
@pytest.mark.parametrize("selection", ["sounding", "class-score"])
def test_answers_are_those_of_the_nodes(selection: Selection, grid: AudioGrid) -> None:
    clip = noisy(frames=7)
    answers = Streaming(parts_of(selection, audio_grid=grid))(clip)
    results = through_the_nodes(parts_of(selection, audio_grid=grid), clip)
    for answer, result in zip(answers, results, strict=True):
        assert len(answer.claims) == len(result.tracks) > 0
        for claim, track in zip(answer.claims, result.tracks, strict=True):
            np.testing.assert_array_equal(claim.mask, decode_mask(track["mask"]))
            assert claim.name == track["label"]
            said = track["sounding"] if selection == "sounding" else track["labels"][0]["p"]
            assert claim.score == pytest.approx(said, abs=6e-5)


def test_silence_is_as_quiet_as_through_the_nodes() -> None:
    """The third second is silent, and the fourth just above the gate."""
    clip = noisy(frames=5)
    sound = clip.sound.copy()
    sound[32_000:48_000] = 0
    sound[48_000:64_000] = 10 ** (-69.99 / 20)
    quiet = replace(clip, sound=sound)
    counts = [len(answer.claims) for answer in Streaming(parts_of())(quiet)]
    assert counts == [len(result.tracks) for result in through_the_nodes(parts_of(), quiet)]
    assert [count > 0 for count in counts] == [True, True, False, True, True]
    assert all(answer.claims for answer in Streaming(parts_of())(quiet, bare=True)), "bare, there is no gate"


def test_an_answer_does_not_wait_for_what_comes() -> None:
    streaming, clip = Streaming(parts_of()), noisy(frames=7)
    assert same(streaming(clip)[:3], streaming(clip.take(range(3))))


def test_nothing_is_remembered_of_the_clip_before() -> None:
    streaming, one, other = Streaming(parts_of()), noisy(seed=0), replace(noisy(seed=1), uid="b")
    first = streaming(one)
    streaming(other)
    assert same(streaming(one), first)
    assert not streaming.namer.cache
    assert same(streaming(replace(one, uid="b")), first)


def test_bare_answers_are_the_same_without_names() -> None:
    streaming, clip = Streaming(parts_of()), noisy()
    bare = streaming(clip, bare=True)
    assert same(bare, streaming(clip), names=False)
    assert {claim.name for answer in bare for claim in answer.claims} == {None}


def test_without_memory_streamed_and_offline_answers_are_the_same() -> None:
    """A window of one snippet; masks are rounded to float16 between nodes."""
    clip = noisy()
    offline, streamed = (
        make(parts_of(window=1, tracks=EASY))(clip, bare=True) for make in (Offline, Streaming)
    )
    for one, other in zip(offline, streamed, strict=True):
        assert len(one.claims) == len(other.claims) > 0
        by_score = (sorted(answer.claims, key=lambda claim: claim.score) for answer in (one, other))
        for a, b in zip(*by_score, strict=True):
            assert a.score == pytest.approx(b.score, abs=1e-4)
            assert (a.mask != b.mask).mean() < 1e-3
        assert (one.claimed != other.claimed).mean() < 1e-3


def test_the_last_answer_rests_on_the_same_window_as_the_offline_one() -> None:
    clip = noisy()
    offline, streamed = (make(parts_of())(clip, bare=True)[-1] for make in (Offline, Streaming))
    assert len(offline.claims) == len(streamed.claims) > 0
    assert (offline.claimed != streamed.claimed).mean() < 1e-3
