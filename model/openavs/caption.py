"""Audio to text by a captioner: a sentence about a second of sound.

Captioners that were made of Whisper are taken, as they can be opened without code of their authors'. Such a
model is told what is wanted of it by the words that its caption begins with; these are no part of the text.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model.errors import ModelError
from model.openavs.pretrained import opened
from model.options import Precision
from model.precision import dtype_of

KINDS = {"whisper": ("WhisperForConditionalGeneration", "WhisperProcessor")}
RATE_HZ = 16_000
MOST_TOKENS = 32
MOST_CHARS = 200


class Captioner:
    """Ears that write sentences.

    Args:
        begins: the words that every caption begins with, as the model was trained.

    Raises:
        ModelError: see `opened`; or it wants sound at another rate than 16 kHz.
    """

    def __init__(
        self,
        path: Path,
        begins: str = "",
        *,
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
    ) -> None:
        self.device = torch.device(device)
        self.dtype = dtype_of(precision, self.device)
        self._model, self._prepares = opened(path, KINDS, self.device, self.dtype)
        if (found := self._prepares.feature_extractor.sampling_rate) != RATE_HZ:
            raise ModelError(f"{path}: hears at {found} Hz, expected {RATE_HZ}")
        tokenizer = self._prepares.tokenizer
        begun = [*tokenizer.prefix_tokens, *tokenizer.encode(begins, add_special_tokens=False)]
        self._begun = torch.tensor([begun], device=self.device)  # (1, P)

    @torch.inference_mode()
    def sounds(self, wave: NDArray[np.float32]) -> dict[str, float]:
        """Samples (16,000,) of 16 kHz mono -> a sentence, with the score 1; nothing where it has no words."""
        heard = self._prepares.feature_extractor(wave, sampling_rate=RATE_HZ, return_tensors="pt")
        tokens = self._model.generate(
            heard["input_features"].to(self.device, self.dtype),
            decoder_input_ids=self._begun,
            max_new_tokens=MOST_TOKENS,
            do_sample=False,
            num_beams=1,
        )
        (written,), (begun,) = tokens, self._begun
        written = written[len(begun) :] if starts_with(written, begun) else written
        text = one_line(self._prepares.tokenizer.decode(written, skip_special_tokens=True))
        return {text: 1.0} if text else {}


def starts_with(tokens: torch.Tensor, begun: torch.Tensor) -> bool:
    """Whether tokens (n,) begin with others (p,): the library gives them back in some versions."""
    return len(tokens) >= len(begun) and torch.equal(tokens[: len(begun)], begun)


def one_line(text: str) -> str:
    """
    >>> one_line("  A dog\\nbarks. \\x00")
    'A dog barks.'
    """
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:MOST_CHARS]
