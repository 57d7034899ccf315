"""Waits grow, stay within bounds, and differ."""

from __future__ import annotations

import random

from streaming.backoff import Backoff


def test_waits_grow_within_their_bounds_for_as_long_as_it_fails() -> None:
    backoff = Backoff(1.0, 30.0, random_=random.Random(1))
    waits_s = [backoff.failed() for _ in range(1000)]
    assert all(1.0 <= wait_s <= 30.0 for wait_s in waits_s)
    for n, wait_s in enumerate(waits_s[:5]):
        assert max(1.0, 2.0**n / 2) <= wait_s <= 2.0**n
    assert all(wait_s >= 15.0 for wait_s in waits_s[5:])


def test_no_two_that_failed_together_come_back_together() -> None:
    assert len({Backoff().failed() + Backoff().failed() for _ in range(5)}) == 1, "the first waits the least"
    many = [Backoff(random_=random.Random(seed)) for seed in range(20)]
    for backoff in many:
        backoff.failures = 4
    assert len({round(backoff.failed(), 3) for backoff in many}) > 15


def test_after_a_success_the_next_failure_is_a_first_one() -> None:
    backoff = Backoff(0.5, 8.0)
    for _ in range(6):
        backoff.failed()
    backoff.succeeded()
    assert backoff.failed() == 0.5
