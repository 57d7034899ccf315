"""What a person is told of cameras and microphones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streaming import doctor
from streaming.errors import UserError
from tests.microphones import PulseMicrophone, needs_microphone


def test_a_machine_without_anything_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_portaudio() -> Any:
        raise UserError("microphone: PortAudio is not installed: sudo apt-get install libportaudio2")

    monkeypatch.setattr(doctor, "cameras", dict)
    monkeypatch.setattr(doctor, "devices", no_portaudio)
    assert doctor.report() == [
        "Cameras",
        "  none found; plug one in, or give an RTSP address or a file as --source",
        "Microphones",
        "  microphone: PortAudio is not installed: sudo apt-get install libportaudio2",
    ]
    monkeypatch.setattr(doctor, "devices", list)
    assert doctor.report()[-1] == "  none found; plug one in, or give --microphone none"


def test_cameras_are_listed_with_what_to_give_and_whether_they_may_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "cameras", lambda: {"/dev/video7": "Integrated Camera"})
    (line,) = doctor.camera_lines()
    assert line.startswith("webcam:7  Integrated Camera")
    assert "no camera /dev/video7" in line


@needs_microphone
def test_a_real_microphone_is_listed_as_it_can_be_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulse = PulseMicrophone(tmp_path, monkeypatch)
    try:
        lines = doctor.microphone_lines()
    finally:
        pulse.close()
    assert any(" pulse, 44100 Hz" in line for line in lines), lines
