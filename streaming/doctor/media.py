"""What of this machine can be a source, what can be read and written, and what is missing for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import av

from streaming.doctor.findings import Finding
from streaming.errors import UserError
from streaming.sources.camera import cameras, why_not
from streaming.sources.microphone import devices, find_device

DECODERS = {
    "h264": "most cameras and recordings",
    "hevc": "newer cameras",
    "vp9": "films of the web",
    "av1": "films of the web",
    "mpeg4": "older recordings",
    "mjpeg": "webcams and older cameras",
    "aac": "the sound of most recordings",
    "mp3": "sound",
    "opus": "the sound of the web",
    "flac": "sound",
    "pcm_s16le": "uncompressed sound",
    "pcm_mulaw": "the sound of cameras",
}
ENCODERS = {"libx264": "the annotated film", "aac": "the sound of the annotated film"}
ANOTHER_AV = "python -m pip install --force-reinstall --constraint constraints.txt av"


def codecs() -> Iterator[Finding]:
    """What the FFmpeg that PyAV brings can read and write."""
    missing = [f"{name} ({what_for})" for name, what_for in DECODERS.items() if not _has(name, "r")]
    known = ", ".join(name for name in DECODERS if _has(name, "r"))
    yield Finding("ok", f"FFmpeg of PyAV {av.__version__} reads {known}")
    if missing:
        yield Finding("note", f"FFmpeg cannot read {', '.join(missing)}", ANOTHER_AV)
    unwritten = [f"{name} ({what_for})" for name, what_for in ENCODERS.items() if not _has(name, "w")]
    if unwritten:
        helps = f"{ANOTHER_AV}; or do without the film: --set output.annotated=false"
        yield Finding("problem", f"FFmpeg cannot write {', '.join(unwritten)}", helps)
    else:
        yield Finding("ok", f"FFmpeg writes {', '.join(ENCODERS)}")


def _has(name: str, mode: Any) -> bool:
    try:
        av.Codec(name, mode)
    except ValueError:  # of which PyAV's own error is a kind
        return False
    return True


def camera_lines() -> Iterator[Finding]:
    """A finding for each camera: what to give as --source, its name, and whether it may be used."""
    found = cameras()
    for device, name in found.items():
        fact = f"webcam:{device.removeprefix('/dev/video')}  {name}"
        if os.access(device, os.R_OK | os.W_OK):
            yield Finding("ok", fact)
        else:
            yield Finding("note", fact, why_not(device))
    if not found:
        yield Finding("note", "none found", "plug one in, or give an RTSP address or a file as --source")


def microphone_lines() -> Iterator[Finding]:
    """A finding for each microphone: what to give as --microphone, its name, rate and channels."""
    try:
        known = devices()
        default = find_device("default", known)["index"] if known else None
    except UserError as error:
        fact, _, mend = str(error).partition(": sudo ")
        yield Finding("note", fact, mend)
        return
    for device in known:
        yield Finding("ok", _microphone(device, device["index"] == default))
    if not known:
        yield Finding("note", "none found", "plug one in, or give --microphone none")


def _microphone(device: dict[str, Any], is_default: bool) -> str:
    rate, channels = round(device["default_samplerate"]), device["max_input_channels"]
    told = f"{device['index']}  {device['name']}, {rate} Hz, {channels} channel{'s' if channels > 1 else ''}"
    return told + (" (default)" if is_default else "")
