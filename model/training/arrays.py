"""Files of weights from elsewhere, read as named tensors and nothing more.

A pickle can make Python call anything. Here it can only make arrays and put them into dictionaries.
"""

from __future__ import annotations

import codecs
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from model.errors import ModelError

HARMLESS = {
    ("collections", "OrderedDict"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *(
        (f"numpy.{core}.multiarray", name)
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    ),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}
NESTED = ("model", "state_dict")  # keys under which tensors may lie
KINDS = ".pkl (detectron2), .pth, .pt or .safetensors"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file. Raises `ModelError` if it is none of weights, or holds anything else."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file of weights")
    try:
        content = _content(path)
    except Exception as error:  # the formats' readers raise many kinds, and all mean the same to the user
        told = f"cannot be read as weights ({type(error).__name__}: {str(error).splitlines()[0][:100]})"
        raise ModelError(f"{path}: {told}; expected {KINDS} with nothing but numbers in it") from error
    for key in NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise ModelError(f"{path}: found {type(content).__name__}, expected tensors by name")
    tensors = {}
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor | np.ndarray):
            raise ModelError(f"{path}: {name}: found {type(value).__name__}, expected a tensor")
        tensors[name] = value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    return tensors


def _content(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    if path.suffix == ".pkl":
        with path.open("rb") as file:
            return Arrays(file, encoding="latin1").load()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            scripted = any(name.endswith("/constants.pkl") for name in archive.namelist())
        if scripted:  # as OpenAI publishes CLIP; what is in it is not run
            return torch.jit.load(path, map_location="cpu").state_dict()
    return torch.load(path, map_location="cpu", weights_only=True)


class Arrays(pickle.Unpickler):
    """Refuses whatever is not needed to make arrays of numbers."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):  # how Python 2 style pickles write bytes
            return _latin1
        if (module, name) in HARMLESS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return codecs.encode(text, "latin1")
