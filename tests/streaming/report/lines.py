"""Results made by hand, for reports about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from model.rle import box_and_area, encode_mask

HOSTILE = "</script><img src=x onerror=alert(1)>"


def track(
    number: int, label: str | None = "dog", p: float = 0.8, *rivals: tuple[str, float], **more: Any
) -> dict:
    mask = np.zeros((48, 64), bool)
    mask[10:30, 20:44] = True
    rle = encode_mask(mask)
    box, area = box_and_area(rle)
    labels = [{"name": name, "p": one} for name, one in ((label, p), *rivals) if name is not None]
    whole = {"id": number, "label": label, "labels": labels, "sounding": 0.9, "mask": rle}
    return whole | {"box": box, "area": area} | more


def line(seq: int, *tracks: dict, **more: Any) -> dict[str, Any]:
    """A result of each second, offscreen and silent unless told."""
    return {
        "v": 1,
        "source": "clip",
        "generation": 0,
        "seq": seq,
        "t_s": float(seq),
        "window_fill": 5,
        "tracks": list(tracks),
        "audio_dbfs": -20.0,
        "offscreen": False,
        "has_audio": True,
        "gap": False,
        "vocabulary_revision": 1,
        "stage_ms": {"capture": 2.0, "model": 40.0},
        "latency_ms": 100.0,
        "wall_time": f"2026-03-01T12:{seq // 60 % 60:02d}:{seq % 60:02d}.000Z",
    } | more


def written(folder: Path, *lines: dict[str, Any], tail: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(one) + "\n" for one in lines)
    (folder / "results.jsonl").write_text(text + tail, "utf-8")
    return folder
