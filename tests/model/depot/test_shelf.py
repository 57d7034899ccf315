"""Where weights lie, and what is told of those that do not."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from model import depot
from model.depot.shelf import folder, named
from model.errors import ModelError
from tests.model.depot.conftest import CONTENT


@pytest.fixture(autouse=True)
def no_network(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`table` first: its server has a socket."""

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("the network is used")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture
def ears() -> Path:
    path = folder() / "ears" / "ears.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return path


def test_what_is_here_is_found(ears: Path) -> None:
    assert depot.found("ears") == ears


def test_what_is_not_here_is_told_with_the_command() -> None:
    told = "ears is not here; fetch it: python run_pipeline.py weights fetch ears"
    with pytest.raises(ModelError, match=f"^{told}$"):
        depot.found("ears")


def test_what_is_got_by_hand_says_so() -> None:
    told = (
        "hands is not here; ask for hands.bin, then: python run_pipeline.py weights fetch hands --from FOLDER"
    )
    with pytest.raises(ModelError, match=f"^{told}$"):
        depot.found("hands")


def test_a_part_is_not_found(ears: Path) -> None:
    ears.rename(ears.with_name("ears.bin.part"))
    with pytest.raises(ModelError, match=r"^ears is not here"):
        depot.found("ears")


def test_another_size_is_told(ears: Path) -> None:
    ears.write_bytes(CONTENT[:-1])
    told = f"{ears}: has 299999 bytes, expected 300000; fetch it again: "
    with pytest.raises(ModelError, match="^" + re.escape(told)):
        depot.found("ears")


def test_a_name_that_a_person_typed_may_be_wrong(ears: Path) -> None:
    assert named("ears") == ears
    with pytest.raises(ModelError, match=r"found 'eras'.*close to it: ears"):
        named("eras")
    with pytest.raises(ModelError, match="'small' is a preset, expected one set of weights"):
        named("small")


def test_the_folder_goes_where_variables_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert folder() == tmp_path / "cache" / "weights"
    monkeypatch.delenv("OV_AVSS_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert folder() == tmp_path / "xdg" / "ov-avss-live" / "weights"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert folder() == tmp_path / ".cache" / "ov-avss-live" / "weights"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert folder() == tmp_path / ".cache" / "ov-avss-live" / "weights"
    monkeypatch.setenv("OV_AVSS_CACHE", "~/there")
    assert folder() == tmp_path / "there" / "weights"
