"""Audio to text by YAMNet: 521 sounds of AudioSet, by their names, in a millisecond of processor time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.errors import ModelError
from model.openavs.litert import Network, labels_in

SAMPLES = 15_600  # 0.975 s at 16 kHz: a snippet's last 25 ms are not heard, the next one's window has them
FLOOR = 0.005  # of 521 scores most are next to nothing; a tag this weak decides nothing


class Yamnet:
    """Raises `ModelError` for a file that is not YAMNet with its metadata."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._network = Network(path, (SAMPLES,), threads)
        self._names = labels_in(path)
        if self._network.output_shape != (1, len(self._names)):
            found = f"{self._network.output_shape} scores of {len(self._names)} names"
            raise ModelError(f"{path}: found {found}, expected one score for each")

    def sounds(self, wave: NDArray[np.float32]) -> dict[str, float]:
        """Samples (16,000,) of 16 kHz mono -> AudioSet names with scores, surest first."""
        scores = self._network(np.ascontiguousarray(wave[:SAMPLES]))[0]
        order = np.argsort(-scores, kind="stable")
        return {self._names[i]: round(float(scores[i]), 4) for i in order if scores[i] >= FLOOR}
