"""The parts of a stream without its processes: what the nodes are made of, for whoever runs it otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from model.checkpoint import open_weights
from model.evaluation.parts import Parts
from nodes.classification import ClassificationStage
from nodes.feature import FeatureStage
from nodes.model import ModelStage
from streaming.config import Config
from streaming.errors import UserError


def parts_of(config: Config, words: Sequence[str] | None = None) -> Parts:
    """The model as the nodes would run it over snippets a second apart.

    `auto` means float32 here: scores are to repeat on other machines.

    Args:
        words: what objects may be called, in the place of the configured vocabulary.

    Raises:
        UserError: the configuration asks for another hop.
        ModelError: the weights do not fit.
    """
    if config.source.hop_s != 1.0:
        raise UserError(
            f"source.hop_s: found {config.source.hop_s}, expected 1.0: clips have a frame a second"
        )
    precision = "float32" if config.model.precision == "auto" else config.model.precision
    vocabulary = config.vocabulary.words if words is None else list(words)
    config = config.model_copy(
        update={
            "model": config.model.model_copy(update={"precision": precision}),
            "vocabulary": config.vocabulary.model_copy(update={"words": vocabulary}),
        }
    )
    weights = open_weights(config.model.checkpoint, config.model.stand_in_salt)
    feature = FeatureStage.from_config(config, weights)
    named = ClassificationStage.from_config(config, weights)
    return Parts(
        audio_encoder=feature.audio_encoder,
        live=ModelStage.from_config(config, weights).live,
        classifier=named.namer.classifier,
        words=named.vocabulary.words,
        labels=named.cache.options,
        regions=named.options,
        short_side=feature.short_side,
        max_side=feature.max_side,
        audio_grid=config.model.audio_grid,
    )
