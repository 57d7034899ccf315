"""What can be wrong with a model's weights, options or input, told in one line."""

from __future__ import annotations


class ModelError(Exception):
    """The message says what was found, what was expected and what to do; shown without a traceback."""
