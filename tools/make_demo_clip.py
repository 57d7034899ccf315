"""Draws and synthesises the clip the project ships: a dog, a bell and a train that take turns to sound.

`python tools/make_demo_clip.py` writes `media/demo.mp4` and, beside it, `demo.truth.yaml`: for each second
what sounds, what is seen but silent, and where. All randomness is seeded.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from streaming.mp4 import Mp4Writer
from tools.demo_scene import frame
from tools.demo_score import CLASSES, FPS, FRAMES, HEIGHT, OFFSCREEN, RATE_HZ, SECONDS, SOUNDING, WIDTH
from tools.demo_sound import sound


def truth() -> dict[str, Any]:
    """What sounds in each second, and where each thing is in the second's last picture."""
    seconds = []
    for second in range(SECONDS):
        _, masks = frame((second + 1) * FPS - 1)
        seen = {name: masks[name] for name in CLASSES if name in masks}
        seconds.append(
            {
                "second": second,
                "sounding": [name for name in CLASSES if second in SOUNDING[name]],
                "visible_silent": [name for name in seen if second not in SOUNDING[name]],
                "offscreen": OFFSCREEN.get(second, []),
                "boxes": {name: _box(mask) for name, mask in seen.items()},
            }
        )
    return {
        "file": "demo.mp4",
        "width": WIDTH,
        "height": HEIGHT,
        "fps": FPS,
        "duration_s": SECONDS,
        "sample_rate_hz": RATE_HZ,
        "boxes_are": "[x, y, width, height] in pixels, of what is seen in the last picture of the second",
        "seconds": seconds,
    }


def _box(mask: NDArray[np.bool_]) -> list[int]:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw and synthesise the project's demo clip.")
    default = Path(__file__).resolve().parents[1] / "media" / "demo.mp4"
    parser.add_argument(
        "--out", type=Path, default=default, help="the mp4 to write (default: media/demo.mp4)"
    )
    path = parser.parse_args().out
    cv2.setNumThreads(1)
    samples = sound()
    with Mp4Writer(path, HEIGHT, WIDTH, sound_hz=RATE_HZ) as writer:
        for index in range(FRAMES):
            writer.picture(frame(index)[0], index / FPS)
            if index % FPS == 0:
                second = index // FPS
                writer.sound(samples[second * RATE_HZ : (second + 1) * RATE_HZ], RATE_HZ)
    path.with_suffix(".truth.yaml").write_text(
        "# What sounds when in demo.mp4, and where; written by tools/make_demo_clip.py.\n"
        + yaml.safe_dump(truth(), sort_keys=False, default_flow_style=None, width=110),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
