"""What the classification nodes of all families do alike: from sounding masks to a result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from model.masks import certainties, frame_masks
from model.rle import box_and_area, encode_mask
from streaming.messages import Result, SoundingMasks

Track = Mapping[str, Any]


def visible(message: SoundingMasks, *, certainty: bool = False) -> Iterator[tuple[Track, dict[str, Any]]]:
    """The tracks whose masks are not empty at frame size, each with what a result says of it but for names.

    Args:
        certainty: whether that has how sure the mask is of itself.
    """
    sure = certainties(message.mask_logits) if certainty else ()
    for i, coded in _coded(message, message.mask_logits):
        track = message.tracks[i]
        more = {"certainty": sure[i]} if certainty else {}
        yield track, {"id": track["id"], "sounding": track["sounding"], **coded, **more}


def answer(
    message: SoundingMasks,
    tracks: list[dict[str, Any]],
    *,
    offscreen_dbfs: float,
    vocabulary_revision: int,
    candidates: bool,
    classify_ms: float,
) -> Result:
    """The result that says these tracks of a snippet, and of everything else what its masks say.

    Args:
        offscreen_dbfs: a sound as loud as this that none of the tracks makes comes from out of sight.
        candidates: whether things that are held for silent are told.
    """
    offscreen = message.has_audio and message.audio_dbfs >= offscreen_dbfs and not tracks
    return Result(
        **message.carry(classify=classify_ms),
        tracks=tracks,
        frame_size=message.frame_size,
        frame_t_ns=message.frame_t_ns,
        has_audio=message.has_audio,
        audio_dbfs=message.audio_dbfs,
        offscreen=offscreen,
        offscreen_text=message.offscreen_text if offscreen else None,
        window_fill=message.window_fill,
        vocabulary_revision=vocabulary_revision,
        candidates=_silent(message) if candidates else None,
    )


def _silent(message: SoundingMasks) -> list[dict[str, Any]]:
    """The candidates of a result, less those whose mask is empty at frame size."""
    return [
        {"sounding": message.candidates[i]["sounding"], "mask": coded["mask"], "box": coded["box"]}
        for i, coded in _coded(message, message.candidate_logits)
    ]


def _coded(message: SoundingMasks, logits: np.ndarray) -> Iterator[tuple[int, dict[str, Any]]]:
    """Mask, box and area of each mask that is not empty at frame size, and which it is."""
    h, w = message.image.shape[:2]
    for i, mask in enumerate(frame_masks(logits, message.padded_size, (h, w), message.frame_size)):
        coded = encode_mask(mask)
        box, area = box_and_area(coded)
        if area:
            yield i, {"mask": coded, "box": box, "area": area}
