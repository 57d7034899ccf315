"""What torch can do here, and whether the weights that come with the project are whole: plain facts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from model.checkpoint import SHELF
from model.errors import ModelError
from model.precision import computes_bfloat16

SUMS = "SHA256SUMS"  # beside the weights, as `sha256sum --check` reads it


@dataclass(frozen=True)
class Device:
    """memory_mib: all that it has; None for the processor, which shares the machine's."""

    name: str
    model: str
    bfloat16: bool
    memory_mib: int | None = None


def devices() -> list[Device]:
    """The processor, and each GPU that torch can use.

    Raises:
        RuntimeError: torch finds a GPU and cannot talk to it.
    """
    cpu = Device("cpu", f"{torch.get_num_threads()} threads", computes_bfloat16(torch.device("cpu")))
    gpus = []
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        bfloat16 = computes_bfloat16(torch.device("cuda", index))
        gpus.append(Device(f"cuda:{index}", about.name, bfloat16, about.total_memory >> 20))
    return [cpu, *gpus]


def checked_weights(shelf: Path = SHELF) -> list[str]:
    """The names of the files of weights that come with the project; each is what was put there.

    Raises:
        ModelError: one is missing, or holds other bytes.
    """
    try:
        lines = [line.split() for line in (shelf / SUMS).read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise ModelError(f"{shelf / SUMS}: cannot be read ({error.strerror})") from error
    for digest, name in lines:
        try:
            with (shelf / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"{shelf / name}: cannot be read ({error.strerror})") from error
        if found != digest:
            raise ModelError(f"{shelf / name}: its SHA-256 begins with {found[:12]}, expected {digest[:12]}")
    return [name for _, name in lines]
