"""The published inference over a clip, against the same steps taken one at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from model.localiser import normalise
from model.reference import label_clip
from tests.model.small import pictures, small_localiser, sounds

WORDS = ("dog", "violin", "train")
FRAME = (90, 130)


class Eye:
    """Stands in for CLIP: sees the mean colour of a region, and knows a word for each."""

    image_size = 8

    def encode_regions(self, regions: Tensor) -> Tensor:
        return F.normalize(regions.mean((2, 3)) + 1e-3, dim=-1)

    def encode_words(self, words: Sequence[str]) -> Tensor:
        return torch.eye(3)[: len(words)]


def test_a_clip_is_labelled_as_the_published_steps_label_it() -> None:
    localiser, images, audio = small_localiser(), pictures(5, height=60, width=90), sounds(5)
    found = label_clip(localiser, Eye(), images, audio, WORDS, FRAME)  # type: ignore[arg-type]
    assert found.shape == (5, *FRAME)
    assert found.dtype == torch.int64

    with torch.inference_mode():
        logits = localiser(normalise(images)[None], audio[None]).mask_logits()[0]
    n = len(logits)
    whole = torch.stack([
        torch.stack([F.interpolate(one[None, None], (64, 96), mode="bilinear")[0, 0] for one in query])
        for query in logits
    ])  # fmt: skip
    p = torch.zeros(n, len(WORDS))
    for query in range(n):
        seen = []
        for t in range(5):
            mask = whole[query, t].sigmoid()
            ys, xs = (mask > 0.5).nonzero().unbind(1)
            if not len(ys):
                continue
            x0, y0 = int(xs.min()), int(ys.min())
            side = max(int(xs.max()) + 1 - x0, int(ys.max()) + 1 - y0)

            seen.append(100 * Eye().encode_regions(region(images[t], mask, x0, y0, side)[None])[0])
        if seen:
            p[query] = torch.stack(seen).mean(0).softmax(-1)
    order = [(float(p[q, k]), q, k) for q in range(n) for k in range(len(WORDS))]
    best = [entry for entry in sorted(order, reverse=True)[:10] if entry[0] > 0.3]
    assert best
    expected = torch.zeros(5, *FRAME, dtype=torch.int64)
    for _, query, k in best:
        mask = F.interpolate(whole[query : query + 1, :, :60, :90], FRAME, mode="bilinear")[0] > 0
        expected[mask & (expected == 0)] = k + 1
    assert (found == expected).float().mean() > 0.999
    assert len(found.unique()) > 1


def region(image: Tensor, mask: Tensor, x0: int, y0: int, side: int) -> Tensor:
    """The square at (x0, y0) of side `side`, masked, at 8 x 8: (3, 8, 8)."""
    from torchvision.ops import roi_align

    box = torch.tensor([[0.0, x0, y0, x0 + side, y0 + side]])
    return roi_align(image[None].float(), box, 8)[0] * roi_align(mask[None, None], box, 8)[0]


def test_a_clip_in_which_nothing_is_seen_is_all_background() -> None:
    localiser = small_localiser()
    with torch.no_grad():
        localiser.pixel_decoder.mask_features.weight.zero_()
        localiser.pixel_decoder.mask_features.bias.zero_()
    found = label_clip(localiser, Eye(), pictures(5), sounds(5), WORDS, FRAME)  # type: ignore[arg-type]
    assert not found.any()
