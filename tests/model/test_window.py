"""The sliding window: which snippets it holds, and that its answer is the whole clip's."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from model.audio_mask_dec import Sounding
from model.checkpoint import StandInWeights
from model.live import LiveLocaliser, Observed
from model.localiser import Localiser, normalise
from model.memory import Memory
from model.options import LocaliserOptions
from model.tracks import TrackOptions
from model.window import SECOND_NS, Remembered, SlidingWindow, clip_windows, fill
from tests.model.small import pictures, small_localiser, sounds

NOTHING = Memory(torch.zeros(0), [], [], [], torch.zeros(0), [])


def push(window: SlidingWindow, seq: int, hop_s: float = 1.0) -> list[int]:
    """Push snippet `seq` and tell which snippets fill the window's slots."""
    window.push(Remembered(seq, round(seq * hop_s * SECOND_NS), NOTHING))
    return [slot.seq for slot in window.slots()]


def test_at_one_snippet_a_second_the_newest_are_the_window() -> None:
    window = SlidingWindow(5)
    seen = [push(window, seq) for seq in range(8)]
    assert seen[4:] == [[0, 1, 2, 3, 4], [1, 2, 3, 4, 5], [2, 3, 4, 5, 6], [3, 4, 5, 6, 7]]
    assert len(window) == 5


def test_until_it_is_full_the_oldest_repeats_and_the_fill_says_so() -> None:
    window = SlidingWindow(5)
    seen = [(push(window, seq), fill(window.slots())) for seq in range(6)]
    assert seen == [
        ([0, 0, 0, 0, 0], 1),
        ([0, 0, 0, 0, 1], 2),
        ([0, 0, 0, 1, 2], 3),
        ([0, 0, 1, 2, 3], 4),
        ([0, 1, 2, 3, 4], 5),
        ([1, 2, 3, 4, 5], 5),
    ]


@pytest.mark.parametrize("per_second", [1, 2, 4, 5])
@pytest.mark.parametrize("length", [1, 3, 5, 8])
def test_slots_are_one_second_apart_at_any_hop(length: int, per_second: int) -> None:
    window = SlidingWindow(length)
    full = (length - 1) * per_second
    for seq in range(full + 2 * per_second):
        slots = push(window, seq, 1 / per_second)
        if seq >= full:
            assert slots == list(range(seq - full, seq + 1, per_second))
    assert len(window) <= length * per_second  # nothing is kept that no window can need


def test_at_half_second_hops_each_phase_fills_by_itself() -> None:
    window = SlidingWindow(3)
    assert [push(window, seq, 0.5) for seq in range(5)] == [
        [0, 0, 0],
        [1, 1, 1],
        [0, 0, 2],
        [1, 1, 3],
        [0, 2, 4],
    ]


def test_a_dropped_snippet_leaves_its_slot_to_the_one_after_it() -> None:
    window = SlidingWindow(5)
    for seq in (0, 1, 2, 4, 5):
        slots = push(window, seq)
    assert slots == [1, 2, 4, 4, 5]
    assert fill(window.slots()) == 4
    assert push(window, 9) == [5, 9, 9, 9, 9]
    assert push(window, 100) == [100] * 5


def test_at_short_hops_a_neighbour_less_than_half_a_second_away_steps_in() -> None:
    window = SlidingWindow(3)
    for seq in range(17):
        if seq not in (8, 12):  # 2.0 s and 3.0 s
            slots = push(window, seq, 0.25)
    # Due at 4.0 s, 3.0 s and 2.0 s: of two equally near, the earlier.
    assert slots == [7, 11, 16]
    assert fill(window.slots()) == 3


def test_at_half_second_hops_the_neighbours_are_too_far() -> None:
    window = SlidingWindow(3)
    for seq in (0, 1, 3, 4):  # 1.0 s is missing
        slots = push(window, seq, 0.5)
    assert slots == [0, 4, 4]


def test_irregular_times_take_the_nearest() -> None:
    window = SlidingWindow(3)
    for seq, t_s in enumerate((0.0, 0.9, 1.2, 2.1)):
        window.push(Remembered(seq, round(t_s * SECOND_NS), NOTHING))
    assert [slot.seq for slot in window.slots()] == [0, 2, 3]


@pytest.mark.parametrize("t_s", [2.0, 1.5])
def test_time_only_runs_forwards(t_s: float) -> None:
    window = SlidingWindow(5)
    push(window, 2)
    with pytest.raises(ValueError, match=rf"snippet at {round(t_s * SECOND_NS)} ns after .* 2000000000 ns"):
        window.push(Remembered(3, round(t_s * SECOND_NS), NOTHING))


# The answer ----------------------------------------------------------------------------------------------


@contextmanager
def answers(localiser: Localiser) -> Iterator[list[Sounding]]:
    """Every answer the localiser gives inside the block."""
    given: list[Sounding] = []

    def note(module: torch.nn.Module, args: object, sounding: Sounding) -> None:
        given.append(sounding)

    hook = localiser.audio_mask_dec.register_forward_hook(note)
    try:
        yield given
    finally:
        hook.remove()


