"""Writes a clip as AVSBench-OV and AVSBench-semantic lay theirs out, and beside it what they cannot say.

    AVSBench-openvoc/{train,val,test}/JPEGImages/<uid>/<second>.jpg
    AVSBench-semantic/{v1m,v2}/<uid>/audio.wav, labels_rgb/<second>.png, world.json
    films/<uid>.mp4                                                                     if asked for

A clip's files are all its own; `index.py` then gathers the files that speak of the whole set.
"""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.errors import ModelError
from model.rle import box_and_area, encode_mask
from model.world.art import Art
from model.world.categories import catalogue
from model.world.clip import Clip, film
from model.world.paint import FPS
from model.world.scene import Scene
from model.world.synth import RATE_HZ
from streaming.errors import UserError
from streaming.mp4 import Mp4Writer

PARTS = ("train", "val", "test")
IMAGES = "AVSBench-openvoc"
SEMANTIC = "AVSBench-semantic"
SIDECAR = "world.json"
JPEG_QUALITY = 92


def label_of(scene: Scene) -> str:
    """AVSBench's label of a clip: v1m for five seconds, v2 for others.

    Never v1s, whose training clips count as annotated in their first second only.
    """
    return "v1m" if scene.options.seconds == 5 else "v2"


def uid_of(scene: Scene) -> str:
    """A name that no other clip of any set has: "novel-openmoji-7-00012-5s"."""
    options = scene.options
    size = "" if options.side == 160 else f"-{options.side}"
    return (
        f"{options.split}-{'.'.join(options.artists)}-{scene.seed}-{scene.index:05d}-{options.seconds}s{size}"
    )


def write_clip(clip: Clip, part: str, root: Path) -> str:
    """Writes all of a clip's files but the film, the sidecar last, and returns its uid.

    Raises:
        ModelError: the folder cannot be written.
    """
    uid = uid_of(clip.scene)
    images = root / IMAGES / part / "JPEGImages" / uid
    home = root / SEMANTIC / label_of(clip.scene) / uid
    try:
        images.mkdir(parents=True, exist_ok=True)
        (home / "labels_rgb").mkdir(parents=True, exist_ok=True)
        for second, frame in enumerate(clip.frames):
            picture = Image.fromarray(frame)
            picture.save(images / f"{second}.jpg", quality=JPEG_QUALITY, subsampling=0)
        for second, labels in enumerate(label_maps(clip)):
            Image.fromarray(palette()[labels]).save(home / "labels_rgb" / f"{second}.png")
        write_wav(home / "audio.wav", clip.audio)
        (home / SIDECAR).write_text(
            json.dumps(sidecar(clip, part), separators=(",", ":"), ensure_ascii=False)
        )
    except OSError as error:
        raise ModelError(f"{root}: the clip {uid} cannot be written: {error.strerror or error}") from error
    return uid


def write_film(scene: Scene, audio: NDArray[np.float32], art: Art, root: Path) -> Path:
    """Writes films/<uid>.mp4 at 25 pictures a second, and returns where. Raises `ModelError`."""
    path, side = root / "films" / f"{uid_of(scene)}.mp4", scene.options.side
    try:
        with Mp4Writer(path, side, side, sound_hz=RATE_HZ, channels=1) as writer:
            for number, picture in enumerate(film(scene, art)):
                writer.picture(picture, number / FPS)
                if number % FPS == 0:
                    writer.sound(_sixteen_bits(audio[number // FPS])[:, None], RATE_HZ)
    except UserError as error:
        raise ModelError(str(error)) from error
    return path


def write_wav(path: Path, audio: NDArray[np.float32]) -> None:
    """Writes (T, 16000) float32 as 16-bit mono."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(_sixteen_bits(audio).tobytes())


def _sixteen_bits(audio: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.round(np.clip(audio.ravel(), -1, 1) * 32_767).astype("<i2")


def label_maps(clip: Clip) -> NDArray[np.uint8]:
    """The label of every pixel that shows a sounding thing, 0 elsewhere; shape (T, side, side)."""
    ids = catalogue().label_ids
    maps = np.zeros(clip.visible.shape[1:], np.uint8)
    for thing, mask, row in zip(clip.scene.things, clip.visible, clip.sounding, strict=True):
        maps[mask & row[:, None, None]] = ids.get(thing.name, 0)
    return maps


def palette() -> NDArray[np.uint8]:
    """VOC's colours of labels 0 to 255, shape (256, 3): a label's bits, three by three, from the top down."""
    labels = np.arange(256)[:, None]
    bits = sum(((labels >> (3 * place + np.arange(3))) & 1) << (7 - place) for place in range(3))
    return np.asarray(bits, np.uint8)


def sidecar(clip: Clip, part: str) -> dict[str, Any]:
    """All that is true of a clip. Masks are of visible pixels, sounding or not; null where there are none."""
    scene, options = clip.scene, clip.scene.options
    heard = scene.turns.offscreen
    return {
        "uid": uid_of(scene),
        "part": part,
        "label": label_of(scene),
        "seed": scene.seed,
        "index": scene.index,
        "split": options.split,
        "height": options.side,
        "width": options.side,
        "seconds": options.seconds,
        "things": [
            {
                "name": thing.name,
                "emoji": thing.emoji,
                "artist": thing.artist,
                "sounding_kind": thing.speaks,
                "sounding": row.tolist(),
                **_shown(masks),
            }
            for thing, masks, row in zip(scene.things, clip.visible, clip.sounding, strict=True)
        ],
        "offscreen": [{"name": scene.offscreen, "sounding": heard.tolist()}] if heard.any() else [],
        "silent_seconds": np.flatnonzero(clip.silent_seconds).tolist(),
    }


def _shown(masks: NDArray[np.bool_]) -> dict[str, Any]:
    rles = [encode_mask(mask) if mask.any() else None for mask in masks]
    return {"segmentations": rles, "bboxes": [rle and box_and_area(rle)[0] for rle in rles]}
