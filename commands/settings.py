"""From the options of a command to its configuration."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from model.errors import ModelError
from model.vocabulary import Vocabulary
from streaming.config import Config, load, nested, setting
from streaming.errors import UserError


def configured(
    args: argparse.Namespace, given: Mapping[tuple[str, ...], Any], model: str | None = None
) -> Config:
    """A command's configuration: its file, the options that were given, and --set. Raises `UserError`."""
    layers = [nested(key, value, f"--{option(key)}") for key, value in given.items() if value is not None]
    return load(args.config, model=model, settings=[*layers, *map(setting, args.settings)])


def option(key: tuple[str, ...]) -> str:
    """The command-line option behind a configuration key."""
    return {
        "uri": "source",
        "name": "model",
        "checkpoint": "weights",
        "dir": "out",
        "words": "vocabulary",
        "start_s": "start",
        "tape": "record",
        "tape_pictures": "pictures",
        "enabled": "viewer",
    }.get(key[-1], key[-1])


def words_of(words: list[str] | str) -> tuple[str, ...]:
    """The words a vocabulary setting means; raises `UserError` before anything starts."""
    try:
        return (Vocabulary.parse(words) if isinstance(words, str) else Vocabulary(tuple(words))).words
    except ModelError as error:
        raise UserError(str(error)) from error
