"""The files that a configuration of OpenAVS stands on: weights and the translation table."""

from __future__ import annotations

from pathlib import Path

from model.depot import found
from model.errors import ModelError
from model.openavs.litert import require_litert
from model.openavs.table import OWN, Table
from streaming.config import Config


def weights_of(config: Config) -> dict[str, Path]:
    """The files that the configured providers need. Raises `ModelError` for one that is not here."""
    o = config.openavs
    return {
        "yamnet": Path(o.yamnet) if o.yamnet else found("yamnet"),
        "deeplab": Path(o.deeplab) if o.deeplab else found("deeplab"),
    }


def require_providers(config: Config) -> None:
    """Raises `ModelError` in one line for what is missing, before any process starts."""
    require_litert()
    for name, path in weights_of(config).items():
        if not path.is_file():
            raise ModelError(f"openavs.{name}: found no file {path}, expected the network's .tflite file")
    table_of(config)


def table_of(config: Config) -> Table:
    """The configured translation table. Raises `ModelError`."""
    return Table(Path(config.openavs.table) if config.openavs.table else OWN)
