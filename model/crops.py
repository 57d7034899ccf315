"""What CLIP is shown of an object: the soft-masked picture, cut to the object (Section 3.4, Table 5).

Only the cut-out is ever computed, never a masked copy of the whole frame: picture and mask are sampled
alike inside the object's square (RoI-align, so that shrinking averages instead of skipping) and multiplied.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import RoIAlign

from model.options import Crop, CropAnchor


def valid_regions(masks: Tensor, threshold: float = 0.5) -> Tensor:
    """Which masks have any pixel above `threshold`; only those can be cropped.

    Args:
        masks: probabilities. Shape: (..., H, W).

    Returns:
        Shape: (...), bool.
    """
    return masks.amax(dim=(-2, -1)) > threshold


def boxes(masks: Tensor, threshold: float = 0.5) -> Tensor:
    """The tight box [x0, y0, x1, y1] of what lies above `threshold`, ends exclusive; zeros for an empty mask.

    Args:
        masks: probabilities. Shape: (..., H, W).

    Returns:
        Shape: (..., 4), float32, in pixels.
    """
    x0, x1 = _extent(masks.amax(dim=-2) > threshold)
    y0, y1 = _extent(masks.amax(dim=-1) > threshold)
    return torch.stack([x0, y0, x1, y1], dim=-1).float()


def crop_regions(
    images: Tensor,
    masks: Tensor,
    valid: Tensor,
    *,
    crop: Crop = "square",
    anchor: CropAnchor = "centre",
    size: int = 224,
    threshold: float = 0.5,
) -> Tensor:
    """Cut every valid (frame, query) pair out, in the row-major order of `valid`.

    Args:
        images: RGB, 0 to 255. Shape: (F, 3, H, W).
        masks: probabilities; the reference leaves them at the padded size, so they may be larger than the
            images to the right and below. Shape: (F, Q, H', W').
        valid: the pairs wanted. Shape: (F, Q), bool.
        crop, anchor: see `crop_objects`.

    Returns:
        Shape: (V, 3, size, size), float32, 0 to 255.
    """
    frame, query = valid.nonzero(as_tuple=True)
    mask_index = frame * masks.shape[1] + query
    return _sample(images, masks.flatten(0, 1), frame, mask_index, crop, anchor, size, threshold)


def crop_objects(
    images: Tensor,
    masks: Tensor,
    frame_of: Tensor,
    *,
    crop: Crop = "square",
    anchor: CropAnchor = "centre",
    size: int = 224,
    threshold: float = 0.5,
) -> Tensor:
    """Cut out objects given one mask each, for a caller who wants few of the (frame, query) pairs.

    Args:
        images: RGB, 0 to 255. Shape: (F, 3, H, W).
        masks: probabilities, each with some pixel above `threshold`. Shape: (V, H', W').
        frame_of: the frame each mask belongs to. Shape: (V,), int64.
        crop: "square": a square whose side is the longer side of the object's box, which keeps the object's
            proportions (the paper's choice); "resize": the box itself, stretched; "none": the whole frame.
        anchor: where the square sits. "centre": on the box's centre (the paper's text); "top-left": on the
            box's first corner (the authors' code). What lies outside the frame is black.
        size: side of the regions in pixels, the image tower's own.

    Returns:
        Shape: (V, 3, size, size), float32, 0 to 255.
    """
    index = torch.arange(len(masks), device=masks.device)
    return _sample(images, masks, frame_of, index, crop, anchor, size, threshold)


def _sample(
    images: Tensor,
    masks: Tensor,
    frame_of: Tensor,
    mask_of: Tensor,
    crop: Crop,
    anchor: CropAnchor,
    size: int,
    threshold: float,
) -> Tensor:
    if not len(frame_of):
        return images.new_zeros((0, 3, size, size), dtype=torch.float32)
    areas = _crop_areas(masks, mask_of, images.shape[-2:], crop, anchor, threshold)  # (V, 4)
    picture = _align(images.float(), frame_of, areas, size)  # (V, 3, size, size)
    return picture.mul_(_align(masks.float()[:, None], mask_of, areas, size))


def _crop_areas(
    masks: Tensor,
    mask_of: Tensor,
    frame_size: torch.Size,
    crop: Crop,
    anchor: CropAnchor,
    threshold: float,
) -> Tensor:
    """The area of the frame each region shows, as boxes that may reach outside it. Shape: (V, 4)."""
    if crop == "none":
        height, width = frame_size
        return torch.tensor([0.0, 0.0, width, height], device=masks.device).repeat(len(mask_of), 1)
    tight = boxes(masks, threshold)[mask_of]
    if crop == "resize":
        return tight
    start, end = tight[:, :2], tight[:, 2:]
    side = (end - start).amax(dim=1, keepdim=True)
    if anchor == "centre":
        start = (start + end - side) / 2
    return torch.cat([start, start + side], dim=1)


def _align(pictures: Tensor, index: Tensor, areas: Tensor, size: int) -> Tensor:
    rois = torch.cat([index[:, None].to(areas.dtype), areas], dim=1)
    return RoIAlign(output_size=size, spatial_scale=1.0, sampling_ratio=-1, aligned=False)(pictures, rois)


def _extent(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """First and one past the last True along the last axis; (0, 0) where there is none."""
    length = occupied.shape[-1]
    present = occupied.any(dim=-1)
    first = occupied.int().argmax(dim=-1)
    last = length - occupied.flip(-1).int().argmax(dim=-1)
    return first, torch.where(present, last, 0)
