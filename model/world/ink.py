"""A thing redrawn by another hand: a few flat colours, and dark lines where they meet.

No artist draws so, but some draw more like this than like the others; who has learnt things in both manners
has learnt less of the manner.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

LINE = (26.0, 24.0, 28.0)  # their colour


def inked(sprite: NDArray[np.float32], width: float, colours: int, pale: float) -> NDArray[np.float32]:
    """Redraws a sprite (h, w, 4): RGB 0 to 255, alpha 0 to 1, not multiplied in.

    Args:
        width: of the lines, in parts of the longer side.
        colours: how many there are left.
        pale: how much white is mixed into them, 0 to 1.
    """
    rgb, alpha = np.clip(sprite[..., :3], 0, 255), sprite[..., 3]
    inside = alpha > 0.5
    filled = np.where(inside[..., None], rgb, rgb[inside].mean(axis=0) if inside.any() else 0.0)
    picture = Image.fromarray(filled.astype(np.uint8)).quantize(colours, Image.Quantize.MEDIANCUT)
    parts = cv2.medianBlur(np.array(picture, np.uint8), 5)  # specks are no parts
    flat = np.zeros_like(rgb)
    for part in np.unique(parts):
        here = parts == part
        flat[here] = rgb[here & inside].mean(axis=0) if (here & inside).any() else np.float32(0)
    flat = flat + np.float32(pale) * (255 - flat)
    side = max(sprite.shape[:2])
    thick = max(1, round(width * side))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thick, thick))
    meets = np.zeros(parts.shape, np.uint8)
    regions = np.where(inside, parts.astype(np.int16), -1)
    meets[:, 1:] |= (regions[:, 1:] != regions[:, :-1]).astype(np.uint8)
    meets[1:] |= (regions[1:] != regions[:-1]).astype(np.uint8)
    lines = np.asarray(cv2.GaussianBlur(cv2.dilate(meets, disc).astype(np.float32), (0, 0), 0.6))[..., None]
    drawn = flat * (1 - lines) + np.array(LINE, np.float32) * lines
    return np.concatenate([drawn, np.maximum(alpha[..., None], lines)], axis=-1).astype(np.float32)
