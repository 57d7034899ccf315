"""Opening a network for LiteRT, the runtime of TensorFlow Lite's files; what is missing is told in a line."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import ModelError

INSTALL = (
    "LiteRT is not installed; install it: pip install 'ov-avss-live[edge]' (or pip install -e '.[edge]')"
)


def require_litert() -> None:
    """Raises `ModelError` that says what to install."""
    if find_spec("ai_edge_litert") is None:
        raise ModelError(INSTALL)


class Network:
    """One input, one output.

    Args:
        content: the network, where it is not what lies at `path`.

    Raises:
        ModelError: LiteRT is not installed, or the file is not a network of the expected input.
    """

    def __init__(
        self, path: Path, input_shape: tuple[int, ...], threads: int = 1, *, content: bytes | None = None
    ) -> None:
        require_litert()
        from ai_edge_litert.interpreter import Interpreter

        given: dict[str, Any] = {"model_path": str(path)} if content is None else {"model_content": content}
        try:
            with _unsaid():
                self._net: Any = Interpreter(**given, num_threads=threads)
                if content is not None:  # the shapes in between are of another input
                    self._net.resize_tensor_input(self._net.get_input_details()[0]["index"], input_shape)
                self._net.allocate_tensors()
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"{path}: not a TensorFlow Lite network ({str(error).splitlines()[0]})"
            ) from error
        (taken, *more), (made, *_) = self._net.get_input_details(), self._net.get_output_details()
        if more or tuple(taken["shape"]) != input_shape:
            shape = tuple(taken["shape"].tolist())
            raise ModelError(f"{path}: found a network for inputs of {shape}, expected {input_shape}")
        self._input, self._output = taken["index"], made["index"]
        self.output_shape = tuple(made["shape"].tolist())
        self.scale, self.zero = made["quantization"]  # of an output of integers

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self._net.set_tensor(self._input, x)
        self._net.invoke()
        return self._net.get_tensor(self._output)


@contextmanager
def _unsaid() -> Iterator[None]:
    """Keeps off standard error what LiteRT says of each network that it opens; faults come as exceptions."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def labels_in(path: Path) -> list[str]:
    """The names of a network's classes: its metadata is a zip archive at its end.

    Raises:
        ModelError: there is none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (name, *_) = archive.namelist()
            return archive.read(name).decode("utf-8").splitlines()
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: holds no names of its classes, expected a file with metadata") from error
