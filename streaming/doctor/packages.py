"""Whether the packages that the project stands on can be loaded, and what helps where one cannot."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from streaming.doctor.findings import Finding

PYTHONS = ((3, 11), (3, 13))  # from, and below
SHOWN_CHARS = 200
ROOT = Path(__file__).resolve().parents[2]
INSTALL = "python -m pip install --constraint constraints.txt --editable ."

# What is imported -> what it is called where packages come from.
NEEDED = {
    "numpy": "numpy",
    "pydantic": "pydantic",
    "yaml": "pyyaml",
    "msgpack": "msgpack",
    "zmq": "pyzmq",
    "rich": "rich",
    "mcap": "mcap",
    "cv2": "opencv-python",
    "av": "av",
    "soxr": "soxr",
    "pycocotools.mask": "pycocotools",
}
# ... -> and what it is needed for, where a run is possible without.
USEFUL = {
    "sounddevice": ("sounddevice", "microphones"),
    "aiohttp": ("aiohttp", "the page to watch a run on"),
    "paho.mqtt.client": ("paho-mqtt", "events for MQTT"),
    "prometheus_client": ("prometheus_client", "figures for Prometheus"),
}
# A part of the error -> what helps.
MENDS = {
    "PortAudio": "apt install libportaudio2",
    "libGL": "apt install libgl1 libglib2.0-0",
    "libgthread": "apt install libgl1 libglib2.0-0",
    "libglib": "apt install libgl1 libglib2.0-0",
    "libxcb": "apt install libgl1 libglib2.0-0",
    "libSM": "apt install libsm6 libxext6",
    "libXext": "apt install libsm6 libxext6",
    "libgomp": "apt install libgomp1",
}


def python() -> Iterator[Finding]:
    """The interpreter."""
    here, (low, high) = sys.version_info[:2], PYTHONS
    fact = f"Python {sys.version.split()[0]} at {sys.executable}"
    if low <= here < high:
        yield Finding("ok", fact)
    else:
        wanted = f"from {low[0]}.{low[1]} to below {high[0]}.{high[1]}"
        yield Finding("problem", f"{fact}; expected {wanted}", "install Python 3.12, make clean, make demo")


def packages() -> Iterator[Finding | str]:
    """Those of sources, links and files."""
    yield from loaded(NEEDED)
    for name, (package, what_for) in USEFUL.items():
        yield f"loading {name}"
        if error := error_of(name):
            fact = f"{name} cannot be loaded, which is needed for {what_for}: {error}"
            yield Finding("note", fact, mend(package, error))


def loaded(needed: Mapping[str, str], mends: Mapping[str, str] | None = None) -> Iterator[Finding | str]:
    """Load what is needed, by the names of import and of package; a finding for each that fails, and one for
    all others. `mends` goes over `MENDS`."""
    well = []
    for name, package in needed.items():
        yield f"loading {name}"
        if error := error_of(name):
            yield Finding("problem", f"{name} cannot be loaded: {error}", mend(package, error, mends or {}))
        else:
            well.append(f"{package} {version_of(package)}".strip())
    if well:
        yield Finding("ok", f"loaded: {', '.join(well)}")


def error_of(name: str) -> str:
    """Why a module cannot be loaded, in one line; empty where it can."""
    try:
        importlib.import_module(name)
    except Exception as error:  # what a broken package raises is anybody's guess
        words = str(error).strip().splitlines()
        return f"{type(error).__name__}: {words[0] if words else ''}"[:SHOWN_CHARS]
    return ""


def version_of(package: str) -> str:
    """The version that is installed; empty where nobody says."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def mend(package: str, error: str, mends: Mapping[str, str] | None = None) -> str:
    """What helps against an error of a package's."""
    for part, helps in {**(mends or {}), **MENDS}.items():
        if part in error:
            return helps
    if error.startswith("ModuleNotFoundError"):
        return f"in {ROOT}: {INSTALL} (or: make demo)"
    return f"python -m pip install --force-reinstall --constraint constraints.txt {package} (in {ROOT})"
