"""Weights that somebody fetched: where a named file lies on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from model.errors import ModelError

FILES = {
    "yamnet": "yamnet_audio_classifier_with_metadata.tflite",
    "deeplab": "deeplabv3_mnv2_pascal_quant_513.tflite",
}


def found(name: str) -> Path:
    """The file of a named set of weights, in the folder that `OV_AVSS_CACHE` names.

    Raises:
        ModelError: it is not there.
    """
    cache = os.environ.get("OV_AVSS_CACHE") or "~/.cache/ov-avss-live"
    path = Path(cache).expanduser() / FILES[name]
    if not path.is_file():
        raise ModelError(f"{name} is not here; fetch it: python run_pipeline.py weights fetch {name}")
    return path
