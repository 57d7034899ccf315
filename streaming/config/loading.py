"""From layers of settings to a checked configuration."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from streaming.complaints import complaints
from streaming.config.model import ModelConfig
from streaming.config.whole import Config
from streaming.errors import UserError
from streaming.settings import Fault, Layer, Origin, merge, read_yaml

PRESETS = Path(__file__).resolve().parents[2] / "configs"


def load(file: Path | None = None, *, model: str | None = None, settings: Iterable[Layer] = ()) -> Config:
    """The checked configuration: preset of the model, then the file, then settings.

    model: name of the preset, over what file and settings say.

    Raises `UserError` with a line for each mistake.
    """
    later = merge([*([read_yaml(file)] if file else []), *settings])
    section = later.values.get("model")
    name, origin = model or ModelConfig().name, Origin("--model")
    if not model and isinstance(section, dict) and isinstance(section.get("name"), str):
        name, origin = section["name"], later.origin(("model", "name"))
    preset = _preset(name)
    if preset is None:
        fault = Fault(origin, ("model", "name"), f"found {name!r}, expected one of {', '.join(_presets())}")
        return validate(replace(later, faults=(*later.faults, fault)))
    return validate(merge([preset, later]))


def validate(layer: Layer) -> Config:
    """A layer as a checked configuration. Raises `UserError` with a line for each mistake."""
    faults = list(layer.faults)
    try:
        config = Config.model_validate(layer.values)
    except ValidationError as error:
        faults += complaints(error, layer, Config)
    if faults:
        faults.sort(key=lambda fault: (fault.origin.file, fault.origin.line or 0))
        raise UserError("\n".join(map(str, faults)))
    return config


def _preset(name: str) -> Layer | None:
    """The preset of a model: the file in configs/ whose model bears the file's own name."""
    if f"{name}.yaml" not in os.listdir(PRESETS):
        return None
    layer = read_yaml(Path(os.path.relpath(PRESETS / f"{name}.yaml")))
    section = layer.values.get("model")
    return layer if isinstance(section, dict) and section.get("name") == name else None


def _presets() -> list[str]:
    names = []
    for path in sorted(PRESETS.glob("*.yaml")):
        with suppress(UserError):  # another file that is broken is not what is being told
            names += [path.stem] if _preset(path.stem) is not None else []
    return names
