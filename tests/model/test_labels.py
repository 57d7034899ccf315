"""The label cache: when it wants a look, what a label is made of, and what it forgets."""

from __future__ import annotations

import numpy as np
import pytest

from model.labels import LabelCache, LabelOptions, Outline, TrackMask, look_quality

WORDS = ["dog", "cat", "horn"]
TEXT = np.eye(3, dtype=np.float32)
SURE = np.array([1.0, 0.0, 0.0], dtype=np.float32)
UNSURE = np.full(3, 3**-0.5, dtype=np.float32)


def box(y0: int, x0: int, y1: int, x1: int, value: float = 1.0) -> np.ndarray:
    mask = np.zeros((60, 80), dtype=np.float32)
    mask[y0:y1, x0:x1] = value
    return mask


def track(number: int = 1, mask: np.ndarray | None = None, sounding: float = 1.0) -> TrackMask:
    return TrackMask(number, box(20, 20, 40, 40) if mask is None else mask, sounding)


def step(cache: LabelCache, seq: int, seen: TrackMask, embedding: np.ndarray = SURE) -> bool:
    """One snippet as the node runs it; whether CLIP was asked."""
    due = cache.due("a", seq, [seen])
    for one in due:
        cache.look("a", seq, one, embedding)
    cache.labels("a", seen.id, TEXT, WORDS)
    return bool(due)


def looks_at(cache: LabelCache, snippets: int, seen: TrackMask, embedding: np.ndarray) -> list[int]:
    return [seq for seq in range(snippets) if step(cache, seq, seen, embedding)]


def test_a_sure_label_stands_until_it_is_old() -> None:
    cache = LabelCache(LabelOptions(max_age=10))
    assert looks_at(cache, 25, track(), SURE) == [0, 10, 20]
    assert (cache.clip_calls, cache.clip_calls_saved) == (3, 22)


def test_a_hopeless_object_is_looked_at_ever_more_seldom() -> None:
    cache = LabelCache(LabelOptions(max_age=10))
    assert looks_at(cache, 40, track(), UNSURE) == [0, 1, 3, 7, 15, 25, 35]


def test_a_flickering_mask_does_not_cost_a_look_at_every_step() -> None:
    cache = LabelCache(LabelOptions(max_age=10))
    masks = [box(20, 20, 40, 40), box(10, 10, 50, 60)]
    looked = [seq for seq in range(30) if step(cache, seq, track(mask=masks[seq % 2]))]
    assert looked[:4] == [0, 1, 4, 9]
    assert len(looked) < 8


def test_a_calm_track_that_changes_is_looked_at_at_once() -> None:
    cache = LabelCache(LabelOptions(max_age=4))
    assert [step(cache, seq, track()) for seq in range(5)] == [True, False, False, False, True]
    assert step(cache, 5, track(mask=box(10, 10, 50, 60)))


@pytest.mark.parametrize(
    ("mask", "differs"),
    [
        (box(20, 20, 40, 40), False),
        (box(22, 30, 42, 50), False),  # moved
        (box(20, 20, 44, 44), False),  # a little larger
        (box(20, 41, 40, 61), True),  # elsewhere
        (box(15, 15, 50, 50), True),  # three times the area
        (box(20, 20, 40, 29), True),  # half hidden
        (box(20, 20, 29, 40), True),
        (np.maximum(box(20, 20, 40, 24), box(36, 20, 40, 40)), True),  # another shape in the same box
        (box(20, 20, 40, 40, 0.4), True),  # gone
    ],
)
def test_when_a_mask_differs(mask: np.ndarray, differs: bool) -> None:
    first, second = Outline.of(box(20, 20, 40, 40)), Outline.of(mask)
    assert first.differs(second, LabelOptions()) == differs
    assert second.differs(first, LabelOptions()) == differs
    assert not second.differs(second, LabelOptions())


def test_an_empty_mask_is_not_shown_to_clip() -> None:
    cache = LabelCache()
    assert cache.due("a", 0, [track(mask=box(20, 20, 40, 40, 0.5))]) == []
    assert cache.labels("a", 1, TEXT, WORDS) == []
    assert (cache.clip_calls, cache.clip_calls_saved) == (0, 0)
    assert cache.due("a", 1, [track()])


