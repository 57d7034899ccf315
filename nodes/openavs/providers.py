"""Who takes the three steps of OpenAVS in a configuration, and the files that they stand on."""

from __future__ import annotations

from pathlib import Path

from model.checkpoint import weights_path
from model.depot import found
from model.errors import ModelError
from model.openavs.interfaces import AudioToText, PromptTranslation, TextToMask
from model.openavs.litert import require_litert
from model.openavs.table import OWN, Table
from streaming.config import Config, load

LESSONS = "bundled:tiny"  # whose ears, backbone and alignment were taught by tags alone


def ears_of(config: Config) -> AudioToText:
    """Raises `ModelError`."""
    if config.openavs.audio_to_text == "lessons":
        from model.openavs.lessons import LessonEars

        return LessonEars(weights_path(LESSONS))
    from model.openavs.yamnet import Yamnet

    return Yamnet(weights_of(config)["yamnet"], config.nodes.feature.threads)


def translation_of(config: Config) -> PromptTranslation:
    """Raises `ModelError`."""
    if config.openavs.prompt_translation == "same":
        from model.openavs.lessons import SameNames

        return SameNames()
    return table_of(config)


def eyes_of(config: Config) -> TextToMask:
    """Raises `ModelError`."""
    if config.openavs.text_to_mask == "lessons":
        from model.openavs.lessons import LessonSight
        from model.options import LocaliserOptions

        options = LocaliserOptions.of(load(model=LESSONS.removeprefix("bundled:")).model)
        return LessonSight(weights_path(LESSONS), options)
    from model.openavs.deeplab import DeepLab

    return DeepLab(weights_of(config)["deeplab"], config.nodes.model.threads)


def weights_of(config: Config) -> dict[str, Path]:
    """The files that the configured providers need. Raises `ModelError` for one that is not here."""
    o = config.openavs
    files = {}
    if o.audio_to_text == "yamnet":
        files["yamnet"] = Path(o.yamnet) if o.yamnet else found("yamnet")
    if o.text_to_mask == "deeplab":
        files["deeplab"] = Path(o.deeplab) if o.deeplab else found("deeplab")
    return files


def require_providers(config: Config) -> None:
    """Raises `ModelError` in one line for what is missing, before any process starts."""
    files = weights_of(config)
    if files:
        require_litert()
    for name, path in files.items():
        if not path.is_file():
            raise ModelError(f"openavs.{name}: found no file {path}, expected the network's .tflite file")
    translation_of(config)


def table_of(config: Config) -> Table:
    """The configured translation table. Raises `ModelError`."""
    return Table(Path(config.openavs.table) if config.openavs.table else OWN)
