"""Lines of results, as far as a set of pseudo-labels is made of them, and such sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.pseudo.layout import Numbers, write_clip, write_index
from model.pseudo.pieces import uid_of
from model.rle import encode_mask

SIDE = 64
Claimed = tuple[int, str, float, float, float, NDArray[np.bool_]]  # id, label, sounding, p, certainty, mask


def square(place: int) -> NDArray[np.bool_]:
    """One of eight bands of the picture, (64, 64)."""
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[8 * place : 8 * place + 8] = True
    return mask


def line(
    seq: int, tracks: Sequence[Claimed] = (), *, gap: bool = False, generation: int = 0
) -> dict[str, Any]:
    told = [
        {
            "id": id_, "label": label, "labels": [{"name": label, "p": p}], "sounding": sounding,
            "certainty": certainty, "mask": encode_mask(mask), "box": [0, 0, 1, 1], "area": int(mask.sum()),
        }
        for id_, label, sounding, p, certainty, mask in tracks
    ]  # fmt: skip
    return {
        "generation": generation, "seq": seq, "t_s": float(seq), "gap": gap, "tracks": told,
        "audio_dbfs": -20.0, "offscreen": False,
    }  # fmt: skip


def claimed_set(root: Path, *clips: Sequence[Sequence[Claimed]]) -> Path:
    """A set of clips, each of seconds in which objects are claimed."""
    numbers, made = Numbers(root), []
    for place, seconds in enumerate(clips):
        piece = [line(seq, tracks) for seq, tracks in enumerate(seconds)]
        frames = [np.full((SIDE, SIDE, 3), 40 * seq, np.uint8) for seq in range(len(piece))]
        audio = np.zeros((len(piece), 16_000), np.float32)
        file = f"{place}.mp4"
        made.append(write_clip(root, uid_of(file, 0), file, piece, frames, audio, numbers))
    write_index(root, made, {"model": "made up"}, numbers)
    return root
