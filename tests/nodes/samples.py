"""Messages for tests of the nodes: small, valid, and any field to be changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from model.rle import box_and_area, encode_mask
from streaming.messages import End, Features, Preview, Result, Snippet, SoundingMasks

NS = 1_000_000_000
SAMPLES = 16_000


def noise(seed: int, *shape: int) -> np.ndarray:
    """Bytes without meaning, always the same for a seed."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def snippet(seq: int, **changes: Any) -> Snippet:
    whole = Snippet(
        source="cam",
        generation=0,
        seq=seq,
        t_ns=seq * NS,
        emitted_ns=7,
        stage_ms={"capture": 1.0},
        frame=noise(seq, 24, 32, 3),
        audio=np.full(SAMPLES, 0.1, np.float32),
        frame_t_ns=(seq + 1) * NS - 1,
        has_audio=True,
    )
    return replace(whole, **changes)


def features(seq: int, **changes: Any) -> Features:
    whole = Features(
        source="cam",
        generation=0,
        seq=seq,
        t_ns=seq * NS,
        emitted_ns=7,
        stage_ms={"capture": 1.0, "feature": 2.0},
        image=noise(seq, 24, 32, 3),
        audio_embedding=np.ones(16, np.float32),
        frame_size=(48, 64),
        frame_t_ns=(seq + 1) * NS - 1,
        has_audio=True,
        audio_dbfs=-20.0,
    )
    return replace(whole, **changes)


def sounding_masks(seq: int, logits: np.ndarray, ids: list[int], **changes: Any) -> SoundingMasks:
    """logits (N, h, w): one mask for each of `ids`, a quarter of the padded picture's size."""
    height, width = (4 * side for side in logits.shape[1:])
    whole = SoundingMasks(
        source="cam",
        generation=0,
        seq=seq,
        t_ns=seq * NS,
        emitted_ns=7,
        stage_ms={"capture": 1.0},
        image=noise(seq, height, width, 3),
        mask_logits=logits.astype(np.float16),
        tracks=[{"id": id, "sounding": 0.9} for id in ids],
        padded_size=(height, width),
        frame_size=(height, width),
        frame_t_ns=(seq + 1) * NS - 1,
        has_audio=True,
        audio_dbfs=-20.0,
        window_fill=1,
    )
    return replace(whole, **changes)


def result(seq: int, ids: list[int] | None = None, **changes: Any) -> Result:
    """A result with a square mask, called a dog, for each of `ids`."""
    tracks = []
    for id in ids or []:
        mask = np.zeros((48, 64), np.bool_)
        mask[8:24, 4 * id : 4 * id + 12] = True
        rle = encode_mask(mask)
        box, area = box_and_area(rle)
        labels = [{"name": "dog", "p": 0.9}, {"name": "cat", "p": 0.1}]
        about = {"id": id, "label": "dog", "labels": labels, "sounding": 0.8}
        tracks.append(about | {"mask": rle, "box": box, "area": area})
    whole = Result(
        source="cam",
        generation=0,
        seq=seq,
        t_ns=seq * NS,
        emitted_ns=7,
        stage_ms={"capture": 1.0, "decode": 10.0 * (seq + 1)},
        tracks=tracks,
        frame_size=(48, 64),
        frame_t_ns=(seq + 1) * NS - 1,
        has_audio=True,
        audio_dbfs=-20.0,
        offscreen=False,
        window_fill=1,
        vocabulary_revision=1,
    )
    return replace(whole, **changes)


def preview(seq: int, jpegs: list[bytes], **changes: Any) -> Preview:
    """The second of snippet `seq`, its pictures evenly spread."""
    whole = Preview(
        source="cam",
        generation=0,
        seq=seq,
        t_ns=seq * NS,
        emitted_ns=7,
        jpegs=jpegs,
        frame_t_ns=[seq * NS + i * NS // len(jpegs) for i in range(len(jpegs))],
        audio=np.zeros((8000, 1), np.int16),
        audio_rate_hz=8000,
        frame_size=(48, 64),
    )
    return replace(whole, **changes)


def end(seq: int, **changes: Any) -> End:
    whole = End(source="cam", generation=0, seq=seq, t_ns=seq * NS, emitted_ns=7, reason="end of file")
    return replace(whole, **changes)
