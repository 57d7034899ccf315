"""What a run is made with, for its record."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from model.errors import ModelError
from streaming.config import Config
from streaming.run_record import sha256_of


def what_runs(config: Config) -> dict[str, Any]:
    """For the record of a run: weights with their SHA-256 and device, as far as they are of this machine."""
    from model.checkpoint import weights_path
    from model.precision import device_of

    checkpoint, device = config.model.checkpoint, config.model.device
    if config.nodes.model.here:
        with suppress(ModelError):  # the node will say it
            device = str(device_of(device))
    file = None
    if checkpoint and checkpoint != "stand-in":
        with suppress(ModelError):  # what is fetched need not be here where the nodes are elsewhere
            file = weights_path(checkpoint)
    weights: dict[str, Any] = {"checkpoint": checkpoint, "sha256": file and sha256_of(file)}
    if config.model.family == "openavs":
        from nodes.openavs.providers import weights_files

        with suppress(ModelError):
            weights["files"] = {name: sha256_of(path) for name, path in weights_files(config).items()}
    return {"weights": weights, "device": device}