def test_a_label_is_the_mean_of_its_looks_by_their_weights() -> None:
    cache = LabelCache()
    a = np.array([0.02, 0.0, 0.0], dtype=np.float32)
    b = np.array([0.0, 0.03, 0.0], dtype=np.float32)
    cache.look("a", 0, track(), a, quality=0.9)
    cache.look("a", 1, track(), b, quality=0.3)
    p = [np.exp(100 * x.astype(np.float64)) / np.exp(100 * x.astype(np.float64)).sum() for x in (a, b)]
    expected = (0.9 * p[0] + 0.3 * p[1]) / 1.2
    found = cache.labels("a", 1, TEXT, WORDS)
    assert [word for word, _ in found] == ["dog", "cat", "horn"]
    np.testing.assert_allclose([value for _, value in found], expected, rtol=1e-6)
    assert cache.labels("a", 1, TEXT, WORDS, top_k=1) == found[:1]


def test_another_vocabulary_relabels_every_track_without_a_look() -> None:
    cache = LabelCache()
    step(cache, 0, track())
    assert cache.labels("a", 1, TEXT, WORDS)[0][0] == "dog"
    calls = cache.clip_calls
    again = np.array([[0, 1, 0], [0.9, 0, 0]], dtype=np.float32)
    assert cache.labels("a", 1, again, ["tree", "puppy"])[0][0] == "puppy"
    assert cache.clip_calls == calls
    assert cache.due("a", 1, [track()]) == []  # "puppy" is sure, too


def test_a_look_renews_the_label() -> None:
    cache = LabelCache(LabelOptions(looks=2))
    for seq, embedding in enumerate([TEXT[0], TEXT[1], TEXT[1]]):
        cache.look("a", seq, track(), embedding)
        label, p = cache.labels("a", 1, TEXT, WORDS)[0]
    assert label == "cat"
    assert p == pytest.approx(1.0)  # the first look has made room


def test_the_callers_array_may_be_used_again() -> None:
    cache, embedding = LabelCache(), SURE.copy()
    cache.look("a", 0, track(), embedding)
    embedding[:] = TEXT[2]
    assert cache.labels("a", 1, TEXT, WORDS)[0][0] == "dog"


def test_a_new_generation_forgets_one_source_only() -> None:
    cache = LabelCache()
    for source in ("a", "b"):
        cache.due(source, 0, [track()])
        cache.look(source, 0, track(), SURE)
    cache.forget("a")
    assert cache.labels("a", 1, TEXT, WORDS) == []
    assert cache.labels("b", 1, TEXT, WORDS)[0][0] == "dog"
    assert cache.due("a", 1, [track()])
    assert not cache.due("b", 1, [track()])


def test_tracks_unseen_for_long_are_forgotten() -> None:
    cache = LabelCache(LabelOptions(forget_after=5))
    step(cache, 0, track(1))
    step(cache, 5, track(2))
    assert len(cache) == 2
    step(cache, 6, track(2))
    assert len(cache) == 1
    assert cache.labels("a", 1, TEXT, WORDS) == []


def test_the_cache_is_bounded_over_all_sources() -> None:
    cache = LabelCache(LabelOptions(max_tracks=3))
    for number in range(5):
        cache.look(f"source-{number}", 0, track(), SURE)
    assert len(cache) == 3
    assert cache.labels("source-1", 1, TEXT, WORDS) == []
    assert cache.labels("source-2", 1, TEXT, WORDS)


def test_the_track_seen_least_recently_makes_room() -> None:
    cache = LabelCache(LabelOptions(max_tracks=2))
    for number in (1, 2):
        step(cache, 0, track(number))
    cache.due("a", 1, [track(1)])
    step(cache, 2, track(3))
    assert cache.labels("a", 1, TEXT, WORDS)
    assert cache.labels("a", 2, TEXT, WORDS) == []


def test_better_views_weigh_more() -> None:
    good = look_quality(track())
    worse = {
        "smaller": track(mask=box(20, 20, 25, 25)),
        "blurred": track(mask=box(20, 20, 40, 40, 0.7)),
        "cut": track(mask=box(0, 20, 20, 40)),
        "doubtful": track(sounding=0.2),
        "empty": track(mask=box(20, 20, 40, 40, 0.1)),
    }
    for name, other in worse.items():
        assert 0 < look_quality(other) < good <= 1, name


def test_two_runs_agree_to_the_last_bit() -> None:
    def run() -> list[list[tuple[str, float]]]:
        generator, cache, found = np.random.default_rng(5), LabelCache(), []
        for seq in range(30):
            tracks = [track(number, box(5 * number, 10, 30, 10 + 2 * seq + 1)) for number in (1, 2, 3)]
            for one in cache.due("a", seq, tracks):
                look = generator.normal(size=3).astype(np.float32)
                cache.look("a", seq, one, look / np.linalg.norm(look))
            found += [cache.labels("a", one.id, TEXT, WORDS) for one in tracks]
        return found

    assert run() == run()
