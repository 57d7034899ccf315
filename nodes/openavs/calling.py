"""The classification node of OpenAVS: masks with nouns in, results out, in the vocabulary's words.

The vocabulary has the last word: an object is called by the word of it that means its noun. Where CLIP's
weights are there, CLIP looks at the object, as in OV-AVSS: it says which of several such words it is (man,
woman), and whether it takes the object for that at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from model.masks import soft_masks
from model.openavs.table import Table
from model.vocabulary import Vocabulary
from nodes.answers import answer, visible
from nodes.openavs.providers import clip_weights_of, table_of
from nodes.vocabulary import first_vocabulary, replaced
from streaming.config import Config
from streaming.errors import UserError
from streaming.memory import Memory
from streaming.messages import Message, SoundingMasks

if TYPE_CHECKING:
    from model.naming import Namer


class CallingStage:
    """Masks with nouns to results: an object is called by the word of the vocabulary that means its noun.

    Args:
        namer: looks at objects with CLIP; None: nobody does, and a label's probability is its sound's score.
    """

    def __init__(
        self,
        table: Table,
        vocabulary: Vocabulary,
        *,
        namer: Namer | None = None,
        top_k: int = 5,
        offscreen_dbfs: float = -50.0,
        candidates: bool = False,
        certainty: bool = False,
    ) -> None:
        self.table, self.vocabulary, self.namer, self.top_k = table, vocabulary, namer, top_k
        self.offscreen_dbfs, self.candidates, self.certainty = offscreen_dbfs, candidates, certainty
        self.count = 0

    @classmethod
    def from_config(cls, config: Config, memory: Memory | None = None) -> CallingStage:
        """With the vocabulary that was set last, if any was since the run began. Raises `ModelError`."""
        vocabulary, weights = first_vocabulary(config, memory), clip_weights_of(config)
        namer = None
        if weights is not None:  # else CLIP is not even loaded
            from model.naming import Namer
            from nodes.classification import classifier_of, classifier_options, label_options

            namer = Namer(
                classifier_of(config, weights),
                vocabulary.words,
                labels=label_options(config),
                options=classifier_options(config),
            )
        return cls(
            table_of(config),
            vocabulary,
            namer=namer,
            top_k=config.labels.top_k,
            offscreen_dbfs=config.tracks.offscreen_dbfs,
            candidates=config.candidates > 0,
            certainty=config.output.certainty,
        )

    def process(self, message: Message) -> Iterable[Message]:
        if not isinstance(message, SoundingMasks):
            return
        start = perf_counter()
        if self.namer is not None:
            seen = [(track["id"], track["sounding"]) for track in message.tracks]
            soft = soft_masks(message.mask_logits, message.padded_size)
            self.namer.look(message.source, message.seq, message.image, seen, soft)
        tracks = [
            told | self._called(message.source, track)
            for track, told in visible(message, certainty=self.certainty)
        ]
        self.count += 1
        yield answer(
            message,
            tracks,
            offscreen_dbfs=self.offscreen_dbfs,
            vocabulary_revision=self.vocabulary.revision,
            candidates=self.candidates,
            classify_ms=1000 * (perf_counter() - start),
        )

    def _called(self, source: str, track: Mapping[str, Any]) -> dict[str, Any]:
        noun, words = str(track["noun"]), self.vocabulary.words
        meant = self.table.meant_by(noun, words)
        seen: dict[str, float] = {}
        if self.namer is not None:
            everything = len(words) + 1
            own = None if meant else noun
            seen = dict(self.namer.labels(source, track["id"], everything, also=own))
        if not seen:
            label = self.table.called(noun, words)
            return {"label": label, "labels": [{"name": label, "p": track["sounding"]}]}
        label = max(meant or [noun], key=lambda word: seen[word])
        others = [word for word in seen if word != label]
        labels = [{"name": word, "p": round(seen[word], 4)} for word in [label, *others][: self.top_k]]
        return {"label": label, "labels": labels, "confirmed": next(iter(seen)) in (meant or [noun])}

    def forget(self, source: str) -> None:
        if self.namer is not None:
            self.namer.forget(source)

    def request(self, name: str, args: Mapping[str, Any]) -> Any:
        match name:
            case "vocabulary.get":
                pass
            case "vocabulary.set":
                vocabulary = replaced(self.vocabulary, args)
                if self.namer is not None:
                    self.namer.use(vocabulary.words)
                self.vocabulary = vocabulary
            case _:
                raise UserError(f"the classification node knows no request {name!r}")
        return {"revision": self.vocabulary.revision, "words": list(self.vocabulary.words)}

    def stats(self) -> dict[str, Any]:
        looks = {}
        if self.namer is not None:
            cache = self.namer.cache
            looks = {"clip_calls": cache.clip_calls, "clip_calls_saved": cache.clip_calls_saved}
        return {"snippets": self.count, **looks, "vocabulary_revision": self.vocabulary.revision}
