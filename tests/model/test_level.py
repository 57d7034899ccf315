"""How loud a snippet is."""

from __future__ import annotations

import numpy as np
import pytest

from model.level import SILENCE_DBFS, level_dbfs


@pytest.mark.parametrize(
    ("samples", "dbfs"),
    [
        (np.ones(16), 0.0),
        (np.full(16, -0.1), -20.0),
        (np.sin(np.arange(16_000) * 2 * np.pi / 100), -3.0103),
        (np.zeros(16), SILENCE_DBFS),
        (np.full(16, 1e-30), SILENCE_DBFS),
    ],
)
def test_the_level_is_the_root_mean_square_in_decibels(samples: np.ndarray, dbfs: float) -> None:
    assert level_dbfs(samples.astype(np.float32)) == pytest.approx(dbfs, abs=1e-3)
