"""What a person is told of codecs, cameras and microphones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streaming.doctor import media
from streaming.doctor.findings import Finding
from streaming.errors import UserError
from tests.microphones import PulseMicrophone, needs_microphone


def test_this_machine_reads_and_writes_all_that_is_asked_of_it() -> None:
    reads, writes = media.codecs()
    assert reads.mark == writes.mark == "ok"
    assert "h264, hevc" in reads.fact


def test_a_codec_that_is_missing_costs_a_source_or_the_film(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(media.DECODERS, "no_such", "the films of nobody")
    monkeypatch.setitem(media.ENCODERS, "neither", "nothing")
    reads, note, problem = media.codecs()
    assert "no_such" not in reads.fact
    assert (note.mark, note.fact) == ("note", "FFmpeg cannot read no_such (the films of nobody)")
    assert (problem.mark, problem.fact) == ("problem", "FFmpeg cannot write neither (nothing)")
    assert "output.annotated=false" in problem.mend


def test_a_machine_without_anything_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_portaudio() -> Any:
        raise UserError("microphone: PortAudio is not installed: sudo apt-get install libportaudio2")

    monkeypatch.setattr(media, "cameras", dict)
    monkeypatch.setattr(media, "devices", no_portaudio)
    assert list(media.camera_lines()) == [
        Finding("note", "none found", "plug one in, or give an RTSP address or a file as --source")
    ]
    assert list(media.microphone_lines()) == [
        Finding("note", "microphone: PortAudio is not installed", "apt-get install libportaudio2")
    ]
    monkeypatch.setattr(media, "devices", list)
    assert list(media.microphone_lines()) == [
        Finding("note", "none found", "plug one in, or give --microphone none")
    ]


def test_cameras_are_listed_with_what_to_give_and_whether_they_may_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media, "cameras", lambda: {"/dev/video7": "Integrated Camera"})
    (one,) = media.camera_lines()
    assert one.fact == "webcam:7  Integrated Camera"
    assert one.mark == "note"
    assert "no camera /dev/video7" in one.mend


@needs_microphone
def test_a_real_microphone_is_listed_as_it_can_be_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulse = PulseMicrophone(tmp_path, monkeypatch)
    try:
        found = list(media.microphone_lines())
    finally:
        pulse.close()
    assert any(" pulse, 44100 Hz" in one.fact for one in found), found
