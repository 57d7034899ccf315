"""Identities over a small world of moving, crossing and falling-silent rectangles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model.selection import Candidates
from model.tracks import Tracker, TrackOptions

HEIGHT, WIDTH, CHANNELS, T = 24, 40, 16, 5


@dataclass(frozen=True)
class Thing:
    """An object of the world: where it is, who it is, and how loud it is in a snippet."""

    name: str
    at: Callable[[float], tuple[float, float]]  # seconds -> y, x of its top left corner
    loudness: Callable[[float], float] = lambda t_s: 0.9  # sounding score of the window that ends with t_s
    kind: int = 0  # which direction its embedding points in
    size: int = 8


def still(y: float, x: float) -> Callable[[float], tuple[float, float]]:
    return lambda t_s: (y, x)


class World:
    """Things seen through windows of snippets `hop_s` apart."""

    def __init__(self, *things: Thing, hop_s: float = 1.0, blur: float = 0.2, seed: int = 0) -> None:
        self.things, self.hop_s, self.blur = things, hop_s, blur
        self.generator = torch.Generator().manual_seed(seed)
        self.tracker = Tracker(TrackOptions())

    def embedding(self, thing: Thing) -> Tensor:
        """Who it is, a little different every time: cosine near 0.98 for a blur of 0.2."""
        own = F.one_hot(torch.tensor(thing.kind), CHANNELS).float()
        return own + self.blur * F.normalize(torch.randn(CHANNELS, generator=self.generator), dim=0)

    def mask_logits(self, thing: Thing, seq: int) -> Tensor:
        y, x = (round(place) for place in thing.at(seq * self.hop_s))
        logits = torch.full((HEIGHT, WIDTH), -6.0)
        logits[max(y, 0) : y + thing.size, max(x, 0) : x + thing.size] = 6.0
        return logits + 0.5 * torch.randn(HEIGHT, WIDTH, generator=self.generator)

    def step(self, seq: int, order: Sequence[int] | None = None) -> dict[str, int]:
        """Show the window that ends with snippet `seq`; who was sighted, with its track."""
        second = round(1 / self.hop_s)
        seqs = [max(seq - back * second, seq % second) for back in reversed(range(T))]
        heard = [thing for thing in self.things if thing.loudness(seq * self.hop_s) >= 0.35]
        heard.sort(key=lambda thing: -thing.loudness(seq * self.hop_s))
        if order is not None:
            heard = [heard[i] for i in order]
        candidates = Candidates(
            torch.tensor([thing.loudness(seq * self.hop_s) for thing in heard]),
            torch.stack([self.embedding(thing) for thing in heard]) if heard else torch.zeros(0, CHANNELS),
            torch.stack([torch.stack([self.mask_logits(thing, s) for s in seqs]) for thing in heard])
            if heard
            else torch.zeros(0, T, HEIGHT, WIDTH),
            torch.arange(len(heard)),
        )
        sightings = self.tracker.update(candidates, seqs)
        assert [s.track_id for s in sightings] == sorted(s.track_id for s in sightings)
        for s in sightings:
            assert s.score == pytest.approx(heard[s.candidate].loudness(seq * self.hop_s))
        return {heard[s.candidate].name: s.track_id for s in sightings}

    def run(self, seqs: Sequence[int]) -> list[dict[str, int]]:
        return [self.step(seq) for seq in seqs]


def test_an_object_that_moves_across_the_picture_stays_itself() -> None:
    world = World(Thing("train", lambda t_s: (8, 3 * t_s - 8)))
    assert world.run(range(16)) == [{"train": 1}] * 16


def test_it_need_not_overlap_with_where_it_was() -> None:
    world = World(Thing("bird", lambda t_s: (8, 2 if t_s % 2 else 28)), blur=3.0)
    assert world.run(range(10)) == [{"bird": 1}] * 10


def test_objects_that_cross_keep_their_identities() -> None:
    world = World(
        Thing("left to right", lambda t_s: (8, 4 * t_s), kind=0),
        Thing("right to left", lambda t_s: (8, 32 - 4 * t_s), kind=1),
    )
    for seen in world.run(range(9)):
        assert seen == {"left to right": 1, "right to left": 2}


def test_objects_of_one_kind_that_cross_keep_their_identities() -> None:
    world = World(
        Thing("upper", lambda t_s: (6, 4 * t_s), kind=0),
        Thing("lower", lambda t_s: (8, 32 - 4 * t_s), kind=0),
    )
    for seen in world.run(range(9)):
        assert seen == {"upper": 1, "lower": 2}


@pytest.mark.parametrize("silence", [1, 3, 6, 9])
def test_an_object_that_falls_silent_for_a_while_comes_back_as_itself(silence: int) -> None:
    dog = Thing("dog", still(4, 4), loudness=lambda t_s: 0.1 if 5 <= t_s < 5 + silence else 0.9)
    cat = Thing("cat", still(12, 28), kind=1)
    seen = World(dog, cat).run(range(5 + silence + 3))
    assert seen[:5] == [{"dog": 1, "cat": 2}] * 5
    assert seen[5 : 5 + silence] == [{"cat": 2}] * silence
    assert seen[5 + silence :] == [{"dog": 1, "cat": 2}] * 3


def test_it_may_have_moved_meanwhile() -> None:
    dog = Thing("dog", lambda t_s: (4, 2 if t_s < 8 else 30), lambda t_s: 0.1 if 5 <= t_s < 12 else 0.9)
    assert World(dog).run(range(14))[12:] == [{"dog": 1}] * 2


def test_after_too_long_a_silence_it_is_somebody_new() -> None:
    keep = TrackOptions().keep_snippets
    dog = Thing("dog", still(4, 4), loudness=lambda t_s: 0.1 if 5 <= t_s < 5 + keep else 0.9)
    assert World(dog).run(range(5 + keep + 1))[-1] == {"dog": 2}


def test_who_comes_in_place_of_a_lost_one_is_somebody_new() -> None:
    dog = Thing("dog", still(4, 4), loudness=lambda t_s: 0.9 if t_s < 5 else 0.1)
    cat = Thing("cat", still(4, 4), loudness=lambda t_s: 0.9 if t_s >= 11 else 0.1, kind=1)
    assert World(dog, cat).run(range(13))[11:] == [{"cat": 2}] * 2


def test_somebody_new_must_sound_more_than_somebody_known() -> None:
    scores = [0.4, 0.49, 0.51, 0.36, 0.45, 0.36, 0.34, 0.36, 0.6]
    dog = Thing("dog", still(4, 4), loudness=lambda t_s: scores[int(t_s)])
    seen = World(dog).run(range(len(scores)))
    assert seen == [{}, {}, {"dog": 1}, {"dog": 1}, {"dog": 1}, {"dog": 1}, {}, {}, {"dog": 1}]


def test_ids_count_up_and_are_never_used_twice() -> None:
    tracker = Tracker(TrackOptions(keep_snippets=0), first_id=7)
    given = []
    for seq in range(4):
        masks = torch.zeros(1, 1, 2, 2)
        candidates = Candidates(torch.tensor([0.9]), torch.ones(1, CHANNELS), masks, torch.arange(1))
        given += [s.track_id for s in tracker.update(candidates, [seq])]
    assert given == [7, 8, 9, 10]
    assert tracker.next_id == 11


def test_the_first_sighting_is_told_apart() -> None:
    world = World(Thing("dog", still(4, 4)))
    seqs = [0] * T
    candidates = Candidates(
        torch.tensor([0.9]),
        world.embedding(world.things[0])[None],
        torch.stack([world.mask_logits(world.things[0], 0)] * T)[None],
        torch.arange(1),
    )
    assert [s.new for s in world.tracker.update(candidates, seqs)] == [True]
    assert [s.new for s in world.tracker.update(candidates, seqs)] == [False]


def test_the_order_of_the_candidates_does_not_matter() -> None:
    def moving(i: int) -> Thing:
        return Thing(f"thing {i}", lambda t_s: (2 + 6 * (i % 3), 3 * t_s + 9 * (i // 3)), kind=i)

    generator = torch.Generator().manual_seed(4)
    plain, shuffled = (World(*(moving(i) for i in range(6))) for _ in range(2))
    plain.step(0)
    shuffled.step(0)
    for seq in range(1, 8):
        order = torch.randperm(6, generator=generator).tolist()
        assert shuffled.step(seq, order) == plain.step(seq)


def test_the_same_windows_give_the_same_tracks() -> None:
    def wavering(i: int) -> Thing:
        return Thing(
            f"thing {i}",
            lambda t_s: (i * 3, (5 * i + 2 * t_s) % 32),
            lambda t_s: 0.3 + (t_s + i) % 4 / 5,
            kind=i % 3,
        )

    one, other = (World(*(wavering(i) for i in range(6)), blur=1.5).run(range(20)) for _ in range(2))
    assert one == other
    assert len({len(sighted) for sighted in one}) > 1  # they come and go


@pytest.mark.parametrize("per_second", [2, 4, 5])
def test_windows_of_short_hops_interleave_without_a_change_of_identity(per_second: int) -> None:
    world = World(
        Thing("train", lambda t_s: (2, 3 * t_s), kind=0),
        Thing("dog", still(14, 30), kind=1, loudness=lambda t_s: 0.1 if 4 <= t_s < 4.6 else 0.9),
        hop_s=1 / per_second,
    )
    seen = world.run(range(9 * per_second))
    assert all(sighted["train"] == 1 for sighted in seen)
    assert {sighted["dog"] for sighted in seen if "dog" in sighted} == {2}


def test_a_new_object_of_wavering_embedding_has_one_identity_at_short_hops() -> None:
    world = World(Thing("train", lambda t_s: (8, 3 * t_s)), hop_s=0.5, blur=0.8)
    assert world.run(range(14)) == [{"train": 1}] * 14


def test_a_track_keeps_masks_of_no_more_than_a_window() -> None:
    world = World(Thing("train", lambda t_s: (8, t_s)), hop_s=0.5)
    world.run(range(30))
    (track,) = world.tracker.tracks
    assert sorted(track.masks) == list(range(21, 30))


def test_a_candidate_is_given_to_one_track_only() -> None:
    together = World(Thing("dog", still(4, 4), kind=0), Thing("cat", still(4, 6), kind=1))
    together.run(range(4))
    alone = replace(together.things[0], name="either", kind=0)
    together.things = (alone,)
    assert together.step(4) == {"either": 1}
    assert [track.id for track in together.tracker.tracks] == [1, 2]
