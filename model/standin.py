"""Stand-in weights: values that a checkpoint entry's name, shape and a salt decide, and nothing else.

Two programs that agree on names and shapes hold the same numbers without a file between them. The numbers
mean nothing to a user; they let a model be compared with the authors' code, and a pipeline be exercised,
before a trained checkpoint is at hand.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor, nn

# Entries that stand beside activations rather than multiply them keep the unit spread of the noise.
_EMBEDDINGS = (
    "query_feat.weight",
    "query_embed.weight",
    "audio_query_embed.weight",
    "level_embed.weight",
    "level_embed",
)
# The last matrix of a residual branch: small, so that a deep stack does not blow up.
_BRANCH_ENDS = ("out_proj.weight", "linear2.weight")


def seeded_tensor(name: str, shape: tuple[int, ...], salt: int) -> np.ndarray:
    """The float32 stand-in for the checkpoint entry `name` of `shape`, for `salt`."""
    values = np.empty(shape, dtype=np.float32)
    _fill(values, name, salt)
    return values


def fill_with_stand_in(
    target: nn.Module | Mapping[str, Tensor], salt: int, *, name_of: Callable[[str], str] = str
) -> None:
    """Overwrite every floating-point entry of a module's state, or of named tensors, in place.

    `name_of` turns an entry's own name into the checkpoint's, which is what decides its values. Integer
    entries (indices, counters) keep theirs.
    """
    entries = target.state_dict() if isinstance(target, nn.Module) else target
    # NumPy's generators let go of the interpreter lock, and no entry depends on another.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        for _ in threads.map(lambda entry: _overwrite(entry[1], name_of(entry[0]), salt), entries.items()):
            pass  # a failure in a thread is raised here


@torch.no_grad()
def _overwrite(tensor: Tensor, name: str, salt: int) -> None:
    if not tensor.is_floating_point():
        return
    if tensor.dtype == torch.float32 and tensor.device.type == "cpu" and tensor.is_contiguous():
        _fill(tensor.detach().numpy(), name, salt)  # the array shares the tensor's memory
    else:
        tensor.copy_(torch.from_numpy(seeded_tensor(name, tuple(tensor.shape), salt)))


def _fill(values: np.ndarray, name: str, salt: int) -> None:
    """Draw the noise straight into `values`, then bring it to the centre and spread its name asks for."""
    generator = np.random.default_rng([zlib.crc32(name.encode()), salt])
    generator.standard_normal(out=values, dtype=np.float32)
    if name.rsplit(".", 1)[-1] == "running_var":
        np.abs(values, out=values)  # a variance is positive
    centre, spread = _centre_and_spread(name, values.shape)
    # Rounded after each step, in this order: the values are agreed on to the last bit.
    if spread != 1.0:
        values *= np.float32(spread)
    if centre != 0.0:
        values += np.float32(centre)


def _centre_and_spread(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    leaf = name.rsplit(".", 1)[-1]
    match leaf:
        case "running_var":
            return 1.0, 0.2
        case "running_mean":
            return 0.0, 0.1
        case "gamma_v" | "gamma_l":  # fusion gates: large enough for sound to matter
            return 0.5, 0.1
        case _ if "sampling_offsets" in name:
            return 0.0, 0.02 if leaf == "weight" else 1.5
        case "relative_position_bias_table":
            return 0.0, 0.2
        case _ if len(shape) == 1:  # a norm's scale, or a bias
            return (1.0, 0.1) if leaf == "weight" else (0.0, 0.1)
        case _ if name.endswith(_EMBEDDINGS):
            return 0.0, 1.0
    # A matrix keeps the variance of what it multiplies.
    return 0.0, (0.05 if name.endswith(_BRANCH_ENDS) else 1.4) / math.sqrt(math.prod(shape[1:]))
