"""Open-vocabulary classification (Section 3.4): cut-out objects and words meet in CLIP's embedding space.

CLIP comes from `open_clip`, which only describes the architecture here: the weights are given, nothing is
downloaded, nothing is trained.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.pretrained import get_pretrained_cfg
from open_clip.transformer import Transformer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from model.checkpoint import Weights
from model.errors import ModelError
from model.options import Precision
from model.prompts import TEMPLATES, WordMemory, ensemble, fingerprint, prompts

# Of the softmax over the vocabulary (the paper's epsilon); what CLIP's own logit scale was clipped to.
TEMPERATURE = 100.0
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
