"""Configuration: everything that can be set, its default, its bounds, and what it means.

Settings come in layers, each over the one before: the preset of the model (`configs/<model>.yaml`), the file
given with `--config`, the command line. All that is wrong with them is told at once, one line each, before
anything starts.

Paths are relative to the working directory, not to the file they stand in: one command means the same
wherever its configuration lies. Units are in the names: `_s` is seconds, `_fps` pictures per second, `_dbfs`
decibels relative to full scale. The text below a setting is also its row in docs/configuration.md, which
`python -m tools.configuration_reference` writes.
"""

from streaming.config.loading import PRESETS, load, validate
from streaming.config.model import ModelConfig
from streaming.config.openavs import OpenAvsConfig
from streaming.config.output import ViewerConfig
from streaming.config.processes import LinksConfig, NodeConfig, kind_of_node
from streaming.config.section import Section, Share
from streaming.config.source import SourceConfig, is_live
from streaming.config.whole import Config
from streaming.settings import Layer, Origin, merge, nested, read_yaml, setting

__all__ = [
    "PRESETS",
    "Config",
    "Layer",
    "LinksConfig",
    "ModelConfig",
    "NodeConfig",
    "OpenAvsConfig",
    "Origin",
    "Section",
    "Share",
    "SourceConfig",
    "ViewerConfig",
    "is_live",
    "kind_of_node",
    "load",
    "merge",
    "nested",
    "read_yaml",
    "setting",
    "validate",
]
