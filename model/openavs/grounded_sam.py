"""Text to mask by Grounded SAM: GroundingDINO finds boxes of a noun, SAM or SAM 2 what fills them.

Each noun is asked for alone, as Sam4AVS does: in one text, nouns would share the boxes' words. All boxes of a
noun are one region, so that nothing is lost where several of a kind stand together.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.openavs.interfaces import Region
from model.openavs.pretrained import opened
from model.options import Precision
from model.precision import dtype_of

BOXES = {"grounding-dino": ("GroundingDinoForObjectDetection", "GroundingDinoProcessor")}
MASKS = {
    "sam": ("SamModel", "SamProcessor"),
    "sam2": ("Sam2Model", "Sam2Processor"),
    "sam2_video": ("Sam2Model", "Sam2Processor"),  # as SAM 2 is published: its memory is left aside
}
MOST_NOUNS = 4  # of a snippet: each costs a pass of the detector
MOST_BOXES = 16  # of a noun, surest first


class GroundedSam:
    """Finds whatever it is asked for.

    Args:
        box: a box is taken from this confidence on.
        text: a word of the noun counts for a box from this confidence on; a box needs one.

    Raises:
        ModelError: see `opened`.
    """

    nouns: frozenset[str] | None = None

    def __init__(
        self,
        grounding_dino: Path,
        sam: Path,
        *,
        box: float = 0.25,
        text: float = 0.25,
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
    ) -> None:
        self.device, self.box, self.text = torch.device(device), box, text
        # Deformable attention samples the picture at coordinates that bfloat16 is too coarse for.
        self._detector, self._words = opened(grounding_dino, BOXES, self.device, torch.float32)
        self.dtype = dtype_of(precision, self.device)
        self._segmenter, self._pictures = opened(sam, MASKS, self.device, self.dtype)

    @torch.inference_mode()
    def regions(self, image: NDArray[np.uint8], nouns: Collection[str]) -> dict[str, Region]:
        """A picture (H, W, 3), RGB -> the first `MOST_NOUNS` of nouns that are in it."""
        image = image.copy()  # what comes over a link is read-only, which torch cannot take
        boxes = {noun: self.boxes(image, noun) for noun in list(nouns)[:MOST_NOUNS]}
        there = {noun: found for noun, found in boxes.items() if len(found)}
        if not there:
            return {}
        masks = self._masks(image, torch.cat(list(there.values()))).split([len(b) for b in there.values()])
        union = {noun: found.any(0).numpy() for noun, found in zip(there, masks, strict=True)}
        return {noun: Region(mask, float(mask.mean())) for noun, mask in union.items() if mask.any()}

    @torch.inference_mode()
    def boxes(self, image: NDArray[np.uint8], noun: str) -> Tensor:
        """Where a noun may be: (n, 4) left, top, right, bottom, in pixels, surest first."""
        # A full stop would divide the noun in two.
        asked = self._words(
            images=image, text=f"{noun.lower().replace('.', ' ').strip()}.", return_tensors="pt"
        )
        asked = asked.to(self.device)
        (found,) = self._words.post_process_grounded_object_detection(
            self._detector(**asked),
            asked["input_ids"],
            threshold=self.box,
            text_threshold=self.text,
            target_sizes=[image.shape[:2]],
        )
        meant = torch.tensor([bool(label.strip(" .")) for label in found["text_labels"]], dtype=torch.bool)
        boxes, scores = found["boxes"].cpu()[meant], found["scores"].cpu()[meant]
        return boxes[scores.argsort(descending=True, stable=True)[:MOST_BOXES]]

    def _masks(self, image: NDArray[np.uint8], boxes: Tensor) -> Tensor:
        """What fills the boxes (n, 4): (n, H, W), true or false."""
        asked = self._pictures(images=image, input_boxes=[boxes.tolist()], return_tensors="pt")
        sizes = asked["original_sizes"]
        reshaped = (
            {"reshaped_input_sizes": asked["reshaped_input_sizes"]} if "reshaped_input_sizes" in asked else {}
        )
        given = {name: asked[name].to(self.device, self.dtype) for name in ("pixel_values", "input_boxes")}
        logits = self._segmenter(**given, multimask_output=False).pred_masks.float().cpu()
        (masks,) = self._pictures.post_process_masks(logits, sizes, **reshaped)
        return masks[:, 0]
