"""What a run leaves on disk: checkpoints to go on from, and weights in the authors' layout.

A file is written under another name first, so what bears its own name is always whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from model.checkpoint import checkpoint_name
from model.errors import ModelError

CHECKPOINT = re.compile(r"step-(\d+)\.pt")


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after `step` steps.

    `settings` is what decided it so far: another value of any of them would have led elsewhere.
    """

    step: int
    settings: Mapping[str, Any]
    module: Mapping[str, Tensor]
    optimiser: Mapping[str, Any]

    def write(self, folder: Path, keep: int) -> Path:
        """Writes it into a folder, where the newest `keep` stay. Raises `ModelError`."""
        path = folder / f"step-{self.step:08d}.pt"
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        whole(path, lambda draft: torch.save(content, draft))
        for old in checkpoints(folder)[:-keep]:
            old.unlink(missing_ok=True)
        return path

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Raises `ModelError`."""
        try:
            return cls(**torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # torch raises many kinds, and all mean the same to the user
            told = f"cannot be read as a checkpoint of training ({type(error).__name__})"
            raise ModelError(f"{path}: {told}; remove it, and the one before is taken") from error

    def require(self, settings: Mapping[str, Any], path: Path) -> None:
        """Raises `ModelError` if it came about under other settings."""
        if difference := first_difference(self.settings, settings):
            raise ModelError(
                f"{path}: {difference}; go on with the settings of before, or begin anew with another --out"
            )


def checkpoints(folder: Path) -> list[Path]:
    """Those in a folder, oldest first."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if CHECKPOINT.fullmatch(path.name))


def first_difference(before: Any, now: Any, at: str = "") -> str | None:
    """What differs first between two trees of settings, in words; None if nothing does."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in [*before, *(key for key in now if key not in before)]:
            inner = f"{at}.{key}" if at else str(key)
            if told := first_difference(before.get(key), now.get(key), inner):
                return told
        return None
    if isinstance(before, list | tuple) and isinstance(now, list | tuple):
        before, now = list(before), list(now)
    return None if before == now else f"{at} was {before} and is {now} now"


def tensors_of(parts: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The weights of modules under their names in a checkpoint, each as the part that it is."""
    return {
        checkpoint_name(part, own): value.detach().cpu().contiguous().clone()
        for part, module in parts.items()
        for own, value in module.state_dict().items()
    }


def write_tensors(tensors: Mapping[str, Tensor], path: Path, marks: Mapping[str, str] | None = None) -> None:
    """Safetensors, with texts beside them. Raises `ModelError`."""
    whole(path, lambda draft: save_file(dict(tensors), draft, metadata=dict(marks or {})))


def whole(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` make a file, which has its name only when all of it is on disk. Raises `ModelError`."""
    draft = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    # A full disk is told by torch as a RuntimeError, by safetensors as one of its own.
    except (OSError, RuntimeError, SafetensorError) as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise ModelError(f"{path}: cannot be written: {error}") from error
