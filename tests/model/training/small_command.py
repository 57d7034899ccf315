"""`run_pipeline.py` with a shrunken model: python -m tests.model.training.small_command train ..."""

from __future__ import annotations

import sys
from unittest.mock import patch

import run_pipeline
from model.localiser import Localiser
from model.options import LocaliserOptions
from tests.model.small import untrained
from tests.model.training.toys import Ears


def small(options: LocaliserOptions) -> Localiser:
    """What is asked for, with fewer and narrower layers."""
    return untrained(backbone=options.backbone, window=options.window)


def main(arguments: list[str]) -> int:
    """The command, and its exit code."""
    stages = "model.training.stages."
    with patch(stages + "Localiser", small), patch.dict(stages + "AUDIO_ENCODERS", {"vggish": Ears}):
        return run_pipeline.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
