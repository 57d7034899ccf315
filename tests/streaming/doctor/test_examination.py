"""Whatever a check runs into, it is told, and the others go on."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.doctor.examination import Check, examine, examined, lines
from streaming.doctor.findings import Finding


def sick(name: str, **about: Any) -> Check:
    return Check(name, f"tests.streaming.doctor.sick:{name}", **about)


def test_findings_come_in_order_with_what_a_check_was_given() -> None:
    assert [(check.title, findings[0].fact) for check, findings in examine(
        [sick("well", args=("a", "b c")), sick("chatters"), sick("well")]
    )] == [("well", "well a b c"), ("chatters", "said"), ("well", "well")]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (sick("crashes"), ["first", "loading a library: was killed by SIGKILL"]),
        (sick("hangs", wait_s=2.0), ["asking a driver: took longer than 2 s"]),
        (sick("raises"), ["first", "this check ended early with exit code 1: mind"]),
        (sick("is_not_there"), ["this check ended early with exit code 1: AttributeError: module "]),
    ],
)
def test_a_check_that_comes_to_no_end_is_a_finding_behind_what_it_found(
    check: Check, told: list[str]
) -> None:
    found = examined(check)
    assert [one.fact[: len(words)] for one, words in zip(found, told, strict=True)] == told
    assert found[-1].mark == "problem"
    assert found[-1].mend


def test_a_check_of_no_consequence_is_a_note_when_it_fails() -> None:
    assert examined(sick("raises", worst="note"))[-1].mark == "note"


def test_what_chatters_beside_its_findings_is_not_taken_for_one() -> None:
    assert examined(sick("chatters")) == [Finding("ok", "said")]


def test_a_person_is_told_mark_fact_and_what_mends_it() -> None:
    check = sick("well")
    assert lines(check, examined(check)) == [
        "well",
        "  ok      well",
        "  note    a [red]camera?[2J",
        "          -> plug it in",
    ]
