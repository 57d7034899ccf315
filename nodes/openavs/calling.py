"""The classification node of OpenAVS: masks with nouns in, results out, in the vocabulary's words.

The vocabulary has the last word: an object is called by the word of it that means its noun.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from model.masks import certainties, frame_masks
from model.openavs.table import Table
from model.rle import box_and_area, encode_mask
from model.vocabulary import Vocabulary
from nodes.openavs.providers import table_of
from nodes.vocabulary import first_vocabulary, replaced
from streaming.config import Config
from streaming.errors import UserError
from streaming.memory import Memory
from streaming.messages import Message, Result, SoundingMasks


class CallingStage:
    """Masks with nouns to results: an object is called by the word of the vocabulary that means its noun."""

    def __init__(
        self,
        table: Table,
        vocabulary: Vocabulary,
        *,
        offscreen_dbfs: float = -50.0,
        candidates: bool = False,
        certainty: bool = False,
    ) -> None:
        self.table, self.vocabulary = table, vocabulary
        self.offscreen_dbfs, self.candidates, self.certainty = offscreen_dbfs, candidates, certainty
        self.count = 0

    @classmethod
    def from_config(cls, config: Config, memory: Memory | None = None) -> CallingStage:
        """With the vocabulary that was set last, if any was since the run began."""
        return cls(
            table_of(config),
            first_vocabulary(config, memory),
            offscreen_dbfs=config.tracks.offscreen_dbfs,
            candidates=config.candidates > 0,
            certainty=config.output.certainty,
        )

    def process(self, message: Message) -> Iterable[Message]:
        if not isinstance(message, SoundingMasks):
            return
        start = perf_counter()
        told = message.tracks
        if self.certainty:
            sure = certainties(message.mask_logits)
            told = [track | {"certainty": one} for track, one in zip(told, sure, strict=True)]
        sounding = visible(told, message.mask_logits, message)
        tracks = [self._called(track) | coded for track, coded in sounding]
        is_heard = message.has_audio and message.audio_dbfs >= self.offscreen_dbfs
        offscreen = is_heard and not tracks
        self.count += 1
        yield Result(
            **message.carry(classify=1000 * (perf_counter() - start)),
            tracks=tracks,
            frame_size=message.frame_size,
            frame_t_ns=message.frame_t_ns,
            has_audio=message.has_audio,
            audio_dbfs=message.audio_dbfs,
            offscreen=offscreen,
            offscreen_text=message.offscreen_text if offscreen else None,
            window_fill=message.window_fill,
            vocabulary_revision=self.vocabulary.revision,
            candidates=self._silent(message) if self.candidates else None,
        )

    def _silent(self, message: SoundingMasks) -> list[dict[str, Any]]:
        silent = visible(message.candidates, message.candidate_logits, message)
        return [{"sounding": 0.0, "mask": coded["mask"], "box": coded["box"]} for _, coded in silent]

    def _called(self, track: Mapping[str, Any]) -> dict[str, Any]:
        name = self.table.called(str(track["noun"]), self.vocabulary.words)
        label = {"name": name, "p": track["sounding"]}
        kept = {key: track[key] for key in ("id", "sounding", "certainty") if key in track}
        return kept | {"label": name, "labels": [label]}

    def forget(self, source: str) -> None:
        """Nothing to do: names are looked up anew for every result."""

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        match name:
            case "vocabulary.get":
                pass
            case "vocabulary.set":
                self.vocabulary = replaced(self.vocabulary, args)
            case _:
                raise UserError(f"the classification node knows no request {name!r}")
        return {"revision": self.vocabulary.revision, "words": list(self.vocabulary.words)}

    def stats(self) -> dict[str, Any]:
        return {"snippets": self.count, "vocabulary_revision": self.vocabulary.revision}


def visible(
    objects: Sequence[Mapping[str, Any]], logits: np.ndarray, message: SoundingMasks
) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Those of objects whose masks are not empty at frame size, each with its mask, box and area."""
    h, w = message.image.shape[:2]
    masks = frame_masks(logits, message.padded_size, (h, w), message.frame_size)
    for one, mask in zip(objects, masks, strict=True):
        coded = encode_mask(mask)
        box, area = box_and_area(coded)
        if area:
            yield one, {"mask": coded, "box": box, "area": area}
