"""Curves and pictures of a run, for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from torch import Tensor

from model.errors import ModelError


class Board:
    """Writes into a folder that TensorBoard watches; without a folder it writes nothing.

    What an interrupted run wrote after `step` is dropped, for it comes again. Raises `ModelError` if
    TensorBoard is not installed.
    """

    def __init__(self, folder: Path | None, step: int = 0) -> None:
        self._writer = None
        if folder is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ModelError(
                    "TensorBoard is not installed: pip install tensorboard, or set run.tensorboard to false"
                ) from error
            self._writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Points of curves, by name; what stands before a slash groups them."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def pictures(self, step: int, pictures: Mapping[str, Tensor]) -> None:
        """Pictures (3, H, W) uint8, by name."""
        if self._writer is not None:
            for name, picture in pictures.items():
                self._writer.add_image(name, picture.cpu(), step)
