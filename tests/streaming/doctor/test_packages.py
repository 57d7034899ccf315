"""What is told of Python and of packages that cannot be loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from streaming.doctor.findings import Finding
from streaming.doctor.packages import NEEDED, error_of, loaded, mend, packages, python


@pytest.mark.parametrize(
    ("here", "mark"), [((3, 10), "problem"), ((3, 11), "ok"), ((3, 12), "ok"), ((3, 13), "problem")]
)
def test_python_has_to_be_of_the_right_age(
    monkeypatch: pytest.MonkeyPatch, here: tuple[int, int], mark: str
) -> None:
    monkeypatch.setattr(sys, "version_info", here)
    (one,) = python()
    assert one.mark == mark
    assert bool(one.mend) == (mark == "problem")


def test_here_all_packages_are_there() -> None:
    (one,) = [one for one in packages() if isinstance(one, Finding) and one.mark != "note"]
    assert one.mark == "ok"
    assert all(package in one.fact for package in NEEDED.values())


@pytest.mark.parametrize(
    ("code", "error", "helps"),
    [
        (
            "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')",
            "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
            "apt install libgl1 libglib2.0-0",
        ),
        ("raise OSError('PortAudio library not found')", "OSError: PortAudio library not found",
         "apt install libportaudio2"),
        ("raise RuntimeError('first line\\nsecond')", "RuntimeError: first line", "--force-reinstall"),
        ("import not_there_either", "ModuleNotFoundError: No module named", "--editable ."),
        ("raise ImportError('x' * 10_000)", "ImportError: xxx", "--force-reinstall"),
        ("raise Exception", "Exception:", "--force-reinstall"),
        ("(", "SyntaxError: '(' was never closed", "--force-reinstall"),
    ],
)  # fmt: skip
def test_a_package_that_cannot_be_loaded_is_a_problem_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, error: str, helps: str
) -> None:
    (tmp_path / "broken_one.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    found = [one for one in loaded({"broken_one": "broken-one", "json": "json"}) if isinstance(one, Finding)]
    assert [one.mark for one in found] == ["problem", "ok"]
    assert found[0].fact.startswith(f"broken_one cannot be loaded: {error}")
    assert len(found[0].fact) < 300
    assert helps in found[0].mend


def test_what_is_to_be_loaded_is_said_before() -> None:
    """It may end the process."""
    assert list(loaded({"json": "json", "io": "io"}))[:2] == ["loading json", "loading io"]


def test_a_torchvision_of_another_build_has_a_remedy_of_its_own() -> None:
    from nodes.doctor import A_PAIR, MENDS

    error = "RuntimeError: operator torchvision::nms does not exist"
    assert mend("torchvision", error, MENDS) == A_PAIR


def test_a_package_that_few_need_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    assert error_of("paho.mqtt.client")
    (one,) = [one for one in packages() if isinstance(one, Finding) and "paho" in one.fact]
    assert one.mark == "note"
    assert "events for MQTT" in one.fact
    assert one.mend
