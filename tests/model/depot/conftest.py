"""A table of weights that a server on loopback has, and an empty folder for them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import model.depot.download
import model.depot.table
from tests.model.depot.server import Server

CONTENT = random.Random(0).randbytes(300_000)


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server(CONTENT)
    yield one
    one.close()


@pytest.fixture
def table(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table's file: `ears` is known well, `eyes` by address alone, `hands` is got by hand."""
    about = {
        "ears": {
            "presets": ["small"],
            "files": {
                "ears.bin": {
                    "address": f"{server.url}/models/ears.bin",
                    "bytes": len(CONTENT),
                    "sha256": hashlib.sha256(CONTENT).hexdigest(),
                }
            },
        },
        "eyes": {"presets": ["small"], "files": {"eyes.bin": {"address": f"{server.url}/eyes.bin"}}},
        "hands": {"files": {"hands.bin": None}, "by_hand": "ask for hands.bin"},
    }
    for one in about.values():
        one |= {"purpose": "tests", "licence": "none"}
    file = tmp_path / "table.yaml"
    file.write_text(yaml.safe_dump(about, sort_keys=False))
    monkeypatch.setattr(model.depot.table, "TABLE", file)
    return file


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the test's own, no mirror, no proxy, and no waiting between tries."""
    monkeypatch.setenv("OV_AVSS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OV_AVSS_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(model.depot.download, "WAITS_S", (0.0,) * 5)
