"""Which stages the nodes of the line have: those of the family of the model.

Imports stand where they are used: each node loads only what it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from nodes.runtime import Stage
from streaming.config import Config
from streaming.memory import Memory

Make = Callable[[Config, Memory], Stage]


class Stages(NamedTuple):
    """How the three nodes between capture and recorder are made. Each raises `UserError` or `ModelError`."""

    feature: Make
    model: Make
    classification: Make


def stages_of(config: Config) -> Stages:
    """Those of the configured model."""
    return FAMILIES[config.model.family]


def _feature(config: Config, memory: Memory) -> Stage:
    from model.checkpoint import open_weights
    from nodes.feature import FeatureStage

    _set_threads(config.nodes.feature.threads)
    return FeatureStage.from_config(config, open_weights(config.model.checkpoint, config.model.stand_in_salt))


def _model(config: Config, memory: Memory) -> Stage:
    from model.checkpoint import open_weights
    from nodes.model import ModelStage

    _set_threads(config.nodes.model.threads)
    weights = open_weights(config.model.checkpoint, config.model.stand_in_salt)
    return ModelStage.from_config(config, weights, memory)


def _classification(config: Config, memory: Memory) -> Stage:
    from model.checkpoint import open_weights
    from nodes.classification import ClassificationStage

    _set_threads(config.nodes.classification.threads)
    weights = open_weights(config.model.checkpoint, config.model.stand_in_salt)
    return ClassificationStage.from_config(config, weights, memory)


def _hearing(config: Config, memory: Memory) -> Stage:
    from nodes.openavs.hearing import HearingStage

    if config.openavs.audio_to_text != "yamnet":  # which has threads of its own, and no use for torch
        _set_threads(config.nodes.feature.threads)
    return HearingStage.from_config(config)


def _seeing(config: Config, memory: Memory) -> Stage:
    from nodes.openavs.seeing import SeeingStage

    _set_threads(config.nodes.model.threads)
    return SeeingStage.from_config(config, memory)


def _calling(config: Config, memory: Memory) -> Stage:
    from nodes.openavs.calling import CallingStage

    _set_threads(config.nodes.classification.threads)
    return CallingStage.from_config(config, memory)


FAMILIES = {
    "ov-avss": Stages(_feature, _model, _classification),
    "openavs": Stages(_hearing, _seeing, _calling),
}


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
