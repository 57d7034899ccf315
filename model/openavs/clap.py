"""Audio to text by CLAP: which of any words a second of sound is closest to.

Sam4AVS hears like this: a second at a time, the best one or two words, and nothing is ever held for silence
(the rules are there for that).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from model.errors import ModelError
from model.openavs.pretrained import opened
from model.options import Precision
from model.precision import dtype_of

KINDS = {"clap": ("ClapModel", "ClapProcessor")}
SENTENCE = "This is a sound of {}."  # as CLAP's authors ask it about classes
RATE_HZ = 16_000
WORDS_AT_ONCE = 64


class Clap:
    """Ears for any words.

    Args:
        words: what there is to choose from.
        most: how many of them a snippet is given, the closest ones.

    Raises:
        ModelError: see `opened`; or it wants sound at a rate that is none.
    """

    def __init__(
        self,
        path: Path,
        words: Sequence[str],
        *,
        most: int = 2,
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
    ) -> None:
        self.words, self.most, self.device = tuple(words), most, torch.device(device)
        self.dtype = dtype_of(precision, self.device)
        self._model, self._prepares = opened(path, KINDS, self.device, self.dtype)
        self.rate_hz = int(self._prepares.feature_extractor.sampling_rate)
        if self.rate_hz <= 0:
            raise ModelError(f"{path}: found a sampling rate of {self.rate_hz}, expected one above 0")
        self._texts = torch.cat(
            [self._encoded(self.words[i : i + WORDS_AT_ONCE]) for i in range(0, len(words), WORDS_AT_ONCE)]
        )  # (K, D)

    @torch.inference_mode()
    def sounds(self, wave: NDArray[np.float32]) -> dict[str, float]:
        """Samples (16,000,) of 16 kHz mono -> the closest words with their shares of all, surest first."""
        wave = soxr.resample(wave, RATE_HZ, self.rate_hz) if self.rate_hz != RATE_HZ else wave
        heard = self._prepares.feature_extractor(wave, sampling_rate=self.rate_hz, return_tensors="pt")
        found = self._model.get_audio_features(
            input_features=heard["input_features"].to(self.device, self.dtype),
            is_longer=heard["is_longer"].to(self.device),
        ).pooler_output.float()  # (1, D), of unit length
        logits = (found @ self._texts.T)[0] * self._model.logit_scale_a.float().exp()
        shares = logits.softmax(0).cpu()
        best = shares.argsort(descending=True, stable=True)[: self.most].tolist()
        return {self.words[i]: round(float(shares[i]), 4) for i in best}

    @torch.inference_mode()
    def _encoded(self, words: Sequence[str]) -> torch.Tensor:
        """(k, D), of unit length."""
        sentences = [SENTENCE.format(word) for word in words]
        asked = self._prepares.tokenizer(sentences, padding=True, truncation=True, return_tensors="pt")
        given = {name: asked[name].to(self.device) for name in ("input_ids", "attention_mask")}
        return self._model.get_text_features(**given).pooler_output.float()
