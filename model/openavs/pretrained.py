"""Opening models of `transformers` from a folder: never from a hub, never with code that lies there.

A folder is as `save_pretrained` writes it, its weights as safetensors. A network that lacks weights is
refused: `transformers` would fill them with noise and only warn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from model.errors import ModelError

INSTALL = (
    "transformers is not installed; install it: pip install 'ov-avss-live[openavs]' "
    "(or pip install -e '.[openavs]')"
)
LOCAL = {"local_files_only": True, "trust_remote_code": False}


def require_transformers() -> None:
    """Raises `ModelError` that says what to install."""
    if find_spec("transformers") is None:
        raise ModelError(INSTALL)


def kind_of(folder: Path) -> str:
    """The `model_type` of the model in a folder. Raises `ModelError` for one that holds none."""
    path = folder / "config.json"
    try:
        kind = json.loads(path.read_text("utf-8"))["model_type"]
    except OSError as error:
        told = f"found no {path} ({error.strerror}), expected a model's folder"
        raise ModelError(told) from error
    except (ValueError, LookupError, TypeError) as error:
        raise ModelError(f"{path}: names no model_type, expected a model of transformers") from error
    return str(kind)


def opened(
    folder: Path, kinds: Mapping[str, tuple[str, str]], device: torch.device, dtype: torch.dtype
) -> tuple[Any, Any]:
    """A model, ready to infer, and its processor.

    Args:
        kinds: of each `model_type` that will do, the names of the classes of the model and the processor.

    Raises:
        ModelError: transformers is not installed, or the folder holds no whole model of these kinds.
    """
    require_transformers()
    kind = kind_of(folder)
    if kind not in kinds:
        raise ModelError(f"{folder}: found a model of type {kind!r}, expected one of {', '.join(kinds)}")
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    network, processor = (getattr(transformers, name) for name in kinds[kind])
    try:
        made, told = network.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, output_loading_info=True, **LOCAL
        )
        prepares = processor.from_pretrained(folder, **LOCAL)
    except Exception as error:  # what a broken folder raises in there is anybody's guess
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{folder}: cannot be opened ({words[0][:200]})") from error
    if missing := sorted(told["missing_keys"]):
        raise ModelError(f"{folder}: lacks {len(missing)} weights, such as {missing[0]}; fetch it again")
    return made.eval().requires_grad_(False).to(device), prepares
