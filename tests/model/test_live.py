"""The stream as the model node drives it: sources, generations, silence, and what a step reports."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from model.edges import Guide, along_edges
from model.live import LiveLocaliser, Observed, Step
from model.localiser import Localiser, normalise
from model.options import Selection
from model.selection import select
from model.tracks import TrackOptions
from model.window import SECOND_NS
from tests.model.small import HEIGHT, WIDTH, pictures, small_localiser, sounds

EASY = TrackOptions(sounding_on=0.1, sounding_off=0.1, min_area=0.0, nms_iou=0.9)  # stand-in weights are shy
IMAGES, SOUNDS = pictures(12), sounds(12)


@pytest.fixture(scope="module")
def localiser() -> Localiser:
    return small_localiser()


def step(
    live: LiveLocaliser,
    seq: int,
    *,
    source: str = "camera",
    generation: int = 0,
    show: int | None = None,
    audio_dbfs: float = -20.0,
) -> Step:
    """Snippet `seq` of a source, which shows and sounds like number `show` of the examples."""
    k = seq if show is None else show
    frame = IMAGES[k].permute(1, 2, 0).numpy()
    sound = SOUNDS[k].numpy()
    return live.step(Observed(source, generation, seq, seq * SECOND_NS, frame, sound, audio_dbfs))


def same(a: Step, b: Step, ids: bool = True) -> bool:
    """Whether two steps report the same, to the last bit; the milliseconds aside."""
    who = [(s.track_id if ids else 0, s.score, s.new) for s in a.sightings]
    return (
        who == [(s.track_id if ids else 0, s.score, s.new) for s in b.sightings]
        and torch.equal(a.mask_logits, b.mask_logits)
        and a.window_fill == b.window_fill
    )


@pytest.mark.parametrize("selection", ["sounding", "class-score"])
def test_a_step_reports_what_a_whole_clip_pass_selects(localiser: Localiser, selection: Selection) -> None:
    live = LiveLocaliser(localiser, EASY, selection)
    for seq in range(7):
        found = step(live, seq)
    with torch.inference_mode():
        whole = localiser(normalise(IMAGES[2:7])[None], SOUNDS[2:7][None])
    expected = select(
        whole,
        IMAGES.shape[-2:],
        selection=selection,
        threshold=0.1,
        nms_iou=0.9,
        min_area=0.0,
        max_objects=EASY.max_objects,
    )
    assert len(found.sightings) == len(expected) > 1
    for sighting, logits in zip(found.sightings, found.mask_logits, strict=True):
        assert sighting.score == pytest.approx(float(expected.scores[sighting.candidate]), abs=1e-6)
        theirs = expected.mask_logits[sighting.candidate, -1]
        assert (logits - theirs).norm() / theirs.norm() <= 1e-5
    assert found.mask_logits.dtype == torch.float32
    assert found.mask_logits.shape == (len(expected), 16, 24)
    assert found.window_fill == 5


def test_the_fill_is_reported(localiser: Localiser) -> None:
    live = LiveLocaliser(localiser, EASY)
    assert [step(live, seq).window_fill for seq in (0, 1, 2, 4, 5, 6)] == [1, 2, 3, 4, 4, 4]


def test_every_stage_is_timed(localiser: Localiser) -> None:
    found = step(LiveLocaliser(localiser, EASY), 0)
    assert found.stage_ms.keys() == {"observe", "decode", "track"}
    assert all(ms > 0 for ms in found.stage_ms.values())


def test_the_same_stream_gives_the_same_steps(localiser: Localiser) -> None:
    one, other = LiveLocaliser(localiser, EASY), LiveLocaliser(localiser, EASY)
    for seq in range(7):
        assert same(step(one, seq), step(other, seq))


def test_a_new_generation_starts_afresh_and_ids_go_on_counting(localiser: Localiser) -> None:
    live, fresh = LiveLocaliser(localiser, EASY), LiveLocaliser(localiser, EASY)
    used = {s.track_id for seq in range(6) for s in step(live, seq).sightings}
    for seq in range(6, 9):
        after, expected = step(live, seq, generation=1), step(fresh, seq)
        assert same(after, expected, ids=False)
        assert after.sightings
        first = min(s.track_id for s in after.sightings)
        assert first == max(used) + 1
        assert [s.track_id - first for s in after.sightings] == [s.track_id - 1 for s in expected.sightings]


def test_sources_do_not_mix(localiser: Localiser) -> None:
    both, left, right = (LiveLocaliser(localiser, EASY) for _ in range(3))
    for seq in range(6):
        assert same(step(both, seq, source="left"), step(left, seq))
        assert same(step(both, seq, source="right", show=11 - seq), step(right, seq, show=11 - seq))


def test_a_forgotten_source_begins_like_a_new_one(localiser: Localiser) -> None:
    live = LiveLocaliser(localiser, EASY)
    first = step(live, 0)
    step(live, 1)
    live.forget("camera")
    live.forget("never seen")
    assert same(step(live, 0), first)


def test_in_silence_nothing_sounds_but_nobody_is_forgotten(localiser: Localiser) -> None:
    live, deaf = LiveLocaliser(localiser, EASY), LiveLocaliser(localiser, EASY, silence_dbfs=None)
    before = step(live, 0, show=0)
    assert same(step(deaf, 0, show=0, audio_dbfs=-120.0), before)
    quiet = step(live, 1, show=0, audio_dbfs=-70.5)
    assert quiet.sightings == []
    assert quiet.mask_logits.shape == (0, 16, 24)
    assert quiet.window_fill == 2
    after = step(live, 2, show=0, audio_dbfs=-70.0)
    assert {s.track_id for s in after.sightings} & {s.track_id for s in before.sightings}


def test_what_is_known_stays_with_less(localiser: Localiser) -> None:
    scores = sorted(s.score for s in step(LiveLocaliser(localiser, EASY), 0).sightings)
    middle = (scores[0] + scores[-1]) / 2
    strict = LiveLocaliser(localiser, replace(EASY, sounding_on=middle))
    assert 0 < len(step(strict, 0).sightings) < len(scores)
    assert all(s.score >= middle for s in step(strict, 1).sightings if s.new)


def test_by_class_score_even_the_unlikely_become_tracks(localiser: Localiser) -> None:
    found = step(LiveLocaliser(localiser, TrackOptions(), "class-score"), 0)
    assert min(s.score for s in found.sightings) < TrackOptions().sounding_off
    with torch.inference_mode():
        whole = localiser(normalise(IMAGES[[0] * 5])[None], SOUNDS[[0] * 5][None])
    assert len(found.sightings) == int((whole.mask_logits()[0, :, -1] > 0).flatten(1).any(1).sum())


def test_time_that_runs_backwards_is_refused(localiser: Localiser) -> None:
    live = LiveLocaliser(localiser, EASY)
    step(live, 3)
    with pytest.raises(ValueError, match="2000000000 ns after one at 3000000000 ns"):
        step(live, 2)


def test_frames_may_be_read_only_and_views(localiser: Localiser) -> None:
    frame = IMAGES[0].permute(1, 2, 0).numpy()
    wide = np.zeros((HEIGHT, 2 * WIDTH, 3), np.uint8)
    wide[:, ::2] = frame
    view = wide[:, ::2]
    view.flags.writeable = False
    heard: Tensor = SOUNDS[0]
    plain = LiveLocaliser(localiser, EASY).step(Observed("a", 0, 0, 0, frame, heard.numpy()))
    strided = LiveLocaliser(localiser, EASY).step(Observed("a", 0, 0, 0, view, heard.numpy()))
    assert same(plain, strided)


def test_several_sources_together_are_answered_as_each_alone(localiser: Localiser) -> None:
    """Of two sizes, in any company; one is silent, one begins a generation on the way."""

    def seen(source: str, seq: int) -> Observed:
        k = (seq + len(source)) % len(IMAGES)
        frame = IMAGES[k].permute(1, 2, 0).numpy()
        if source == "tall":
            frame = np.ascontiguousarray(frame.transpose(1, 0, 2))
        generation, level = int(source == "b" and seq >= 3), -90.0 if source == "silent" else -20.0
        return Observed(source, generation, seq, seq * SECOND_NS, frame, SOUNDS[k].numpy(), level)

    names = ("a", "b", "tall", "silent")
    together, alone = LiveLocaliser(localiser, EASY), LiveLocaliser(localiser, EASY)
    for seq in range(6):
        present = [name for name in names if name != "a" or seq != 4][:: 1 if seq % 2 else -1]
        steps = together.steps([seen(name, seq) for name in present])
        for name, found in zip(present, steps, strict=True):
            expected = alone.step(seen(name, seq))
            assert found.window_fill == expected.window_fill
            assert [s.track_id for s in found.sightings] == [s.track_id for s in expected.sightings]
            for mine, theirs in zip(found.sightings, expected.sightings, strict=True):
                assert mine.score == pytest.approx(theirs.score, abs=1e-5)
            assert torch.allclose(found.mask_logits, expected.mask_logits, atol=1e-3)
            assert bool(found.sightings) == (name != "silent")
    with pytest.raises(AssertionError, match="one snippet of each source"):
        together.steps([seen("a", 7), seen("a", 8)])


def test_what_is_kept_of_a_snippet_does_not_hold_on_to_its_company(localiser: Localiser) -> None:
    live = LiveLocaliser(localiser, EASY)
    frame = IMAGES[0].permute(1, 2, 0).numpy()
    live.steps([Observed(name, 0, 0, 0, frame, SOUNDS[0].numpy()) for name in ("a", "b", "c")])
    kept = live._sources["a"].window.slots()[-1].memory.mask_features
    assert kept.untyped_storage().nbytes() == kept.numel() * kept.element_size()


def test_what_sounds_is_the_same_whether_or_not_silence_is_told(localiser: Localiser) -> None:
    plain, telling = LiveLocaliser(localiser, EASY), LiveLocaliser(localiser, EASY, most_silent=5)
    for seq in range(6):
        one, other = step(plain, seq), step(telling, seq)
        assert same(one, other)
        assert len(one.silent) == 0
        assert len(other.silent) <= 5
        assert (other.silent.scores < EASY.sounding_on).all()


def test_masks_are_told_along_the_edges_of_their_picture_and_nothing_else_changes(
    localiser: Localiser,
) -> None:
    guide = Guide(3, 1e-3)
    plain = LiveLocaliser(localiser, EASY, most_silent=5)
    guided = LiveLocaliser(localiser, replace(EASY, guide_radius=3, guide_eps=1e-3), most_silent=5)
    for seq in range(3):
        a, b = step(plain, seq), step(guided, seq)
        picture = IMAGES[seq].permute(1, 2, 0).numpy()
        assert a.sightings == b.sightings
        assert len(a.sightings) > 0
        assert torch.equal(b.mask_logits, along_edges(a.mask_logits, picture, guide))
        assert torch.equal(b.silent.mask_logits, along_edges(a.silent.mask_logits, picture, guide))
