"""Small stocks of shapes, which need no art, and what is learnt from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from model.options import LocaliserOptions
from model.training.tiny import stock as stocks
from model.training.tiny.stock import Stock, StockPlan, stock

GALLERY = StockPlan(cast="gallery", split="mixed", seed=1, clips=12, side=64, artists=("shapes",))
CLIPS = replace(GALLERY, cast="scenes", split="base", clips=4, soundtracks=2)
SMALL = LocaliserOptions(
    backbone="tiny", queries=8, channels=32, heads=4, encoder_layers=1, encoder_ffn=32, decoder_layers=1,
    decoder_ffn=32, fusion_channels=32, fusion="similarity", sound_head="relations", sound_gate=True,
)  # fmt: skip


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[StockPlan], Stock]:
    """Makes a stock once in a run of the tests."""
    stocks.VOICES, stocks.VOICE_SECONDS = 2, 2  # a full bank takes a quarter of a minute
    folder: Path = tmp_path_factory.mktemp("stock")
    return lambda plan: stock(folder / f"{plan.cast}-{plan.split}", plan, 1, lambda line: None)


@pytest.fixture(scope="session")
def gallery(made: Callable[[StockPlan], Stock]) -> Stock:
    return made(GALLERY)


@pytest.fixture(scope="session")
def clips(made: Callable[[StockPlan], Stock]) -> Stock:
    return made(CLIPS)
