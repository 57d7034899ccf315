"""The published inference over one clip, from pictures and sound to label maps, as the authors' code does it.

Sounding scores have no say: every query with a mask is shown to CLIP in every frame it is seen in, its
logits are averaged over those frames, and the ten best (query, class) pairs above 0.3 are painted, the best
on top.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.classifier import OpenVocabularyClassifier, paint, reference_pairs
from model.crops import crop_regions, valid_regions
from model.localiser import Localiser, normalise
from model.masks import upsampled


@torch.inference_mode()
def label_clip(
    localiser: Localiser,
    classifier: OpenVocabularyClassifier,
    images: Tensor,
    audio: Tensor,
    words: Sequence[str],
    frame_size: tuple[int, int],
) -> Tensor:
    """What sounds in a clip, by pixel.

    Args:
        images: RGB at the model's size. Shape: (T, 3, H, W), uint8.
        audio: embeddings of the clip's examples. Shape: (T, A).
        frame_size: height and width of the answer, the clip's own.

    Returns:
        0 for background, else index of the word + 1. Shape: (T, *frame_size), int64.
    """
    padded = normalise(images)
    logits = localiser(padded[None], audio[None]).mask_logits()[0].float().cpu()  # (N, T, H / 4, W / 4)
    whole = upsampled(logits, (padded.shape[-2], padded.shape[-1]))
    soft = whole.sigmoid().transpose(0, 1)  # the padding stays on, as in the published crops
    valid = valid_regions(soft)
    size = classifier.image_size
    regions = crop_regions(images.cpu(), soft, valid, crop="square", anchor="top-left", size=size)
    embeddings, text = classifier.encode_regions(regions), classifier.encode_words(words)
    pairs = reference_pairs(embeddings, valid.nonzero()[:, 1].to(embeddings.device), text)
    height, width = images.shape[-2:]
    masks = torch.zeros(len(whole), len(images), *frame_size, dtype=torch.bool)
    for query in {pair.query for pair in pairs}:
        masks[query] = upsampled(whole[query : query + 1, :, :height, :width], frame_size)[0] > 0
    return paint(pairs, masks)
