"""Runs by the kinds of their nodes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from streaming import node_process, supervisor
from tests.streaming.supervision.runs import Run


@pytest.fixture
def run_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Makes a run of nodes by name, each of a kind of the zoo."""

    def make(*settings: str, **kinds: str) -> Run:
        monkeypatch.setenv("ZOO", json.dumps(kinds))
        monkeypatch.setattr(supervisor, "used_nodes", lambda config: tuple(kinds))
        return Run(*settings)

    return make


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes are started again at once."""
    monkeypatch.setattr(node_process, "RETRY_S", (0.05, 0.1))
