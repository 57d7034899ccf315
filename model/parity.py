"""Hold the model against numbers recorded from the authors' implementation.

    python -m model.parity FIXTURE.npz

Which kind of fixture it is, its entries tell: a whole localisation pass, the crops CLIP is shown, or the
scores. One line per quantity with its relative L2 error; exit status 0 when every error is within bounds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from model.checkpoint import StandInWeights
from model.crops import crop_regions
from model.errors import ModelError
from model.localiser import Localiser, normalise
from model.memory import unflatten
from model.metrics import AVSBenchOVScore
from model.options import LocaliserOptions
from model.vggish import VGGish, clip_examples

Quantities = Iterator[tuple[str, Any, np.ndarray]]  # name, ours, theirs


class Fixture(dict[str, np.ndarray]):
    """The entries of a fixture; asking for one that is not there is an error that names it."""

    def __init__(self, path: Path, entries: dict[str, np.ndarray]) -> None:
        super().__init__(entries)
        self.path = path

    def __missing__(self, name: str) -> np.ndarray:
        raise ModelError(f"{self.path}: entry {name!r} is missing")


def relative_l2(ours: Any, theirs: np.ndarray) -> float:
    """|ours - theirs| / |theirs| over finite entries; infinite where shapes or the other entries differ."""
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    finite = np.isfinite(b)
    if a.shape != b.shape or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return float("inf")
    a, b = np.where(np.isnan(a), np.inf, a)[finite], b[finite]
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(b), np.finfo(np.float64).tiny))


def localise(fixture: Fixture) -> Quantities:
    """One whole forward pass, stage by stage."""
    arch, salt = str(fixture["arch"]), int(fixture["salt"])
    if arch not in ("r50", "swinb"):
        raise ModelError(f"arch: found {arch!r}, expected 'r50' or 'swinb'")
    t = len(fixture["images"])
    weights = StandInWeights(salt)
    localiser, vggish = Localiser(LocaliserOptions(backbone=arch, window=t)), VGGish().eval()
    weights.fill("localiser", localiser)
    weights.fill("audio_encoder", vggish)
    localiser.for_inference()

    examples = clip_examples(torch.from_numpy(fixture["wave"] / 32768.0), t)
    yield "log_mel", examples[:, None], fixture["log_mel"]
    embedding = vggish(examples)
    yield "audio_embedding", embedding, fixture["audio_embedding"]
    maps, pixels, audio, _ = localiser.represent(normalise(torch.from_numpy(fixture["images"])), embedding)
    for i, x in enumerate(maps, start=2):
        yield f"backbone_res{i}_corner", x[:, :8, :4, :4], fixture[f"backbone_res{i}_corner"]
        stats = torch.stack((x.mean(), x.std(), x.abs().max()))
        yield f"backbone_res{i}_stats", stats, fixture[f"backbone_res{i}_stats"]
    yield "fused_audio", audio, fixture["fused_audio"]
    yield "encoder_stride32_every16", pixels.maps[0][:, ::16], fixture["encoder_stride32_every16"]
    yield "mask_features_every16", pixels.mask_features[:, ::16], fixture["mask_features_every16"]
    memory = unflatten(localiser.audio_mask_dec.remember(pixels, audio), 1, t)
    sounding = localiser.decode(memory, with_earlier=True)
    for i, answer in enumerate(sounding.earlier):
        yield f"aux{i}_sound_logits", answer.sound_logits[0], fixture[f"aux{i}_sound_logits"]
    yield "sound_logits", sounding.sound_logits[0], fixture["sound_logits"]
    yield "mask_logits", sounding.mask_logits()[0], fixture["mask_logits"]


def crops(fixture: Fixture) -> Quantities:
    """The regions the published code shows to CLIP: square, anchored top-left."""
    frames, masks, valid = (torch.from_numpy(fixture[name]) for name in ("frames", "masks", "valid"))
    size = fixture["regions"].shape[-1]
    regions = crop_regions(frames, masks.float(), valid.bool(), crop="square", anchor="top-left", size=size)
    yield "regions", regions, fixture["regions"]


def metrics(fixture: Fixture) -> Quantities:
    """The scores of AVSBench-OV."""
    score = AVSBenchOVScore(base_ids=fixture["base_ids"].tolist(), novel_ids=fixture["novel_ids"].tolist())
    for truth, prediction in zip(fixture["ground_truth"], fixture["prediction"], strict=True):
        score.add(truth, prediction)
    result = score.result()
    yield "class_iou", result.class_iou, fixture["class_iou"]
    for name in ("miou", "base_miou", "novel_miou", "harmonic"):
        yield name, getattr(result, name), fixture[name]


# The entry that tells a fixture's kind, how it is compared, and the largest error allowed.
KINDS = {"arch": (localise, 1e-4), "regions": (crops, 2e-3), "class_iou": (metrics, 1e-9)}


def compare(path: Path) -> tuple[list[tuple[str, float]], float]:
    """Each quantity's relative L2 error, and the bound they must keep; raises `ModelError` otherwise."""
    try:
        with np.load(path) as file:
            fixture = Fixture(path, {name: file[name] for name in file.files})
    except (OSError, ValueError, EOFError, TypeError, BadZipFile) as error:
        raise ModelError(f"{path}: cannot be read as an .npz fixture ({error})") from error
    for tell, (quantities, bound) in KINDS.items():
        if tell in fixture:
            try:
                with torch.inference_mode():
                    return [(name, relative_l2(a, b)) for name, a, b in quantities(fixture)], bound
            except (RuntimeError, ValueError, TypeError, IndexError) as error:
                first = str(error).splitlines()[0]
                raise ModelError(f"{path}: its entries do not have the documented form ({first})") from error
    raise ModelError(f"{path}: no parity fixture: expected an entry 'arch', 'regions' or 'class_iou'")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.parity", description="Compare with recorded numbers."
    )
    parser.add_argument("fixture", type=Path, help="a fixture: localisation, crops or metrics (.npz)")
    try:
        errors, bound = compare(parser.parse_args().fixture)
    except ModelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, error in errors:
        print(f"{name:28} {error:.3e}{'' if error <= bound else f'  above {bound:g}'}")
    worst = max(error for _, error in errors)
    print(f"worst relative L2 error: {worst:.3e}")
    return 0 if worst <= bound else 1


if __name__ == "__main__":
    sys.exit(main())
