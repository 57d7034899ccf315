"""When what is heard and what is seen are one sounding object."""

from __future__ import annotations

import pytest

from model.openavs.interfaces import Family, Prompts
from model.openavs.rules import Ears, Judge, Rules

NS = 1_000_000_000
RULES = Rules(
    mean_s=3.0, person_on=0.2, other_on=0.1, stay=0.5, person_area=0.02, other_area=0.005, drop_db=20.0
)


@pytest.mark.parametrize("hop_s", [1.0, 0.5])
def test_the_mean_is_over_seconds_whatever_the_hop(hop_s: float) -> None:
    ears = Ears(RULES)
    times = [i * hop_s for i in range(round(6 / hop_s))]
    told = {t_s: ears.hear(round(t_s * NS), -20.0, {"Bark": float(t_s >= 3)}) for t_s in times}
    assert told[2.0] == {"Bark": 0.0}
    assert told[4.0] == {"Bark": pytest.approx(2 / 3 if hop_s == 1.0 else 3 / 6)}
    assert told[5.5 if hop_s == 0.5 else 5.0] == {"Bark": pytest.approx(1.0)}


def test_far_below_the_loudest_of_late_is_silence_until_that_is_forgotten() -> None:
    ears = Ears(Rules(drop_db=20.0, loudest_s=10.0))
    assert ears.hear(0, -10.0, {"Bark": 1.0}) is not None
    assert ears.hear(1 * NS, -31.0, {"Bark": 1.0}) is None
    assert ears.hear(2 * NS, -29.0, {"Bark": 1.0}) is not None
    assert ears.hear(10 * NS, -31.0, {"Bark": 1.0}) is not None


def test_digital_silence_is_silent_from_the_first_snippet() -> None:
    assert Ears(RULES).hear(0, -120.0, {"Speech": 0.9}) is None


def test_a_silent_snippet_does_not_hold_back_what_begins_after_it() -> None:
    ears = Ears(RULES)
    ears.hear(0, -20.0, {"Speech": 1.0})
    ears.hear(2 * NS, -90.0, {})
    assert ears.hear(3 * NS, -20.0, {"Bark": 0.8}) == {"Bark": 0.8}


def test_what_is_heard_must_be_seen_and_what_is_seen_heard() -> None:
    judge = Judge(RULES)
    assert judge.decide(Prompts({"dog": 0.5}), {"dog": 0.1, "cat": 0.1}) == {"dog": 0.5}
    assert judge.decide(Prompts({"dog": 0.5}), {"cat": 0.1}) == {}
    assert judge.decide(Prompts({}), {"dog": 0.1}) == {}


def test_silence_yields_nothing() -> None:
    assert Judge(RULES).decide(None, {"person": 0.5}) == {}
    assert Judge(RULES).wanted(None) == []


def test_a_speck_makes_no_sound_and_a_person_must_be_larger() -> None:
    prompts = Prompts({"dog": 0.5, "person": 0.5})
    assert Judge(RULES).decide(prompts, {"dog": 0.006, "person": 0.01}) == {"dog": 0.5}


def test_what_sounded_needs_less_to_go_on_and_that_is_forgotten_with_it() -> None:
    judge = Judge(RULES)
    weak, strong = Prompts({"dog": 0.06}), Prompts({"dog": 0.11})
    seen = {"dog": 0.1}
    assert judge.decide(weak, seen) == {}
    assert judge.decide(strong, seen) == {"dog": 0.11}
    assert judge.decide(weak, seen) == {"dog": 0.06}
    judge.decide(None, seen)
    assert judge.decide(weak, seen) == {}


@pytest.mark.parametrize(("singing", "sounds"), [(0.0, False), (0.3, True)])
def test_speech_over_music_is_narration_unless_somebody_sings(singing: float, sounds: bool) -> None:
    prompts = Prompts({"person": 0.9}, speech=0.9, music=0.5, singing=singing)
    assert bool(Judge(RULES).decide(prompts, {"person": 0.3})) is sounds


@pytest.mark.parametrize("relatives", [True, False])
def test_a_relative_may_be_the_largest_that_is_seen(relatives: bool) -> None:
    rules = Rules(relatives=relatives)
    prompts = Prompts({"horse": 0.4}, [Family(("horse", "cow", "sheep"), 0.4)])
    found = Judge(rules).decide(prompts, {"cow": 0.2, "sheep": 0.1})
    assert found == ({"cow": 0.4} if relatives else {})
    assert Judge(rules).decide(prompts, {"cow": 0.2, "horse": 0.1}) == {"horse": 0.4}


def test_only_what_would_sound_is_worth_looking_for() -> None:
    prompts = Prompts({"dog": 0.1, "person": 0.15, "cat": 0.5}, [Family(("horse", "cow"), 0.4)])
    assert Judge(RULES).wanted(prompts) == ["cat", "dog"]
    assert Judge(Rules(relatives=True)).wanted(prompts) == ["cat", "horse", "cow", "dog"]


def test_more_is_asked_of_whatever_means_somebody() -> None:
    prompts = Prompts({"woman": 0.15, "violin": 0.15}, people=frozenset({"woman"}))
    assert Judge(RULES).decide(prompts, {"woman": 0.5, "violin": 0.5}) == {"violin": 0.15}
