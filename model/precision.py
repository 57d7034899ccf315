"""Which device and which arithmetic to use: `auto` takes bfloat16 where the hardware computes it natively.

Parity and evaluation want float32; a live picture wants the half of the time and memory that bfloat16 saves.
"""

from __future__ import annotations

import torch

from model.errors import ModelError
from model.options import Precision


def device_of(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` as a device; raises `ModelError` for a GPU that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"model.device: found {name!r}, but torch sees {torch.cuda.device_count()} GPUs here"
        )
    return device


def dtype_of(precision: Precision, device: torch.device | str = "cpu") -> torch.dtype:
    """The number format that `precision` means on `device`."""
    if precision == "auto":
        return torch.bfloat16 if computes_bfloat16(torch.device(device)) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; elsewhere it is emulated, and slow."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16") or has.get("bf16"))
