"""How loud a snippet is."""

from __future__ import annotations

import numpy as np

SILENCE_DBFS = -120.0


def level_dbfs(audio: np.ndarray) -> float:
    """Root mean square of samples in [-1, 1] in decibels below full scale; silence is -120."""
    power = float(np.mean(np.square(audio, dtype=np.float64)))
    return max(SILENCE_DBFS, 10 * float(np.log10(power))) if power > 0 else SILENCE_DBFS
