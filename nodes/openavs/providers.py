"""Who takes the three steps of a configuration of OpenAVS, and the files that they stand on.

Imports stand where they are used: each node loads only what it needs.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from model.checkpoint import Weights, open_weights, weights_path
from model.depot import found
from model.depot.shelf import FETCH, is_here, named
from model.depot.table import table
from model.errors import ModelError
from model.openavs.interfaces import AudioToText, PromptTranslation, TextToMask
from model.openavs.litert import require_litert
from model.openavs.scales import SCALES, Scale
from model.openavs.table import OWN, Table
from model.vocabulary import Vocabulary
from streaming.config import Config, OpenAvsConfig, load

FETCHED = "fetched:"
# The sets that hold the weights of a CLIP, by its name in open_clip.
OF_CLIP = {"ViT-B-16-quickgelu": "clip-vit-b-16", "ViT-L-14-336-quickgelu": "clip-vit-l-14-336"}
LESSONS = "bundled:tiny"  # whose ears, backbone and alignment were taught by tags alone
# The settings that name a provider's weights, and the set that is meant where nothing is given.
OF_LITERT = {"yamnet": {"yamnet": "yamnet"}, "deeplab": {"deeplab": "deeplab"}}
OF_TRANSFORMERS = {
    "clap": {"clap": "clap"},
    "caption": {"caption": None},
    "grounded-sam": {"grounding_dino": "grounding-dino", "sam": "sam2-tiny"},
}


def ears_of(config: Config) -> AudioToText:
    """Raises `ModelError`."""
    o, weights = config.openavs, weights_of(config)
    if o.audio_to_text == "yamnet":
        from model.openavs.yamnet import Yamnet

        return Yamnet(weights["yamnet"], config.nodes.feature.threads)
    if o.audio_to_text == "lessons":
        from model.openavs.lessons import LessonEars

        return LessonEars(weights_path(LESSONS))
    from model.precision import device_of

    device, precision = device_of(config.model.device), config.model.precision
    if o.audio_to_text == "clap":
        from model.openavs.clap import Clap

        return Clap(weights["clap"], clap_words(o), most=o.clap_most, device=device, precision=precision)
    from model.openavs.caption import Captioner

    return Captioner(weights["caption"], o.caption_begins, device=device, precision=precision)


def eyes_of(config: Config) -> TextToMask:
    """Raises `ModelError`."""
    o, weights = config.openavs, weights_of(config)
    if o.text_to_mask == "deeplab":
        from model.openavs.deeplab import DeepLab

        return DeepLab(weights["deeplab"], config.nodes.model.threads)
    if o.text_to_mask == "lessons":
        from model.openavs.lessons import LessonSight
        from model.options import LocaliserOptions

        options = LocaliserOptions.of(load(model=LESSONS.removeprefix("bundled:")).model)
        return LessonSight(weights_path(LESSONS), options)
    from model.openavs.grounded_sam import GroundedSam
    from model.precision import device_of

    return GroundedSam(
        weights["grounding_dino"],
        weights["sam"],
        box=o.box_threshold,
        text=o.text_threshold,
        device=device_of(config.model.device),
        precision=config.model.precision,
    )


def translation_of(config: Config, nouns: Collection[str] | None) -> PromptTranslation:
    """For eyes that find these nouns, or None: any. Raises `ModelError`."""
    o, own = config.openavs, table_of(config)
    if o.prompt_translation == "table":
        return own
    if o.prompt_translation == "names":
        from model.openavs.names import Names

        return Names(own)
    from model.openavs.endpoint import Endpoint
    from model.openavs.llm import Llm
    from model.openavs.questions import checked
    from model.openavs.translations import FILE, Translations
    from nodes.vocabulary import first_vocabulary

    folder = config.vocabulary.cache_dir
    return Llm(
        own,
        Endpoint(o.llm.url, o.llm.key_variable, o.llm.timeout_s).ask,
        o.llm.models,
        wordings=o.llm.wordings,
        nouns=nouns,
        words=first_vocabulary(config).words,
        deadline_s=o.llm.deadline_s,
        memory=Translations(Path(folder).expanduser() / FILE if folder else None, checked),
    )


def table_of(config: Config) -> Table:
    """The configured translation table. Raises `ModelError`."""
    o = config.openavs
    path = Path(o.table) if o.table else OWN
    return Table(path, scale_of(config).sure, reads=o.audio_to_text != "yamnet")


def scale_of(config: Config) -> Scale:
    """What a score of the configured ears is worth."""
    return SCALES[config.openavs.audio_to_text]


def clip_weights_of(config: Config) -> Weights | None:
    """Those of the CLIP that confirms names; None: nobody does. Raises `ModelError`."""
    if config.openavs.clip == "stand-in":
        return open_weights("stand-in", config.model.stand_in_salt)
    path = clip_path(config)
    if path is None:
        return None
    from model.clip_weights import ClipWeights

    return ClipWeights(path)


def clip_path(config: Config) -> Path | None:
    """The file of them. Raises `ModelError`: it was asked for and is not here."""
    given = config.openavs.clip
    if given == "auto":
        name = OF_CLIP.get(config.model.clip)
        return found(name) if name is not None and is_here(name) else None
    if given is None or given == "stand-in":
        return None
    path = weights_path(given)
    if not path.is_file():
        raise ModelError(f"openavs.clip: found no file {path}, expected weights of {config.model.clip}")
    return path


def clap_words(o: OpenAvsConfig) -> tuple[str, ...]:
    """What CLAP chooses from. Raises `ModelError`."""
    words = o.clap_words
    return (Vocabulary.parse(words) if isinstance(words, str) else Vocabulary(tuple(words))).words


def weights_of(config: Config) -> dict[str, Path]:
    """The files and folders that the configured providers need, by setting.

    Raises:
        ModelError: one was not given and is not here.
    """
    given = _given(config)
    return {setting: _place(setting, *one) for setting, one in given.items()}


def weights_files(config: Config) -> dict[str, Path]:
    """Each file with weights that a run with this configuration computes with, by setting.

    Raises:
        ModelError: as `weights_of`.
    """
    files = {}
    for setting, place in weights_of(config).items():
        parts = sorted(place.glob("*.safetensors")) if place.is_dir() else [place]
        files |= {setting if len(parts) == 1 else f"{setting}/{part.name}": part for part in parts}
    if (clip := clip_path(config)) is not None:
        files["clip"] = clip
    if "lessons" in (config.openavs.audio_to_text, config.openavs.text_to_mask):
        files["lessons"] = weights_path(LESSONS)
    return files


def _given(config: Config) -> dict[str, tuple[str | None, str | None]]:
    """Of each setting that names weights: what it was given, and the set that is meant where it was not."""
    o = config.openavs
    known = OF_LITERT | OF_TRANSFORMERS | {"lessons": {}}
    sets = known[o.audio_to_text] | known[o.text_to_mask]
    return {setting: (getattr(o, setting), usual) for setting, usual in sets.items()}


def _require_fetched(config: Config) -> None:
    """Raises `ModelError` where several sets are missing that one command fetches."""
    sets = [
        usual if given is None else given.removeprefix(FETCHED) for given, usual in _given(config).values()
    ]
    of_preset = {name for name, one in table().items() if config.model.name in one.presets}
    missing = [name for name in sets if name in of_preset and not is_here(name)]
    if len(missing) > 1 and None not in sets:
        told = f"{', '.join(missing[:-1])} and {missing[-1]} are not here"
        raise ModelError(f"{told}; fetch them: {FETCH} {config.model.name}")


def require_providers(config: Config) -> None:
    """Raises `ModelError` in one line for what is missing, before any process starts."""
    o = config.openavs
    chosen = {o.audio_to_text, o.text_to_mask}
    if chosen & OF_LITERT.keys():
        require_litert()
    if chosen & OF_TRANSFORMERS.keys():
        from model.openavs.pretrained import require_transformers

        require_transformers()
    _require_fetched(config)
    for name, path in weights_of(config).items():
        if name in OF_LITERT and not path.is_file():
            raise ModelError(f"openavs.{name}: found no file {path}, expected the network's .tflite file")
        if name not in OF_LITERT and not (path / "config.json").is_file():
            raise ModelError(f"openavs.{name}: found no {path / 'config.json'}, expected a model's folder")
    table_of(config)
    clip_path(config)
    if o.audio_to_text == "clap":
        clap_words(o)
    if o.prompt_translation == "llm":
        _require_llm(o)


def _require_llm(o: OpenAvsConfig) -> None:
    from model.openavs.endpoint import Endpoint

    if not o.llm.models:
        told = "openavs.llm.models: names no model; give the name of one that the endpoint has, such as"
        raise ModelError(f"{told} --set openavs.llm.models=[gpt-4o-mini]")
    Endpoint(o.llm.url, o.llm.key_variable).check()


def _place(setting: str, given: str | None, usual: str | None) -> Path:
    if given is None and usual is None:
        raise ModelError(f"openavs.{setting}: found nothing, expected the path of a model's folder")
    if given is None:
        return found(str(usual))
    return named(given.removeprefix(FETCHED)) if given.startswith(FETCHED) else Path(given)