def stream(
    localiser: Localiser, images: Tensor, audio: Tensor, hop_s: float, leave_out: Collection[int] = ()
) -> list[Sounding]:
    """The answer after each snippet of a live run; the backbone must have seen each snippet once."""
    pictures_seen: list[int] = []
    hook = localiser.backbone.register_forward_pre_hook(lambda _, args: pictures_seen.append(len(args[0])))
    live = LiveLocaliser(localiser, TrackOptions())
    with answers(localiser) as given:
        for seq in range(len(images)):
            if seq not in leave_out:
                frame = images[seq].permute(1, 2, 0).numpy()
                live.step(
                    Observed("camera", 0, seq, round(seq * hop_s * SECOND_NS), frame, audio[seq].numpy())
                )
    hook.remove()
    assert pictures_seen == [1] * (len(images) - len(leave_out))
    return given


def agree(ours: Sounding, theirs: Sounding, bound: float) -> None:
    """Hold two answers against each other."""
    for a, b in (
        (ours.sound_logits, theirs.sound_logits),
        (ours.mask_logits(), theirs.mask_logits()),
        (ours.queries, theirs.queries),
    ):
        assert (a - b).norm() / b.norm() < bound
    assert (ours.scores - theirs.scores).abs().max() < bound


@torch.inference_mode()
def whole_clip(localiser: Localiser, images: Tensor, audio: Tensor, seqs: list[int]) -> Sounding:
    return localiser(normalise(images[seqs])[None], audio[seqs][None])


# In float32. Both ways observe a snippet at a time: attention masks are thresholds, and the other rounding
# of a batch would now and then decide on which side of one a pixel falls.
BOUND = 1e-5


@pytest.mark.parametrize("backbone", ["r50", "swinb"])
@pytest.mark.parametrize("length", [1, 3, 5, 8])
def test_the_streamed_answer_is_the_whole_clips(length: int, backbone: str) -> None:
    localiser = small_localiser(window=length, backbone=backbone)
    images, audio = pictures(length + 3), sounds(length + 3)
    streamed = stream(localiser, images, audio, 1.0)
    for newest in range(length - 1, length + 3):
        seqs = list(range(newest - length + 1, newest + 1))
        agree(streamed[newest], whole_clip(localiser, images, audio, seqs), BOUND)


@pytest.mark.parametrize("per_second", [2, 5])
def test_the_streamed_answer_is_the_whole_clips_at_short_hops(per_second: int) -> None:
    localiser = small_localiser()
    span = 4 * per_second
    images, audio = pictures(span + 4), sounds(span + 4)
    streamed = stream(localiser, images, audio, 1 / per_second)
    for newest in range(span, span + 4):
        seqs = list(range(newest - span, newest + 1, per_second))
        agree(streamed[newest], whole_clip(localiser, images, audio, seqs), BOUND)


def test_while_it_fills_the_answer_is_that_of_a_clip_that_begins_with_a_repetition() -> None:
    localiser = small_localiser()
    images, audio = pictures(4), sounds(4)
    streamed = stream(localiser, images, audio, 1.0)
    for newest, seqs in enumerate(([0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 1, 2], [0, 0, 1, 2, 3])):
        agree(streamed[newest], whole_clip(localiser, images, audio, seqs), BOUND)


def test_after_a_drop_the_answer_is_that_of_the_snippets_that_came() -> None:
    localiser = small_localiser()
    images, audio = pictures(8), sounds(8)
    streamed = stream(localiser, images, audio, 1.0, leave_out={3})
    for seqs in ([1, 2, 4, 4, 5], [2, 4, 4, 5, 6], [4, 4, 5, 6, 7]):
        agree(streamed[seqs[-1] - 1], whole_clip(localiser, images, audio, seqs), BOUND)


def test_another_window_has_another_answer() -> None:
    localiser = small_localiser()
    images, audio = pictures(6), sounds(6)
    streamed = stream(localiser, images, audio, 1.0)
    with pytest.raises(AssertionError):
        agree(streamed[5], whole_clip(localiser, images, audio, [0, 1, 2, 3, 4]), 0.01)


@pytest.mark.slow
def test_the_streamed_answer_is_the_whole_clips_at_full_size() -> None:
    localiser = Localiser(LocaliserOptions())
    StandInWeights(3).fill("localiser", localiser)
    localiser.for_inference()
    images = pictures(9, height=96, width=128)
    audio = sounds(9, channels=localiser.options.audio_channels)
    expected = whole_clip(localiser, images, audio, [0, 2, 4, 6, 8])  # the same five snippets at either hop
    agree(stream(localiser, images, audio, 0.5)[-1], expected, BOUND)
    agree(stream(localiser, images[::2], audio[::2], 1.0)[-1], expected, BOUND)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (5, [([0, 1, 2, 3, 4], 0)]),
        (10, [([0, 1, 2, 3, 4], 0), ([5, 6, 7, 8, 9], 0)]),
        (7, [([0, 1, 2, 3, 4], 0), ([2, 3, 4, 5, 6], 3)]),
        (6, [([0, 1, 2, 3, 4], 0), ([1, 2, 3, 4, 5], 4)]),
        (2, [([0, 0, 0, 0, 1], 3)]),
        (1, [([0, 0, 0, 0, 0], 4)]),
    ],
)
def test_clips_are_cut_into_windows(count: int, expected: list[tuple[list[int], int]]) -> None:
    assert list(clip_windows(count, 5)) == expected
    new = [position for positions, first in clip_windows(count, 5) for position in positions[first:]]
    assert new == list(range(count))
