"""What of this machine can be a source, and what is missing, in lines for a person."""

from __future__ import annotations

import os
from typing import Any

from streaming.errors import UserError
from streaming.sources.camera import cameras, why_not
from streaming.sources.microphone import devices, find_device


def report() -> list[str]:
    """What `run_pipeline.py doctor` says."""
    return ["Cameras", *_indented(camera_lines()), "Microphones", *_indented(microphone_lines())]


def camera_lines() -> list[str]:
    """A line for each camera: what to give as --source, its name, and whether it may be used."""
    found = cameras()
    lines = []
    for device, name in found.items():
        usable = os.access(device, os.R_OK | os.W_OK)
        lines.append(
            f"webcam:{device.removeprefix('/dev/video')}  {name}{'' if usable else '  ' + why_not(device)}"
        )
    return lines or ["none found; plug one in, or give an RTSP address or a file as --source"]


def microphone_lines() -> list[str]:
    """A line for each microphone: what to give as --microphone, its name, rate and channels."""
    try:
        known = devices()
        default = find_device("default", known)["index"] if known else None
    except UserError as error:
        return [str(error)]
    return [_microphone_line(device, device["index"] == default) for device in known] or [
        "none found; plug one in, or give --microphone none"
    ]


def _microphone_line(device: dict[str, Any], is_default: bool) -> str:
    rate, channels = round(device["default_samplerate"]), device["max_input_channels"]
    told = f"{device['index']}  {device['name']}, {rate} Hz, {channels} channel{'s' if channels > 1 else ''}"
    return told + (" (default)" if is_default else "")


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]
