"""Whether the model works on this machine: its packages, its devices, its weights, and a step of it.

For `run_pipeline.py doctor`, which calls it in a process of its own. Nothing is loaded before it is tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from time import perf_counter

from streaming.doctor.findings import Finding
from streaming.doctor.packages import loaded, version_of

PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "timm": "timm",
    "open_clip": "open_clip_torch",
    "safetensors.torch": "safetensors",
    "scipy.optimize": "scipy",
    "PIL.Image": "pillow",
}
# What presets of OpenAVS need besides, by extra: what is imported, and its name where packages come from.
EXTRAS = {"edge": ("ai_edge_litert", "ai-edge-litert"), "openavs": ("transformers", "transformers")}
A_PAIR = (
    "torch and torchvision come from different builds; install both from the same place, "
    "or go back to the tested pair: make clean, make demo"
)
MENDS = {"torchvision::": A_PAIR, "undefined symbol": A_PAIR, "partially initialized": A_PAIR}
FETCH_AGAIN = "it comes with the project: git checkout -- model/weights (or fetch the project again)"
FRAME = (240, 320)
STEPS = 3


def model() -> Iterator[Finding | str]:
    """One after the other; what needs what does not work is left out."""
    broken = False
    for one in loaded(PACKAGES, MENDS):
        broken |= isinstance(one, Finding) and one.mark == "problem"
        yield one
    if broken:
        yield Finding("problem", "no model can be run without these packages")
        return
    yield _extras()
    yield "looking for devices"
    yield from _devices()
    yield from _fetched()
    yield "reading the weights"
    whole = True
    for one in _weights():
        whole &= one.mark == "ok"
        yield one
    if whole:
        yield "a step of the model that comes with the project"
        yield from _step()


def _extras() -> Finding:
    """Which extras are installed; a run needs none of them, so nothing is wrong without."""
    told = []
    for extra, (module, package) in EXTRAS.items():
        there = find_spec(module) is not None
        told.append(f"{extra} ({package} {version_of(package) if there else 'is not installed'})")
    return Finding("ok", f"extras for OpenAVS: {', '.join(told)}")


def _devices() -> Iterator[Finding]:
    from model.health import devices

    try:
        found = devices()
    except RuntimeError as error:
        fact = f"torch cannot use its GPU: {str(error).splitlines()[0]}"
        yield Finding("note", fact, "update the driver, or give --set model.device=cpu")
        return
    for one in found:
        memory = "" if one.memory_mib is None else f", {one.memory_mib / 1024:.1f} GiB"
        arithmetic = "computes bfloat16" if one.bfloat16 else "does not compute bfloat16, so float32 is used"
        yield Finding("ok", f"{one.name}: {one.model}{memory}, {arithmetic}")
    if len(found) == 1:
        helps = "where there is one: does nvidia-smi show it, and is this torch built for CUDA?"
        yield Finding("note", "torch finds no GPU, so the model runs on the processor", helps)


def _weights() -> Iterator[Finding]:
    from model.errors import ModelError
    from model.health import checked_weights

    try:
        yield Finding("ok", f"weights that come with the project are whole: {', '.join(checked_weights())}")
    except ModelError as error:
        yield Finding("problem", str(error), FETCH_AGAIN)


def _fetched() -> Iterator[Finding]:
    """Which of the weights that do not come along are here, by name and size."""
    from model.depot.shelf import folder, how_to_get, standing
    from model.depot.table import table

    here = {one.name: standing(one) for one in table().values()}
    names = ", ".join(name for name, how in here.items() if how == "here") or "none"
    others = sum(how != "here" for how in here.values())
    yield Finding("ok", f"fetched weights in {folder()}: {names}; {others} more in `weights list`")
    for name, how in here.items():
        if how == "wrong size":
            yield Finding(
                "note",
                f"fetched weights {name}: of the wrong size",
                how_to_get(table()[name], "fetch them again"),
            )
        elif how == "in part":
            yield Finding("note", f"fetched weights {name}: here in part", how_to_get(table()[name], "go on"))


def _step() -> Iterator[Finding]:
    """A second of noise through the whole model, as the nodes would run it."""
    import numpy as np

    from model.checkpoint import open_weights
    from nodes.classification import ClassificationStage
    from nodes.feature import FeatureStage
    from nodes.model import ModelStage
    from streaming.config import load, setting
    from streaming.messages import AUDIO_SAMPLES, Message, Snippet

    config = load(settings=[setting("vocabulary.words=dog"), setting("vocabulary.cache_dir=")])
    weights = open_weights(config.model.checkpoint)
    stages = [kind.from_config(config, weights) for kind in (FeatureStage, ModelStage, ClassificationStage)]
    random = np.random.default_rng(0)
    frame = random.integers(0, 256, (*FRAME, 3), np.uint8)
    audio = random.normal(0, 0.1, AUDIO_SAMPLES).astype(np.float32)
    for seq in range(STEPS):  # the first warms up
        begun_s = perf_counter()
        messages: list[Message] = [
            Snippet(
                source="doctor", generation=0, seq=seq, t_ns=seq * 1_000_000_000, emitted_ns=0, frame=frame,
                audio=audio, frame_t_ns=0, has_audio=True,
            )
        ]  # fmt: skip
        for stage in stages:
            messages = [answer for message in messages for answer in stage.process(message)]
        took_s = perf_counter() - begun_s
    assert len(messages) == 1
    yield Finding("ok", f"a step of the model that comes with the project took {1000 * took_s:.0f} ms")
