"""Weights from elsewhere: every form that is published, and nothing that a file would like to do."""

from __future__ import annotations

import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from model.errors import ModelError
from model.training.arrays import read_tensors

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.tensor(2.0)}
ARRAYS = {name: value.numpy() for name, value in TENSORS.items()}


def pickled(content: Any, protocol: int = 4) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(pickle.dumps(content, protocol))


def scripted(path: Path) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(3, 2, bias=False)
            self.b = nn.Parameter(TENSORS["b"].clone())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x) * self.b

    module = Two()
    module.a.weight.data.copy_(TENSORS["a.weight"])
    torch.jit.save(torch.jit.trace(module, torch.zeros(1, 3)), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        pytest.param("m.pkl", pickled({"model": ARRAYS, "__author__": "Third"}), id="detectron2"),
        pytest.param("m.pkl", pickled(OrderedDict(ARRAYS), 2), id="pickled long ago"),
        pytest.param("m.pkl", pickled({"model": ARRAYS}, 5), id="pickled lately"),
        pytest.param("m.pth", lambda path: torch.save({"model": TENSORS, "iteration": 3}, path), id="model"),
        pytest.param("m.pt", lambda path: torch.save({"state_dict": TENSORS}, path), id="state_dict"),
        pytest.param("m.pth", lambda path: torch.save(TENSORS, path), id="plain"),
        pytest.param(
            "m.pth",
            lambda path: torch.save(TENSORS, path, _use_new_zipfile_serialization=False),
            id="before torch 1.6",
        ),
        pytest.param("m.safetensors", lambda path: save_file(TENSORS, path), id="safetensors"),
        pytest.param("m.pt", scripted, id="OpenAI's archive"),
    ],
)
def test_every_form_that_is_published(tmp_path: Path, name: str, write: Callable[[Path], None]) -> None:
    write(tmp_path / name)
    found = read_tensors(tmp_path / name)
    assert found.keys() == TENSORS.keys()
    for key, value in TENSORS.items():
        torch.testing.assert_close(found[key], value)


def test_names_of_numpy_before_and_after_its_second_version_are_known(tmp_path: Path) -> None:
    new = pickle.dumps({"model": {"a": np.float32([1, 2]), "b": np.float64(3)}}, 2)
    old = new.replace(b"numpy._core", b"numpy.core")
    for content in (new, old):
        (tmp_path / "m.pkl").write_bytes(content)
        if content == old:
            assert b"numpy.core.multiarray" in content
        with pytest.raises(ModelError, match="b: found float64, expected a tensor"):
            read_tensors(tmp_path / "m.pkl")


class Trap:
    """Would write a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["m.pkl", "m.pth"])
def test_nothing_that_a_file_brings_along_is_run(tmp_path: Path, name: str) -> None:
    content = {"model": {"a": Trap(tmp_path / "sprung")}}
    if name.endswith(".pkl"):
        pickled(content)(tmp_path / name)
    else:
        torch.save(content, tmp_path / name)
    with pytest.raises(ModelError, match=rf"{name}: cannot be read as weights .* nothing but numbers in it"):
        read_tensors(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("what", ["builtins.eval", "os.system", "numpy.load", "torch.load", "_codecs.decode"])
def test_what_is_refused_is_named(tmp_path: Path, what: str) -> None:
    module, name = what.split(".")
    (tmp_path / "m.pkl").write_bytes(f"c{module}\n{name}\n(S'x'\ntR.".encode())
    before = set(sys.modules)
    with pytest.raises(ModelError, match=rf"it asks for {module}\.{name}"):
        read_tensors(tmp_path / "m.pkl")
    assert set(sys.modules) == before


def test_bytes_are_made_of_latin_1_only(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"c_codecs\nencode\n(VeA==\nVbase64\ntR.")
    with pytest.raises(ModelError, match="it asks for the encoding base64"):
        read_tensors(tmp_path / "m.pkl")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([1, 2], "found list, expected tensors by name"),
        ({}, "found dict, expected tensors by name"),
        ({"model": {"a": "text"}}, "a: found str, expected a tensor"),
        ({"model": {3: np.zeros(2)}}, "3: found ndarray, expected a tensor"),
    ],
)
def test_what_holds_no_weights_is_told(tmp_path: Path, content: Any, told: str) -> None:
    pickled(content)(tmp_path / "m.pkl")
    with pytest.raises(ModelError, match=told):
        read_tensors(tmp_path / "m.pkl")


def test_a_file_that_is_not_there_or_torn_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"m\.pkl: no such file"):
        read_tensors(tmp_path / "m.pkl")
    pickled({"model": ARRAYS})(tmp_path / "m.pkl")
    (tmp_path / "m.pkl").write_bytes((tmp_path / "m.pkl").read_bytes()[:50])
    with pytest.raises(ModelError, match="cannot be read as weights"):
        read_tensors(tmp_path / "m.pkl")
