"""What people are told of a run."""

from __future__ import annotations

import pytest

from model.training.progress import Teller, duration


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.2, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3600, "1 h 0 min"), (7385, "2 h 3 min"),
        (190_000, "2 d 4 h"),
    ],
)  # fmt: skip
def test_a_duration_has_two_units(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_lines_tell_scores_and_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with Teller("localiser", 0, 100) as teller:
        teller.step(10)
        teller.scores(10, {"loss": 31.25, "lr": 1e-4}, 2.0)
        teller.scores(10, {"validation j": 0.5})
        teller.say("[bold] is not markup here")
    assert capsys.readouterr().err.splitlines() == [
        "localiser: step 10 of 100: loss 31.25, lr 0.0001, 2 s a step, 3 min 0 s left",
        "localiser: step 10 of 100: validation j 0.5",
        "[bold] is not markup here",
    ]


def test_on_a_terminal_there_is_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with Teller("localiser", 40, 100) as teller:
        teller.step(50)
        teller.scores(50, {"loss": 31.25}, 2.0)
    told = capsys.readouterr().err
    assert "50/100" in told
    assert "1 min 40 s left" in told


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with Teller("", 0, 10, quiet=True) as teller:
        teller.scores(5, {"loss": 1.0}, 1.0)
    assert capsys.readouterr().err == ""
